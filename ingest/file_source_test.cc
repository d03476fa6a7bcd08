#include "ingest/file_source.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "ingest/ingest_testing.h"

namespace bettong::ingest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class FileSourceTest : public ::testing::Test {
 protected:
  FileSourceTest() : node_(SampleCatalog(), 2) {
    path_ = (std::filesystem::temp_directory_path() /
             absl::StrCat("bettong_file_source_test_", ::getpid()))
                .string();
  }
  ~FileSourceTest() override {
    source_.reset();
    std::filesystem::remove(path_);
  }
  void Open(const std::string& content, FileSourceConfig config = {}) {
    std::ofstream(path_) << content;
    config.path = path_;
    source_ = std::make_unique<FileSource>(std::move(config), node_.stream("samples"),
                                           node_.doors()[0], nullptr);
    ASSERT_TRUE(source_->Open().ok());
    source_->Start([this](absl::Status status) { done_ = std::move(status); });
  }
  static std::string Samples(int count) {
    std::string lines;
    for (int i = 0; i < count; ++i) {
      absl::StrAppend(&lines, "{\"host\":\"h", i % 7, "\",\"value\":", i, ",\"ts\":1}\n");
    }
    return lines;
  }

  TestNode node_;
  std::string path_;
  std::unique_ptr<FileSource> source_;
  std::optional<absl::Status> done_;
};

TEST_F(FileSourceTest, ReadsToTheEndInOrder) {
  const std::string content = Samples(30'000);  // several blocks, several windows
  Open(content);
  ASSERT_TRUE(node_.RunUntil([&] { return done_.has_value(); }));
  EXPECT_TRUE(done_->ok());
  ASSERT_THAT(node_.turns, SizeIs(30'000));
  std::map<std::string, int> last;
  for (const SeenTurn& turn : node_.turns) {
    const int value = std::stoi(turn.event.substr(turn.event.find("\"value\":") + 8));
    EXPECT_TRUE(!last.contains(turn.redis_key) || last[turn.redis_key] < value);
    last[turn.redis_key] = value;
  }
  EXPECT_EQ(source_->bytes_total(), content.size());
  EXPECT_EQ(source_->bytes_done(), content.size());
  EXPECT_EQ(source_->counters().events.load(), 30'000u);
}

TEST_F(FileSourceTest, WaitsForItsConsequences) {
  node_.emit = [&](const SeenTurn&) {
    return std::vector<std::pair<StreamId, std::string>>{{node_.catalog().dead_letters, "{}"}};
  };
  node_.sinks().Hold();
  Open(Samples(30'000));
  // A sink that does not write holds back the end, not the turns.
  ASSERT_TRUE(node_.RunUntil([&] { return node_.turns.size() == 30'000; }));
  node_.Run();
  EXPECT_FALSE(done_.has_value());
  node_.sinks().Release();
  EXPECT_TRUE(node_.RunUntil([&] { return done_.has_value(); }));
  EXPECT_THAT(node_.turns, SizeIs(30'000));
}

TEST_F(FileSourceTest, EndOfInputReleasesTheWatermark) {
  Open("{\"host\":\"a\",\"value\":1,\"ts\":1000}\n{\"host\":\"b\",\"value\":1,\"ts\":5000}");
  ASSERT_TRUE(node_.RunUntil([&] { return done_.has_value(); }));
  node_.Run();
  ASSERT_THAT(node_.turns, SizeIs(3));
  EXPECT_EQ(node_.turns[2].kind, grid::TurnKind::kExpire);
  EXPECT_EQ(node_.turns[2].redis_key, "host:a");
  EXPECT_EQ(node_.turns[2].watermark_ms, 5000);
}

TEST_F(FileSourceTest, EmptyInputEndsAtOnce) {
  Open("");
  EXPECT_TRUE(node_.RunUntil([&] { return done_.has_value(); }));
  EXPECT_TRUE(done_->ok());
}

TEST_F(FileSourceTest, BadLinesAreDeadLetters) {
  Open("nonsense\n" + Samples(1));
  ASSERT_TRUE(node_.RunUntil([&] { return done_.has_value(); }));
  EXPECT_THAT(node_.turns, SizeIs(1));
  EXPECT_THAT(node_.sinks().TakeJson(node_.catalog().dead_letters),
              ElementsAre(HasSubstr("\"event\":\"nonsense\"")));
  EXPECT_EQ(source_->counters().dead_letters.load(), 1u);
}

TEST_F(FileSourceTest, DirectoryAndMissingFileAreErrors) {
  FileSource missing({.path = "/no/such/file"}, node_.stream("samples"), node_.doors()[0], nullptr);
  EXPECT_EQ(missing.Open().message(), "open /no/such/file: No such file or directory");
  FileSource directory({.path = "/tmp"}, node_.stream("samples"), node_.doors()[0], nullptr);
  ASSERT_TRUE(directory.Open().ok());
  std::optional<absl::Status> done;
  directory.Start([&](absl::Status status) { done = std::move(status); });
  ASSERT_TRUE(node_.RunUntil([&] { return done.has_value(); }));
  EXPECT_EQ(done->message(), "read /tmp: Is a directory");
}

TEST_F(FileSourceTest, StopEndsAPipeThatSaysNothing) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  FileSource source({.path = absl::StrCat("/proc/self/fd/", ends[0])}, node_.stream("samples"),
                    node_.doors()[0], nullptr);
  ASSERT_TRUE(source.Open().ok());
  std::optional<absl::Status> done;
  source.Start([&](absl::Status status) { done = std::move(status); });
  const std::string line = Samples(1);
  ASSERT_EQ(::write(ends[1], line.data(), line.size()), static_cast<ssize_t>(line.size()));
  ASSERT_TRUE(node_.RunUntil([&] { return node_.turns.size() == 1; }));
  EXPECT_FALSE(done.has_value());
  source.Stop();
  EXPECT_TRUE(node_.RunUntil([&] { return done.has_value(); }));
  EXPECT_TRUE(done->ok());
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace bettong::ingest
