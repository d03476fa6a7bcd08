// RELOAD: new code of the app takes over, under live state (docs/reload.md).
#include <string>
#include <utility>
#include <vector>

#include "grid/runtime/call_mail.h"
#include "protocol/command_table.h"
#include "protocol/session.h"
#include "protocol/shard_port.h"

namespace bettong::protocol {
namespace {

// RELOAD [path ...]. Answered when the new code runs, or it is known that it will not.
void RunReload(Session& session, Args args) {
  const grid::Ticket ticket = session.ticket();
  ShardPort& port = session.port();
  session.ReplyLater();
  session.Block();
  const auto answer = [&port, ticket](std::string error) {
    grid::ShardLoop& home = port.loop();
    home.Post(home.id(), std::make_unique<grid::CallMail>(
                             [&port, ticket, error = std::move(error)](grid::ShardLoop&) {
                               Session* const asks = port.Find(ticket.connection);
                               if (asks == nullptr) return;  // it is gone
                               std::string text;
                               ReplyWriter reply(text, ticket.resp3);
                               if (error.empty()) {
                                 reply.Ok();
                               } else {
                                 reply.Error("ERR reload: " + error);
                               }
                               asks->Reply(ticket, text);
                               asks->Flush();
                             }));
  };
  port.node().services.RequestReload({args.begin() + 1, args.end()}, answer);
}

constexpr CommandRow kRows[] = {
    SessionRow("RELOAD", -1, kAdmin | kBlocking | kQuiet, RunReload,
               {"bettong", "1.0.0", "Loads the app again and has its new code take over."}),
};

}  // namespace

std::span<const CommandRow> ReloadCommands() { return kRows; }

}  // namespace bettong::protocol
