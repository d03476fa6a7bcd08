// Commands about the connection itself: PING, HELLO, CLIENT and the like.
#include "base/number_text.h"
#include "protocol/command_table.h"
#include "protocol/errors.h"
#include "protocol/session.h"
#include "protocol/shard_port.h"
#include "protocol/text.h"
#include "protocol/version.h"

namespace bettong::protocol {
namespace {

void RunPing(Session& session, Args args) {
  if (args.size() > 2) return session.ReplyError(WrongArity("ping"));
  ReplyWriter reply = session.reply();
  const std::string_view text = args.size() == 2 ? args[1] : std::string_view();
  if (!session.info().resp3 && session.subscription_count() > 0) {
    reply.Array(2);
    reply.Bulk("pong");
    reply.Bulk(text);
  } else if (args.size() == 2) {
    reply.Bulk(text);
  } else {
    reply.Status("PONG");
  }
}

void RunEcho(Session& session, Args args) { session.reply().Bulk(args[1]); }

void RunQuit(Session& session, Args) {
  session.port().subscribers().RemoveAll(session);  // before the client can see the end
  session.reply().Ok();
  session.CloseAfterReplies();
}

void RunSelect(Session& session, Args args) {
  const auto index = ParseInt(args[1]);
  if (!index) return session.ReplyError(kNotAnInteger);
  if (*index != 0) return session.ReplyError("ERR DB index is out of range");
  session.reply().Ok();
}

void RunReset(Session& session, Args) {
  session.port().subscribers().RemoveAll(session);
  session.info().name.clear();
  session.info().no_evict = session.info().no_touch = false;
  session.set_resp3(false);
  session.set_reply_mode(Session::ReplyMode::kOn);
  session.set_authenticated(!session.port().requires_password());
  session.reply().Status("RESET");
}

// Checks name and password; replies the error if they are wrong.
bool Authenticate(Session& session, std::string_view user, std::string_view password) {
  const std::string expected = session.port().node().Settings().password;
  if (user != "default" || (!expected.empty() && !EqualsConstantTime(password, expected))) {
    session.ReplyError("WRONGPASS invalid username-password pair or user is disabled.");
    return false;
  }
  session.set_authenticated(true);
  return true;
}

void RunAuth(Session& session, Args args) {
  if (args.size() > 3) return session.ReplyError(kSyntaxError);
  if (args.size() == 2 && !session.port().requires_password()) {
    return session.ReplyError(
        "ERR AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?");
  }
  const std::string_view user = args.size() == 3 ? args[1] : "default";
  if (Authenticate(session, user, args.back())) session.reply().Ok();
}

void RunHello(Session& session, Args args) {
  size_t next = 1;
  bool resp3 = session.info().resp3;
  if (args.size() > 1) {
    const auto version = ParseInt(args[1]);
    if (!version) {
      return session.ReplyError("ERR Protocol version is not an integer or out of range");
    }
    if (*version != 2 && *version != 3) {
      return session.ReplyError("NOPROTO unsupported protocol version");
    }
    resp3 = *version == 3;
    next = 2;
  }
  std::optional<std::string_view> name;
  bool authenticates = false;
  std::string_view user, password;
  while (next < args.size()) {
    const size_t more = args.size() - next - 1;
    if (EqualsIgnoreCase(args[next], "AUTH") && more >= 2) {
      authenticates = true;
      user = args[next + 1];
      password = args[next + 2];
      next += 3;
    } else if (EqualsIgnoreCase(args[next], "SETNAME") && more >= 1) {
      name = args[next + 1];
      next += 2;
    } else {
      return session.ReplyError("ERR Syntax error in HELLO option '" + std::string(args[next]) +
                                "'");
    }
  }
  if (authenticates && !Authenticate(session, user, password)) return;
  if (!session.authenticated()) {
    return session.ReplyError(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
        "<proto> AUTH <user> <pass> option can be used to authenticate the client and select the "
        "RESP protocol version at the same time");
  }
  if (name && !session.SetName(*name)) return;
  session.set_resp3(resp3);
  ReplyWriter reply = session.reply();
  reply.Map(7);
  reply.Bulk("server");
  reply.Bulk("redis");
  reply.Bulk("version");
  reply.Bulk(kRedisVersion);
  reply.Bulk("proto");
  reply.Integer(resp3 ? 3 : 2);
  reply.Bulk("id");
  reply.Integer(static_cast<int64_t>(session.info().id));
  reply.Bulk("mode");
  reply.Bulk("standalone");
  reply.Bulk("role");
  reply.Bulk("master");
  reply.Bulk("modules");
  reply.Array(0);
}

constexpr CommandRow kRows[] = {
    SessionRow("PING", -1, kFast | kInSubscribed, RunPing,
               {"connection", "1.0.0", "Returns the server's liveliness response."}),
    SessionRow("ECHO", 2, kFast, RunEcho, {"connection", "1.0.0", "Returns the given string."}),
    SessionRow("QUIT", -1, kFast | kNoAuth | kInSubscribed, RunQuit,
               {"connection", "1.0.0", "Closes the connection."}),
    SessionRow("SELECT", 2, kFast, RunSelect,
               {"connection", "1.0.0", "Changes the selected database; there is only 0."}),
    SessionRow("RESET", 1, kFast | kNoAuth | kInSubscribed | kQuiet, RunReset,
               {"connection", "6.2.0", "Resets the connection."}),
    SessionRow("AUTH", -2, kFast | kNoAuth, RunAuth,
               {"connection", "1.0.0", "Authenticates the connection."}),
    SessionRow("HELLO", -1, kFast | kNoAuth, RunHello,
               {"connection", "6.0.0", "Handshakes with the server."}),
};

}  // namespace

std::span<const CommandRow> ConnectionCommands() { return kRows; }

}  // namespace bettong::protocol
