#include "ingest/ingest_testing.h"

#include <chrono>
#include <thread>

#include "base/bytes.h"
#include "base/check.h"
#include "grid/change.h"
#include "grid/tagged.h"

namespace bettong::ingest {
namespace {

grid::ClassSchema EntityClass(std::string name, StreamId stream, std::string method,
                              grid::KeySpec key) {
  grid::ClassSchema entity_class;
  entity_class.prefix = grid::SnakeCase(name);
  entity_class.name = std::move(name);
  entity_class.handlers.push_back({stream, std::move(method), std::move(key)});
  return entity_class;
}

std::vector<std::string> Words(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t space = std::min(text.find(' '), text.size());
    if (space > 0) words.emplace_back(text.substr(0, space));
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  return words;
}

}  // namespace

grid::EventField Field(std::string name, grid::EventFieldType type, std::string default_json) {
  return {.name = std::move(name),
          .type = type,
          .required = default_json.empty(),
          .default_json = std::move(default_json)};
}

grid::EventField OptionalField(std::string name, grid::EventFieldType type,
                               std::string default_json) {
  grid::EventField field = Field(std::move(name), type, std::move(default_json));
  field.optional = true;
  return field;
}

grid::Catalog SampleCatalog() {
  using grid::EventFieldType;
  grid::Catalog catalog;
  grid::StreamSchema samples{.name = "samples"};
  samples.event.name = "Sample";
  samples.event.fields = {Field("host", EventFieldType::kText),
                          Field("value", EventFieldType::kFloat), Field("ts", EventFieldType::kInt),
                          Field("count", EventFieldType::kInt, "1")};
  samples.event.time_field = 2;
  catalog.streams.push_back(std::move(samples));
  catalog.streams.push_back({.name = "raw"});
  grid::ClassSchema host =
      EntityClass("Host", StreamId(0), "sample", {.field = 0, .field_name = "host"});
  host.clock = grid::TtlClock::kEvent;
  host.ttl_ms = 1000;
  host.has_on_expire = true;
  catalog.classes.push_back(std::move(host));
  catalog.classes.push_back(EntityClass("Raw", StreamId(1), "line", {.field_name = "name"}));
  BETTONG_CHECK(catalog.Finish().empty());
  return catalog;
}

// --- the host

class TestNode::Host : public grid::ComputeHost {
 public:
  Host(TestNode& node, size_t shard) : node_(node), shard_(shard) {}

  size_t RunBatch(std::span<const grid::Loan> loans, grid::LoanResults& results) override {
    for (const grid::Loan& loan : loans) RunOne(loan, results);
    return loans.size();
  }

 private:
  void RunOne(const grid::Loan& loan, grid::LoanResults& results) {
    SeenTurn& turn = node_.turns.emplace_back();
    turn.shard = shard_;
    turn.kind = loan.kind;
    turn.watermark_ms = loan.watermark_ms;
    if (loan.row != nullptr) turn.redis_key = loan.row->redis_key;
    if (loan.event != nullptr) {
      turn.event = grid::RenderEventJson(*loan.event,
                                         node_.catalog().streams[loan.event->stream.value()].event);
    }
    grid::LoanResult& result = results.results.emplace_back();
    result.kind = loan.kind;
    result.entry = loan.entry;
    result.token = loan.token;
    result.item = loan.item;
    result.changes_begin = static_cast<uint32_t>(results.bytes.size());
    std::string changes;
    if (loan.row != nullptr) WriteChanges(loan, changes);
    results.bytes += changes;
    result.changes_end = result.reply_begin = static_cast<uint32_t>(results.bytes.size());
    if (loan.kind == grid::TurnKind::kKeys) {
      grid::TaggedWriter reply(results.bytes);
      const std::vector<std::string> keys =
          node_.find_keys ? node_.find_keys(*loan.event) : Words(loan.event->Bytes(0));
      reply.List(keys.size());
      for (const std::string& key : keys) reply.Text(key);
    }
    result.reply_end = static_cast<uint32_t>(results.bytes.size());
    result.outputs_begin = static_cast<uint32_t>(results.outputs.size());
    if (node_.emit && loan.kind == grid::TurnKind::kEvent) {
      for (const auto& [stream, json] : node_.emit(SeenTurn(turn))) {
        const auto begin = static_cast<uint32_t>(results.bytes.size());
        results.bytes.append(json);
        results.outputs.push_back({stream, begin, static_cast<uint32_t>(results.bytes.size())});
      }
    }
    result.outputs_end = static_cast<uint32_t>(results.outputs.size());
  }

  // Creates the entity, refreshes its deadline, or lets it go.
  void WriteChanges(const grid::Loan& loan, std::string& changes) {
    const grid::ClassSchema& entity_class = node_.catalog().classes[loan.entity_class.value()];
    grid::WorkingRow& row = *loan.row;
    if (loan.kind == grid::TurnKind::kExpire) {
      grid::BeginChange(changes, grid::ChangeOp::kEntityExpire);
      if (row.exists) entity_class.row.Destroy(row.row.get());
      row.exists = false;
      return;
    }
    if (!row.exists) {
      entity_class.row.InitDefaults(row.row.get(), loan.entity_class);
      row.exists = true;
      std::string whole;
      entity_class.row.EncodeRow(row.row.get(), whole);
      grid::BeginChange(changes, grid::ChangeOp::kEntityCreate).Bytes(whole);
    }
    if (!entity_class.ttl_ms.has_value() || loan.event == nullptr) return;
    const TimeMs from =
        entity_class.clock == grid::TtlClock::kEvent ? loan.event->time_ms : loan.now_ms;
    row.deadline_ms = from + *entity_class.ttl_ms;
    grid::BeginChange(changes, grid::ChangeOp::kDeadline).Fixed(row.deadline_ms);
  }

  TestNode& node_;
  const size_t shard_;
};

// --- the node

TestNode::TestNode(grid::Catalog catalog, size_t shards, GateOptions options)
    : catalog_(std::make_shared<const grid::Catalog>(std::move(catalog))) {
  auto slot_map =
      std::make_shared<grid::SlotMap>(kPartitionsDefault, static_cast<uint32_t>(shards), 42);
  std::vector<grid::ShardLoop*> loops;
  for (size_t i = 0; i < shards; ++i) {
    hosts_.push_back(std::make_unique<Host>(*this, i));
    grid::ShardLoopOptions loop;
    loop.shard.id = ShardId(static_cast<uint16_t>(i));
    loop.shard.slot_map = slot_map;
    loop.shard.catalog = catalog_;
    loop.inline_host = hosts_.back().get();
    loop.sinks = &sinks_;
    loop.clock = [this] { return now_ms; };
    shards_.push_back(std::make_unique<grid::ShardLoop>(std::move(loop)));
    loops.push_back(shards_.back().get());
  }
  sinks_.Start(loops);
  for (grid::ShardLoop* loop : loops) {
    loop->SetShards(loops);
    auto gate = std::make_unique<Gate>(*loop, options);
    doors_.push_back({loop, gate.get()});
    loop->SetGate(std::move(gate));
  }
}

TestNode::~TestNode() = default;

StreamId TestNode::stream(std::string_view name) const {
  StreamId id;
  BETTONG_CHECK(catalog_->FindStream(name, &id) != nullptr);
  return id;
}

size_t TestNode::Poll() {
  size_t ran = 0;
  for (const auto& shard : shards_) {
    shard->io().restart();
    ran += shard->io().poll();
  }
  return ran;
}

void TestNode::Run() {
  while (Poll() > 0) {
  }
}

bool TestNode::RunUntil(const std::function<bool()>& done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!done()) {
    if (Poll() > 0) continue;
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();  // threads and sockets beside the shards have something to do
  }
  return true;
}

TestSource::TestSource(TestNode& node, size_t shard, StreamId stream)
    : shard_(node.shard(shard)), gate_(node.gate(shard)) {
  channel.SetSource(shard_.AddSource(this));
  channel.stream = stream;
  channel.counters = &counters;
}

TestSource::~TestSource() { shard_.RemoveSource(channel.source); }

void TestSource::Read(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) {
    std::string padded = line + std::string(kFramePaddingBytes, '\0');
    gate_.RouteFrame(channel, {Frame::Kind::kFrame, std::string_view(padded).substr(0, line.size()),
                               line.size()});
  }
  gate_.EndRead(channel);
}

}  // namespace bettong::ingest
