#include "protocol/resp_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bettong::protocol {
namespace {

using Result = RespParser::Result;
using Command = std::vector<std::string>;
using testing::ElementsAre;

std::string Encode(const Command& command) {
  std::string bytes = "*" + std::to_string(command.size()) + "\r\n";
  for (const std::string& arg : command) {
    bytes += "$" + std::to_string(arg.size()) + "\r\n" + arg + "\r\n";
  }
  return bytes;
}

// What a session does with a parser: keeps what is not consumed and gives it again with more.
class Reader {
 public:
  void Read(std::string_view bytes) {
    kept_ += bytes;
    for (;;) {
      const Result result = parser.Next(kept_);
      if (result == Result::kIncomplete) return;
      if (result == Result::kError) {
        failed = true;
        return;
      }
      if (result == Result::kCommand) {
        std::vector<std::string_view> args(parser.arg_count());
        parser.TakeArgs(kept_.data(), args.data());
        commands.emplace_back(args.begin(), args.end());
      }
      kept_.erase(0, parser.consumed());
    }
  }

  RespParser parser;
  std::vector<Command> commands;
  bool failed = false;

 private:
  std::string kept_;
};

std::string ErrorOf(std::string_view bytes) {
  Reader reader;
  reader.Read(bytes);
  return reader.failed ? reader.parser.error() : "no error";
}

TEST(RespParser, PipelineIsTheSameHoweverItIsSplit) {
  const std::vector<Command> commands = {
      {"SET", "key", "value"}, {"GET", "a\r\nb"}, {"PING"}, {"MSET", "", "x", "b", ""}};
  std::string bytes;
  for (const Command& command : commands) bytes += Encode(command);
  bytes += "PING\r\n*0\r\n\r\nECHO \"a b\"\n" + Encode({"QUIT"});
  std::vector<Command> expected = commands;
  expected.insert(expected.end(), {{"PING"}, {"ECHO", "a b"}, {"QUIT"}});
  for (size_t first = 0; first <= bytes.size(); ++first) {
    for (size_t second = first; second <= bytes.size(); second += 7) {
      Reader reader;
      reader.Read(bytes.substr(0, first));
      reader.Read(bytes.substr(first, second - first));
      reader.Read(bytes.substr(second));
      ASSERT_EQ(reader.commands, expected) << "split at " << first << " and " << second;
      ASSERT_FALSE(reader.failed);
    }
  }
  Reader reader;
  for (char c : bytes) reader.Read(std::string_view(&c, 1));
  EXPECT_EQ(reader.commands, expected);
}

TEST(RespParser, CommandThatWasNotConsumedIsGivenAgain) {
  const std::string bytes = Encode({"GET", "a"});
  RespParser parser;
  ASSERT_EQ(parser.Next(bytes), Result::kCommand);
  ASSERT_EQ(parser.Next(bytes), Result::kCommand);
  EXPECT_EQ(parser.arg_count(), 2u);
  EXPECT_EQ(parser.consumed(), bytes.size());
}

TEST(RespParser, EmptyAndNegativeArraysAreNoCommands) {
  Reader reader;
  reader.Read("*0\r\n*-1\r\n" + Encode({"PING"}));
  EXPECT_THAT(reader.commands, ElementsAre(Command{"PING"}));
}

TEST(RespParser, ErrorsHaveRedisWords) {
  EXPECT_EQ(ErrorOf("*a\r\n"), "ERR Protocol error: invalid multibulk length");
  EXPECT_EQ(ErrorOf("*1048577\r\n"), "ERR Protocol error: invalid multibulk length");
  EXPECT_EQ(ErrorOf("*1\r\n:1\r\n"), "ERR Protocol error: expected '$', got ':'");
  EXPECT_EQ(ErrorOf("*1\r\n$-1\r\n"), "ERR Protocol error: invalid bulk length");
  EXPECT_EQ(ErrorOf("*1\r\n$x\r\n"), "ERR Protocol error: invalid bulk length");
  EXPECT_EQ(ErrorOf("*1\r\n$67108865\r\n"), "ERR Protocol error: invalid bulk length");
  EXPECT_EQ(ErrorOf("SET a \"b\r\n"), "ERR Protocol error: unbalanced quotes in request");
  EXPECT_EQ(ErrorOf(std::string(kInlineBytesMax + 1, 'x')),
            "ERR Protocol error: too big inline request");
  EXPECT_EQ(ErrorOf("*" + std::string(kInlineBytesMax + 1, '1')),
            "ERR Protocol error: too big mbulk count string");
  EXPECT_EQ(ErrorOf("*1\r\n$" + std::string(kInlineBytesMax + 1, '1')),
            "ERR Protocol error: too big bulk count string");
}

TEST(RespParser, LimitsThemselvesArePermitted) {
  EXPECT_EQ(ErrorOf("*1048576\r\n"), "no error");
  EXPECT_EQ(ErrorOf("*1\r\n$67108864\r\n"), "no error");
  Reader reader;
  reader.Read(std::string(kInlineBytesMax - 2, 'x') + "\r\n");
  EXPECT_EQ(reader.commands.size(), 1u);
}

TEST(RespParser, LittleIsPermittedBeforeAuthentication) {
  Reader reader;
  reader.parser.set_authenticated(false);
  reader.Read("*11\r\n");
  EXPECT_EQ(reader.parser.error(), "ERR Protocol error: unauthenticated multibulk length");
  Reader other;
  other.parser.set_authenticated(false);
  other.Read("*2\r\n$4\r\nAUTH\r\n$16385\r\n");
  EXPECT_EQ(other.parser.error(), "ERR Protocol error: unauthenticated bulk length");
}

TEST(RespParser, InlineCommandsAreSplitLikeAShellDoes) {
  Reader reader;
  reader.Read("set  a 'it\\'s' \"x\\x41\\n\\\"\"\r\n  \r\n get\ta\n");
  EXPECT_THAT(reader.commands,
              ElementsAre(Command{"set", "a", "it's", "xA\n\""}, Command{"get", "a"}));
}

TEST(RespParser, InlineTextBehindAClosingQuoteIsAnError) {
  EXPECT_EQ(ErrorOf("echo \"a\"b\r\n"), "ERR Protocol error: unbalanced quotes in request");
  EXPECT_EQ(ErrorOf("echo 'a'b\r\n"), "ERR Protocol error: unbalanced quotes in request");
}

TEST(RespParser, ManyArgumentsInSmallPiecesAreReadOnce) {
  Command command(20'000, "abc");
  const std::string bytes = Encode(command);
  RespParser parser;
  size_t given = 0;
  Result result = Result::kIncomplete;
  while (result == Result::kIncomplete) {
    given = std::min(given + 1000, bytes.size());
    result = parser.Next(std::string_view(bytes).substr(0, given));
  }
  ASSERT_EQ(result, Result::kCommand);
  EXPECT_EQ(parser.arg_count(), command.size());
  EXPECT_EQ(parser.consumed(), bytes.size());
}

}  // namespace
}  // namespace bettong::protocol
