// A node without compute or protocol, for tests of this folder: shards in one thread, each with a
// gate and a host that notes the turns it was asked to run.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "grid/catalog.h"
#include "grid/compute_host.h"
#include "grid/runtime/shard_loop.h"
#include "ingest/collect_sinks.h"
#include "ingest/gate.h"
#include "ingest/shard_door.h"

namespace bettong::ingest {

grid::EventField Field(std::string name, grid::EventFieldType type, std::string default_json = "");
grid::EventField OptionalField(std::string name, grid::EventFieldType type,
                               std::string default_json = "");

// "samples" of class Sample {host: str, value: float, ts: int (time), count: int = 1} handled by
// Host.sample (key "host", event-clock ttl of 1000 ms) and "raw" without a class, handled by
// Raw.line (key field "name").
grid::Catalog SampleCatalog();

struct SeenTurn {
  size_t shard = 0;
  grid::TurnKind kind = grid::TurnKind::kEvent;
  std::string redis_key;
  std::string event;  // as JSON
  TimeMs watermark_ms = kNoTime;
};

class TestNode {
 public:
  TestNode(grid::Catalog catalog, size_t shards, GateOptions options = {});
  ~TestNode();

  grid::ShardLoop& shard(size_t i) { return *shards_[i]; }
  Gate& gate(size_t i) { return *doors_[i].gate; }
  std::vector<ShardDoor> doors() const { return doors_; }
  const grid::Catalog& catalog() const { return *catalog_; }
  CollectSinks& sinks() { return sinks_; }
  StreamId stream(std::string_view name) const;

  // Runs all shards until nothing is left to do.
  void Run();
  // Runs them until `done` holds; false after ten seconds.
  bool RunUntil(const std::function<bool()>& done);

  // Turns seen so far, in order.
  std::vector<SeenTurn> turns;
  // For kKeys turns: the keys of an event; by default the words of its first text.
  std::function<std::vector<std::string>(const grid::EventRecord&)> find_keys;
  // What an event turn emits, as (stream, JSON); by default nothing.
  std::function<std::vector<std::pair<StreamId, std::string>>(const SeenTurn&)> emit;
  TimeMs now_ms = 1'000'000;

 private:
  class Host;
  size_t Poll();

  std::shared_ptr<const grid::Catalog> catalog_;
  CollectSinks sinks_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<std::unique_ptr<grid::ShardLoop>> shards_;
  std::vector<ShardDoor> doors_;
};

// A source for tests: notes when all its consequences are done.
class TestSource final : public grid::SourceControl {
 public:
  TestSource(TestNode& node, size_t shard, StreamId stream);
  ~TestSource();

  void OnCredit() override { credits.push_back(outstanding()); }
  int64_t outstanding() const { return shard_.Outstanding(channel.source); }
  // Routes lines as one read.
  void Read(const std::vector<std::string>& lines);
  void Leave() { gate_.Leave(channel, /*at_end=*/true); }

  SourceCounters counters;
  InputChannel channel;
  std::vector<int64_t> credits;

 private:
  grid::ShardLoop& shard_;
  Gate& gate_;
};

}  // namespace bettong::ingest
