// The core alone, no network: cost of turns, bytes per key, and expiry of a million keys at once.
//   bench_grid [keys | --smoke]
#include <absl/strings/str_cat.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "compute/inline_host.h"
#include "compute/turn_runner.h"
#include "grid/key_turn.h"
#include "grid/shard.h"

namespace bettong {
namespace {

using grid::Args;
using grid::KeyTurn;

size_t RssBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

class Timer {
 public:
  double Seconds() const { return Now() - start_; }

 private:
  static double Now() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
  }
  double start_ = Now();
};

const grid::CommandSpec kSet{.name = "SET", .run_key = [](KeyTurn& turn, Args args) {
                               turn.PutString(args[2], kNeverExpires);
                               turn.reply().append("+OK\r\n");
                             }};
const grid::CommandSpec kSetTtl{.name = "SET", .run_key = [](KeyTurn& turn, Args args) {
                                  turn.PutString(args[2], 1'000'000);
                                  turn.reply().append("+OK\r\n");
                                }};
const grid::CommandSpec kGet{.name = "GET", .run_key = [](KeyTurn& turn, Args) {
                               turn.reply().append(turn.exists() ? turn.string_value() : "nil");
                             }};

grid::Catalog MakeCatalog() {
  grid::Catalog catalog;
  catalog.streams.push_back(grid::StreamSchema{.name = "samples", .event = {.name = "Sample"}});
  catalog.streams[0].event.fields = {{.name = "value", .type = grid::EventFieldType::kInt}};
  grid::ClassSchema entity{.name = "Ent", .prefix = "ent"};
  for (const char* name : {"count", "sum", "max", "last", "status"}) {
    entity.row.fields.push_back(
        grid::FieldSchema{.name = name, .default_value = std::string("\1\0", 2)});
  }
  entity.ttl_ms = 100'000;
  entity.handlers.push_back(grid::HandlerSchema{.stream = StreamId(0), .method = "sample"});
  catalog.classes.push_back(std::move(entity));
  const std::string error = catalog.Finish();
  if (!error.empty())
    std::fprintf(stderr, "bench_grid: catalog: %s\n", error.c_str()), std::abort();
  return catalog;
}

class Bench {
 public:
  explicit Bench(size_t keys)
      : keys_(keys),
        catalog_(std::make_shared<grid::Catalog>(MakeCatalog())),
        map_(std::make_shared<grid::SlotMap>(kPartitionsDefault, 1, 42)) {}

  // With a log what changes is written down for it, and thrown away by the megabyte.
  std::unique_ptr<grid::Shard> MakeShard(bool with_log = false) {
    return std::make_unique<grid::Shard>(
        grid::ShardOptions{.slot_map = map_, .catalog = catalog_, .record_changes = with_log});
  }

  void Commands(grid::Shard& shard, const char* label, const grid::CommandSpec& spec,
                size_t stride) {
    constexpr size_t kBatch = 16;
    std::string value(32, 'x');
    std::vector<std::string> keys(kBatch);
    std::vector<std::array<std::string_view, 3>> args(kBatch);
    std::vector<grid::Message> messages(kBatch);
    size_t rss = RssBytes();
    Timer timer;
    for (size_t i = 0; i < keys_; i += kBatch) {
      for (size_t k = 0; k < kBatch; ++k) {
        char text[32];
        std::snprintf(text, sizeof(text), "key:%012zu", (i + k) * stride % keys_);
        keys[k] = text;
        args[k] = {"SET", keys[k], value};
        messages[k].key = map_->Key(keys[k]);
        messages[k].command = &spec;
        messages[k].args = args[k];
      }
      effects_.Clear();
      shard.Process(messages, 1000, effects_);
      TakeRecord(shard);
    }
    std::printf("%-28s %7.0f ns/op   %6.1f B RSS/key\n", label,
                timer.Seconds() * 1e9 / static_cast<double>(keys_),
                static_cast<double>(RssBytes() - rss) / static_cast<double>(keys_));
  }

  void Events(grid::Shard& shard, const char* label, size_t stride) {
    auto inline_host = std::make_unique<compute::InlineHost>(catalog_);
    inline_host->Define(ClassId(0), grid::TurnKind::kEvent, 0, [](compute::InlineTurn& turn) {
      turn.SetInt(0, turn.Int(0) + 1);
      turn.SetInt(1, turn.Int(1) + turn.event()->Int(0));
    });
    compute::TurnRunner runner(catalog_, std::move(inline_host));
    grid::LoanResults results;
    size_t rss = RssBytes();
    Timer timer;
    constexpr size_t kBatch = 256;
    for (size_t i = 0; i < keys_; i += kBatch) {
      auto* batch = new grid::EventBatch;
      for (size_t k = 0; k < kBatch && i + k < keys_; ++k) {
        grid::EventRecordBuilder record(batch->records, StreamId(0), 1);
        record.SetInt(0, 7);
        record.Finish();
        std::string key =
            absl::StrCat("ent:", absl::Dec((i + k) * stride % keys_, absl::kZeroPad12));
        KeyRef ref = map_->Key(key);
        batch->items.push_back(
            grid::EventBatch::Item{.record_offset = static_cast<uint32_t>(record.offset()),
                                   .key_offset = static_cast<uint32_t>(batch->keys.size()),
                                   .key_size = static_cast<uint32_t>(key.size()) & 0xffffff,
                                   .hash = ref.hash,
                                   .slot = ref.slot});
        batch->keys.Append(key);
      }
      grid::Message message{.kind = grid::MessageKind::kEvents};
      message.events = batch;
      effects_.Clear();
      shard.Process({&message, 1}, 1000, effects_);
      results.Clear();
      for (std::span<const grid::Loan> left = effects_.loans; !left.empty();) {
        left = left.subspan(runner.RunBatch(left, results));
      }
      message = grid::Message{.kind = grid::MessageKind::kLoanResults};
      message.results = &results;
      effects_.Clear();
      shard.Process({&message, 1}, 1000, effects_);
      for (grid::EventBatch* done : effects_.completed) delete done;
      TakeRecord(shard);
    }
    std::printf("%-28s %7.0f ns/op   %6.1f B RSS/key\n", label,
                timer.Seconds() * 1e9 / static_cast<double>(keys_),
                static_cast<double>(RssBytes() - rss) / static_cast<double>(keys_));
  }

  void Expire(grid::Shard& shard) {
    Timer timer;
    size_t slices = 0;
    double longest = 0;
    while (shard.key_count() > 0) {
      Timer slice;
      effects_.Clear();
      shard.Process({}, 1'000'000, effects_);
      longest = std::max(longest, slice.Seconds());
      ++slices;
    }
    std::printf("%-28s %7.0f ns/key  %zu slices, longest %.0f us\n", "expire all at once",
                timer.Seconds() * 1e9 / static_cast<double>(keys_), slices, longest * 1e6);
  }

 private:
  void TakeRecord(grid::Shard& shard) {
    if (shard.recorded_bytes() < 1u << 20) return;
    shard.TakeRecord(record_);
    shard.Recycle(record_);
  }

  size_t keys_;
  std::shared_ptr<grid::Catalog> catalog_;
  std::shared_ptr<grid::SlotMap> map_;
  grid::Effects effects_;
  wal::LogRecord record_;
};

}  // namespace
}  // namespace bettong

int main(int argc, char** argv) {
  size_t keys = 1'000'000;
  if (argc > 1)
    keys = argv[1] == std::string_view("--smoke") ? 1000 : std::strtoull(argv[1], nullptr, 10);
  bettong::Bench bench(keys);
  constexpr size_t kStride = 7919 * 104729 % 1'000'003;  // visits keys in no particular order
  {
    auto shard = bench.MakeShard();
    bench.Commands(*shard, "SET new, 16 B + 32 B", bettong::kSet, 1);
    bench.Commands(*shard, "SET again", bettong::kSet, kStride);
    bench.Commands(*shard, "GET", bettong::kGet, kStride);
    auto logged = bench.MakeShard(/*with_log=*/true);
    bench.Commands(*logged, "SET new, log", bettong::kSet, 1);
    bench.Commands(*logged, "SET again, log", bettong::kSet, kStride);
  }
  auto shard = bench.MakeShard();
  bench.Commands(*shard, "SET new with TTL", bettong::kSetTtl, 1);
  bench.Expire(*shard);
  auto entities = bench.MakeShard();
  bench.Events(*entities, "entity created by event", 1);
  bench.Events(*entities, "entity event", kStride);
  auto logged = bench.MakeShard(/*with_log=*/true);
  bench.Events(*logged, "entity created, log", 1);
  bench.Events(*logged, "entity event, log", kStride);
  return 0;
}
