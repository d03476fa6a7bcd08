#include "tests/sim/sim_peers.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <simdjson.h>

#include <stdexcept>

#include "base/check.h"
#include "base/number_text.h"
#include "base/simulation.h"
#include "grid/entity_message.h"

namespace bettong::sim {
namespace {

using compute::InlineTurn;
using grid::EventFieldType;
using grid::TurnKind;

enum EventSlot : size_t { kKey, kN, kRoutes, kFails };
enum RowField : size_t { kLastN, kSent, kGot };
enum Failure : int64_t { kNever, kAtFirst, kAlways };

// A route: steps between '>'. A step is the number of a peer; "!7": whoever has got it so far
// fails, in the end with the letter "deaf 7"; "?7": to a class that there is not.
constexpr char kDeafStep = '!', kNowhereStep = '?';
constexpr int64_t kSpecialN = 1'000'000;  // and up: events that fail

std::string NameOf(size_t peer) { return absl::StrCat("p", peer); }
size_t NumberOf(std::string_view name) { return static_cast<size_t>(name[1] - '0'); }

void SendMessage(InlineTurn& turn, std::string_view prefix, std::string_view key,
                 const std::string& arguments) {
  std::string json;
  grid::AppendMessageJson(
      grid::EntityMessage{
          .prefix = prefix, .key = key, .method = "hear", .arguments_json = arguments},
      json);
  turn.Emit(grid::kMessageStream, json);
}

std::string Arguments(std::string_view from, int64_t n, std::string_view rest) {
  return absl::StrCat("[\"", std::string(from), "\",", n, ",\"", std::string(rest), "\"]");
}

// On its way to the first step of the route.
void SendAlong(InlineTurn& turn, std::string_view route) {
  if (route.empty()) return;
  if (route[0] == kNowhereStep) {
    return SendMessage(
        turn, "nobody", "x",
        Arguments(turn.key(), 0, absl::StrCat("lost ", std::string(route.substr(1)))));
  }
  const size_t end = std::min(route.find('>'), route.size());
  const auto to = static_cast<size_t>(ParseInt(route.substr(0, end)).value_or(-1));
  BETTONG_CHECK(to < kPeers);
  const std::string_view rest = route.substr(std::min(end + 1, route.size()));
  // What never has an effect is not counted.
  int64_t n = 0;
  if (rest.empty() || rest[0] != kDeafStep) {
    n = turn.IntAt(kSent, to) + 1;
    turn.SetIntAt(kSent, to, n);
  }
  if (NameOf(to) == turn.key()) BETTONG_SOMETIMES(message_to_oneself);
  SendMessage(turn, "peer", NameOf(to), Arguments(turn.key(), n, rest));
}

void Talk(InlineTurn& turn, FirstTries& tries) {
  const int64_t n = turn.event()->Int(kN);
  const int64_t fails = turn.event()->Int(kFails);
  if (n < kSpecialN) {
    if (n != turn.Int(kLastN) + 1) Bad(turn, absl::StrCat(n, " after ", turn.Int(kLastN)));
    turn.SetInt(kLastN, n);
  }
  const std::string_view routes = turn.event()->Bytes(kRoutes);
  for (const auto route : absl::StrSplit(absl::string_view(routes.data(), routes.size()), ' ')) {
    SendAlong(turn, {route.data(), route.size()});
  }
  if (fails == kNever || (fails == kAtFirst && !tries.Fails(turn.key(), n))) return;
  BETTONG_SOMETIMES(turn_with_messages_taken_back);
  throw std::runtime_error(absl::StrCat("mute ", n));
}

void Hear(InlineTurn& turn, FirstTries& tries) {
  const std::string_view arguments = MessageText(*turn.event(), grid::MessageField::kArguments);
  simdjson::dom::parser parser;
  simdjson::dom::element json;
  std::string_view from, rest;
  int64_t n = 0;
  BETTONG_CHECK(parser.parse(arguments.data(), arguments.size()).get(json) == simdjson::SUCCESS);
  BETTONG_CHECK(json.at(0).get(from) == simdjson::SUCCESS);
  BETTONG_CHECK(json.at(1).get(n) == simdjson::SUCCESS);
  BETTONG_CHECK(json.at(2).get(rest) == simdjson::SUCCESS);
  if (!rest.empty() && rest[0] == kDeafStep) {
    SendAlong(turn, "0>1");
    throw std::runtime_error(absl::StrCat("deaf ", std::string(rest.substr(1))));
  }
  const size_t sender = NumberOf(from);
  if (n != turn.IntAt(kGot, sender) + 1) {
    Bad(turn, absl::StrCat("message ", n, " of ", std::string(from), " behind ",
                           turn.IntAt(kGot, sender)));
  }
  turn.SetIntAt(kGot, sender, n);
  turn.Emit("out", absl::StrCat("{\"part\":\"peers\",\"key\":\"", std::string(turn.key()),
                                "\",\"from\":\"", std::string(from), "\",\"n\":", n, "}"));
  SendAlong(turn, rest);
  if (n % 5 != 0 || !tries.Fails(absl::StrCat(std::string(turn.key()), std::string(from)), n)) {
    return;
  }
  BETTONG_SOMETIMES(message_tried_again);
  throw std::runtime_error("not yet");
}

}  // namespace

void DeclarePeers(grid::Catalog& catalog) {
  AddStream(catalog, "talk",
            {Field("key", EventFieldType::kText), Field("n", EventFieldType::kInt),
             Field("routes", EventFieldType::kText), Field("fails", EventFieldType::kInt)})
      .view_entries_max = 0;
  grid::ClassSchema& peer = AddClass(catalog, "Peer");
  peer.row.fields = {{.name = "n"},
                     {.name = "sent", .type = grid::FieldType::kIntArray, .array_size = kPeers},
                     {.name = "got", .type = grid::FieldType::kIntArray, .array_size = kPeers}};
  AddHandler(catalog, peer, "talk", "talk").on_error = RetryPolicy(2, 20);
  peer.on_error = RetryPolicy(2, 20);  // of messages
}

void DefinePeers(const grid::Catalog& catalog, compute::InlineHost& host) {
  ClassId peer;
  BETTONG_CHECK(catalog.FindClass("peer", &peer) != nullptr);
  host.Define(peer, TurnKind::kEvent, 0,
              [tries = FirstTries()](InlineTurn& turn) mutable { Talk(turn, tries); });
  host.Define(peer, TurnKind::kMessage, 0,
              [tries = FirstTries()](InlineTurn& turn) mutable { Hear(turn, tries); });
}

std::string Peers::MakeRoute(Scheduler& scheduler, size_t from, bool counts, Letters& letters) {
  std::string route;
  for (uint64_t steps = 1 + scheduler.Below(4); steps > 0; --steps) {
    const size_t to = scheduler.OneIn(6) ? from : scheduler.Below(kPeers);
    absl::StrAppend(&route, route.empty() ? "" : ">", to);
    if (steps == 1 && scheduler.OneIn(15)) {
      absl::StrAppend(&route, ">!", ++specials_);
      if (counts) ++letters[absl::StrCat("deaf ", specials_)];
      return route;
    }
    if (counts) ++peers_[from].sent[to], ++peers_[to].got[from];
    from = to;
  }
  if (scheduler.OneIn(20)) {
    absl::StrAppend(&route, ">?", ++specials_);
    if (counts) ++letters[absl::StrCat("lost ", specials_)];
  }
  return route;
}

std::vector<std::string> Peers::MakeEvents(Scheduler& scheduler, size_t first, Letters& letters) {
  std::vector<std::string> events;
  for (uint64_t i = scheduler.Between(5, 30); i > 0; --i) {
    const size_t from = first + 2 * scheduler.Below(kPeers / 2);
    const bool in_vain = scheduler.OneIn(12);
    int64_t n;
    if (in_vain) {
      n = kSpecialN + ++specials_;
      ++letters[absl::StrCat("mute ", n)];
    } else {
      n = ++peers_[from].n;
    }
    std::string routes;
    for (uint64_t count = scheduler.Below(4); count > 0; --count) {
      absl::StrAppend(&routes, routes.empty() ? "" : " ",
                      MakeRoute(scheduler, from, !in_vain, letters));
    }
    const int64_t fails = in_vain ? kAlways : scheduler.OneIn(8) ? kAtFirst : kNever;
    events.push_back(absl::StrCat("{\"key\":\"", NameOf(from), "\",\"n\":", n, ",\"routes\":\"",
                                  routes, "\",\"fails\":", fails, "}"));
  }
  return events;
}

// Of one to another each once, in order.
std::string Peers::CheckOutputs(const OutputLines& lines) const {
  int64_t heard[kPeers][kPeers] = {};
  for (const OutputLine& line : lines) {
    const size_t to = NumberOf(line.Text("key")), from = NumberOf(line.Text("from"));
    if (line.Int("n") != ++heard[to][from]) {
      return absl::StrCat("message ", heard[to][from], " is due, not ", line.text);
    }
  }
  for (size_t to = 0; to < kPeers; ++to) {
    for (size_t from = 0; from < kPeers; ++from) {
      if (heard[to][from] == peers_[to].got[from]) continue;
      return absl::StrCat(NameOf(to), " has heard ", heard[to][from], " messages of ", NameOf(from),
                          ", not ", peers_[to].got[from]);
    }
  }
  return "";
}

std::string Peers::CheckState(const Rows& rows) const {
  for (size_t i = 0; i < kPeers; ++i) {
    std::vector<int64_t> wanted = {peers_[i].n};
    wanted.insert(wanted.end(), peers_[i].sent, peers_[i].sent + kPeers);
    wanted.insert(wanted.end(), peers_[i].got, peers_[i].got + kPeers);
    const auto row = rows.find("peer:" + NameOf(i));
    const std::vector<int64_t> found =
        row == rows.end() ? std::vector<int64_t>(wanted.size()) : row->second;
    if (found != wanted) {
      return absl::StrCat(NameOf(i), " has counted its messages wrong, or its events: ", found[0],
                          " of ", wanted[0]);
    }
  }
  return "";
}

}  // namespace bettong::sim
