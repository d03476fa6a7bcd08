#include "tests/sim/sim_app.h"

#include <absl/strings/str_cat.h>

#include <memory>
#include <stdexcept>
#include <utility>

#include "base/check.h"
#include "base/simulation.h"
#include "compute/inline_host.h"
#include "grid/tagged.h"

namespace bettong::sim {
namespace {

using compute::InlineTurn;
using grid::EventFieldType;
using grid::TurnKind;

// Of Account.work: so often a turn that fails is tried again.
constexpr uint16_t kWorkRetries = 2;
constexpr uint32_t kWorkBackoffMs = 30;

constexpr ClassId kAccount{0}, kSession{1}, kTally{2}, kCounter{3}, kVisit{4}, kRelay{5};
// Fields of events.
constexpr size_t kKey = 0, kN = 1, kTo = 2, kAmount = 3;

void WorkOn(InlineTurn& turn, const grid::EventRecord& event) {
  enum { kLastN, kSent, kBalance };
  const int64_t n = event.Int(kN);
  const int64_t amount = event.Int(kAmount);
  if (amount < 0) throw std::runtime_error(absl::StrCat("fails ", n));
  if (n != turn.Int(kLastN) + 1) Bad(turn, absl::StrCat(n, " after ", turn.Int(kLastN)));
  turn.SetInt(kLastN, n);
  turn.SetInt(kSent, turn.Int(kSent) + amount);
  turn.SetInt(kBalance, turn.Int(kBalance) - amount);
  turn.Emit("moves", absl::StrCat("{\"to\":\"", std::string(event.Bytes(kTo)),
                                  "\",\"amount\":", amount, "}"));
  turn.Emit("out", absl::StrCat("{\"k\":\"", std::string(turn.key()), "\",\"n\":", n,
                                ",\"sent\":", turn.Int(kSent), "}"));
}

void ReceiveOf(InlineTurn& turn, const grid::EventRecord& event) {
  enum { kLastN, kSent, kBalance, kReceived, kReceipts };
  const int64_t amount = event.Int(1);
  turn.SetInt(kBalance, turn.Int(kBalance) + amount);
  turn.SetInt(kReceived, turn.Int(kReceived) + amount);
  turn.SetInt(kReceipts, turn.Int(kReceipts) + 1);
}

void Receive(InlineTurn& turn) {
  ForEachEvent(turn, [&](const grid::EventRecord& event) { ReceiveOf(turn, event); });
}

// Some turns fail at the first try that a process makes; what is behind them in line comes later.
void Work(InlineTurn& turn, FirstTries& tries) {
  if (turn.events().size() > 1) BETTONG_SOMETIMES(turn_of_several_events);
  ForEachEvent(turn, [&](const grid::EventRecord& event) {
    const int64_t n = event.Int(kN);
    if (n % 5 == 0 && tries.Fails(turn.key(), n)) throw std::runtime_error("not yet");
    WorkOn(turn, event);
  });
}

enum { kFirst, kLast, kCount, kAt };

void TickOf(InlineTurn& turn, const grid::EventRecord& event) {
  const int64_t n = event.Int(kN);
  if (turn.Int(kCount) == 0) {
    turn.SetInt(kFirst, n);
  } else if (n != turn.Int(kLast) + 1) {
    Bad(turn, absl::StrCat("tick ", n, " after ", turn.Int(kLast)));
  }
  if (turn.now_ms() < turn.Int(kAt)) Bad(turn, "time went back");
  turn.SetInt(kLast, n);
  turn.SetInt(kCount, turn.Int(kCount) + 1);
  turn.SetInt(kAt, turn.now_ms());
}

void Tick(InlineTurn& turn) {
  ForEachEvent(turn, [&](const grid::EventRecord& event) { TickOf(turn, event); });
}

void Gone(InlineTurn& turn) {
  if (turn.now_ms() < turn.Int(kAt) + kSessionTtlMs) Bad(turn, "expired early");
  turn.Emit("out",
            absl::StrCat("{\"gone\":\"", std::string(turn.key()), "\",\"first\":", turn.Int(kFirst),
                         ",\"last\":", turn.Int(kLast), ",\"count\":", turn.Int(kCount), "}"));
}

void Add(InlineTurn& turn) {
  if (turn.arguments().find("fail") != std::string_view::npos) throw std::runtime_error("it fails");
  turn.SetInt(0, turn.Int(0) + 1);
  turn.Emit("out",
            absl::StrCat("{\"called\":\"", std::string(turn.key()), "\",\"n\":", turn.Int(0), "}"));
  grid::TaggedWriter(turn.reply()).Int(turn.Int(0));
}

void Feed(InlineTurn& turn) {
  turn.Emit("out", absl::StrCat("{\"fed\":\"", std::string(turn.key()),
                                "\",\"n\":", turn.event()->Int(kN), "}"));
}

void Visit(InlineTurn& turn) {
  ForEachEvent(turn, [&](const grid::EventRecord& event) {
    const int64_t n = event.Int(kN);
    if (turn.Int(kCount) == 0) turn.SetInt(kFirst, n);
    turn.SetInt(kLast, n);
    turn.SetInt(kCount, turn.Int(kCount) + 1);
  });
}

void LeaveVisit(InlineTurn& turn) {
  turn.Emit("out",
            absl::StrCat("{\"left\":\"", std::string(turn.key()), "\",\"first\":", turn.Int(kFirst),
                         ",\"last\":", turn.Int(kLast), ",\"count\":", turn.Int(kCount), "}"));
}

// A function: work goes on to relays, in order.
void Pass(InlineTurn& turn) {
  const int64_t n = turn.event()->Int(kN);
  turn.Emit("relayed", absl::StrCat("{\"key\":\"", std::string(turn.event()->Bytes(kKey)),
                                    "\",\"n\":", n, "}"));
  if (turn.event()->Int(kAmount) < 0) throw std::runtime_error(absl::StrCat("no relay of ", n));
}

void Relay(InlineTurn& turn) {
  const int64_t n = turn.event()->Int(kN);
  if (n != turn.Int(0) + 1) Bad(turn, absl::StrCat("relayed ", n, " after ", turn.Int(0)));
  turn.SetInt(0, n);
}

// Its handler runs where n > marked + 3 holds.
grid::Condition FourMore() {
  using Kind = grid::ConditionTerm::Kind;
  grid::Condition condition;
  condition.terms = {{.kind = Kind::kEventField, .at = kN},
                     {.kind = Kind::kField, .at = 1},
                     {.kind = Kind::kInt, .integer = kMarkedEvery - 1},
                     {.kind = Kind::kAdd},
                     {.kind = Kind::kGreater}};
  return condition;
}

void Mark(InlineTurn& turn) {
  const int64_t n = turn.event()->Int(kN);
  if (n != turn.Int(1) + kMarkedEvery) {
    Bad(turn, absl::StrCat("marked ", n, " after ", turn.Int(1)));
  }
  turn.SetInt(1, n);
}

std::vector<std::string> TallyKeys(int64_t n) {
  return {absl::StrCat("t", n % 3), absl::StrCat("u", n % 2), absl::StrCat("t", n % 4)};
}

}  // namespace

std::shared_ptr<const grid::Catalog> MakeCatalog(const AppOptions& options) {
  auto catalog = std::make_shared<grid::Catalog>();
  catalog->streams.resize(7);
  grid::StreamSchema& work = catalog->streams[0];
  work.name = "work";
  work.event.name = "Work";
  work.event.fields = {Field("key", EventFieldType::kText), Field("n", EventFieldType::kInt),
                       Field("to", EventFieldType::kText), Field("amount", EventFieldType::kInt)};
  work.view_entries_max = 0;
  grid::StreamSchema& moves = catalog->streams[1];
  moves.name = "moves";
  moves.event.name = "Move";
  moves.event.fields = {Field("to", EventFieldType::kText), Field("amount", EventFieldType::kInt)};
  moves.view_entries_max = 50;
  grid::StreamSchema& ticks = catalog->streams[2];
  ticks.name = "ticks";
  ticks.event.name = "Tick";
  ticks.event.fields = {Field("key", EventFieldType::kText), Field("n", EventFieldType::kInt)};
  catalog->streams[3].name = "out";
  catalog->streams[3].view_entries_max = 200;
  grid::StreamSchema& feed = catalog->streams[4];
  feed.name = "feed";
  feed.event.name = "Fed";
  feed.event.fields = {Field("key", EventFieldType::kText), Field("n", EventFieldType::kInt)};
  feed.adds_are_durable = options.adds_are_durable;
  grid::StreamSchema& visits = catalog->streams[5];
  visits.name = "visits";
  visits.event.name = "Visited";
  visits.event.fields = {Field("key", EventFieldType::kText), Field("n", EventFieldType::kInt),
                         Field("at", EventFieldType::kInt)};
  visits.event.time_field = 2;
  grid::StreamSchema& relayed = catalog->streams[6];
  relayed.name = "relayed";
  relayed.event.name = "Relayed";
  relayed.event.fields = {Field("key", EventFieldType::kText), Field("n", EventFieldType::kInt)};
  catalog->functions = {{.name = "pass", .stream = StreamId(0)}};

  const auto handler = [](uint16_t stream, const char* method, const char* key, size_t field) {
    grid::HandlerSchema made;
    made.stream = StreamId(stream);
    made.method = method;
    made.key.field_name = key;
    made.key.field = field;
    if (*key == '\0') made.key.kind = grid::KeySpec::Kind::kFunction;
    return made;
  };
  catalog->classes.resize(6);
  grid::ClassSchema& account = catalog->classes[kAccount.value()];
  account.name = "Account";
  account.prefix = "account";
  account.row.fields = {{.name = "n"},
                        {.name = "sent"},
                        {.name = "balance"},
                        {.name = "received"},
                        {.name = "receipts"}};
  account.handlers = {handler(0, "work", "key", kKey), handler(1, "receive", "to", 0)};
  account.handlers[0].on_error = RetryPolicy(kWorkRetries, kWorkBackoffMs);
  grid::ClassSchema& session = catalog->classes[kSession.value()];
  session.name = "Session";
  session.prefix = "session";
  session.row.fields = {{.name = "first"}, {.name = "last"}, {.name = "count"}, {.name = "at"}};
  session.ttl_ms = kSessionTtlMs;
  session.has_on_expire = true;
  session.handlers = {handler(2, "tick", "key", kKey)};
  grid::ClassSchema& tally = catalog->classes[kTally.value()];
  tally.name = "Tally";
  tally.prefix = "tally";
  tally.row.fields = {{.name = "count"}};
  tally.handlers = {handler(0, "count", "", 0)};
  grid::ClassSchema& counter = catalog->classes[kCounter.value()];
  counter.name = "Counter";
  counter.prefix = "counter";
  counter.row.fields = {{.name = "calls"}};
  counter.commands = {{.name = "add", .create = true}};
  counter.handlers = {handler(4, "feed", "key", kKey)};
  grid::ClassSchema& visit = catalog->classes[kVisit.value()];
  visit.name = "Visit";
  visit.prefix = "visit";
  visit.row.fields = {{.name = "first"}, {.name = "last"}, {.name = "count"}};
  visit.ttl_ms = kVisitTtlMs;
  visit.clock = grid::TtlClock::kEvent;
  visit.has_on_expire = true;
  visit.handlers = {handler(5, "visit", "key", kKey)};
  grid::ClassSchema& relay = catalog->classes[kRelay.value()];
  relay.name = "Relay";
  relay.prefix = "relay";
  relay.row.fields = {{.name = "last"}, {.name = "marked"}};
  relay.handlers = {handler(6, "relay", "key", kKey), handler(6, "mark", "key", kKey)};
  relay.handlers[1].when = FourMore();
  for (grid::ClassSchema* shares : {&account, &session, &visit}) {
    for (grid::HandlerSchema& each : shares->handlers) each.batch_max = options.batch_max;
  }
  DeclarePeers(*catalog);
  DeclareMeters(*catalog, options.lateness_ms, options.batch_max);
  DeclareGauges(*catalog, options.gauges);
  DeclareReminders(*catalog);
  const std::string error = catalog->Finish();
  BETTONG_CHECK(error.empty());
  return catalog;
}

std::unique_ptr<grid::ComputeHost> MakeHost(std::shared_ptr<const grid::Catalog> catalog) {
  auto host = std::make_unique<compute::InlineHost>(catalog);
  const grid::ClassSchema& account = catalog->classes[kAccount.value()];
  // What fails together fails alone, too, and so is tried again.
  host->Define(kAccount, TurnKind::kEvent, 0,
               [tries = FirstTries(account.handlers[0].batch_max > 0 ? 2 : 1)](
                   InlineTurn& turn) mutable { Work(turn, tries); });
  host->Define(kAccount, TurnKind::kEvent, 1, Receive);
  host->Define(kSession, TurnKind::kEvent, 0, Tick);
  host->Define(kSession, TurnKind::kExpire, 0, Gone);
  host->Define(kCounter, TurnKind::kCall, 0, Add);
  host->Define(kCounter, TurnKind::kEvent, 0, Feed);
  host->Define(kVisit, TurnKind::kEvent, 0, Visit);
  host->Define(kVisit, TurnKind::kExpire, 0, LeaveVisit);
  host->Define(ClassId(0), TurnKind::kFunction, 0, Pass);
  host->Define(kRelay, TurnKind::kEvent, 0, Relay);
  host->Define(kRelay, TurnKind::kEvent, 1, Mark);
  host->Define(kTally, TurnKind::kEvent, 0,
               [](InlineTurn& turn) { turn.SetInt(0, turn.Int(0) + 1); });
  host->Define(kTally, TurnKind::kKeys, 0, [](InlineTurn& turn) {
    grid::TaggedWriter out(turn.reply());
    const std::vector<std::string> keys = TallyKeys(turn.event()->Int(kN));
    out.List(keys.size());
    for (const std::string& key : keys) out.Text(key);
  });
  DefinePeers(*catalog, *host);
  DefineMeters(*catalog, *host);
  DefineGauges(*catalog, *host);
  DefineReminders(*catalog, *host);
  return std::make_unique<compute::TurnRunner>(std::move(catalog), std::move(host));
}

std::string Expected::Work(const std::string& key, const std::string& to, int64_t amount) {
  Account& account = accounts[key];
  account.sent.push_back((account.sent.empty() ? 0 : account.sent.back()) + amount);
  ++account.n;
  accounts[to].received += amount;
  ++accounts[to].receipts;
  for (const std::string& tally : TallyKeys(account.n)) ++tallies[tally];
  return absl::StrCat("{\"key\":\"", key, "\",\"n\":", account.n, ",\"to\":\"", to,
                      "\",\"amount\":", amount, "}");
}

std::string Expected::Failing(const std::string& key) {
  const int64_t n = 1'000'000 + ++failing_;
  ++letters[absl::StrCat("fails ", n)];
  ++letters[absl::StrCat("no relay of ", n)];
  for (const std::string& tally : TallyKeys(n)) ++tallies[tally];
  return absl::StrCat("{\"key\":\"", key, "\",\"n\":", n, ",\"to\":\"\",\"amount\":-1}");
}

std::string Expected::Garbage(uint64_t number) {
  ++letters[absl::StrCat("garbage ", number, ".")];
  return absl::StrCat("garbage ", number, ".");
}

std::string Expected::Tick(const std::string& key) {
  return absl::StrCat("{\"key\":\"", key, "\",\"n\":", ++sessions[key], "}");
}

std::string Expected::Visit(const std::string& key, int64_t at_ms) {
  LastVisit& last = last_visits_[key];
  std::vector<Life>& lives = visits[key];
  const int64_t n = ++last.n;
  if (lives.empty() || at_ms > last.at_ms + kVisitTtlMs) lives.push_back({.first = n});
  lives.back().last = n;
  last.at_ms = at_ms;
  return absl::StrCat("{\"key\":\"", key, "\",\"n\":", n, ",\"at\":", at_ms, "}");
}

}  // namespace bettong::sim
