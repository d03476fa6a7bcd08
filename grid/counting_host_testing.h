// A compute host without user code: every event and every "add" adds one to its entity's counter
// and notes the text that came with it. It keeps the contract of loan.h and nothing else, so that
// tests of the core and of its runtime need no other folder.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "grid/catalog.h"
#include "grid/change.h"
#include "grid/compute_host.h"
#include "grid/tagged.h"

namespace bettong::grid {

inline constexpr StreamId kCountedEvents{0};  // handled by the class
inline constexpr StreamId kCountedOut{1};
inline constexpr size_t kCountField = 0, kNoteField = 1;
inline constexpr uint16_t kAddCommand = 0, kReadCommand = 1;

// One class, Counter. Events have the shape that TestShard gives them.
inline std::shared_ptr<const Catalog> MakeCountingCatalog(std::string prefix = "counter") {
  auto catalog = std::make_shared<Catalog>();
  EventSchema event{.name = "Ev",
                    .fields = {{.name = "key", .type = EventFieldType::kText},
                               {.name = "script", .type = EventFieldType::kText},
                               {.name = "ts", .type = EventFieldType::kInt, .optional = true}}};
  catalog->streams = {{.name = "events", .event = event}, {.name = "out"}};
  ClassSchema& counter = catalog->classes.emplace_back();
  counter.name = "Counter";
  counter.prefix = std::move(prefix);
  counter.row.fields = {{.name = "count"}, {.name = "note", .type = FieldType::kText}};
  counter.handlers = {{.stream = kCountedEvents, .method = "on_event"}};
  counter.commands = {{.name = "add", .create = true}, {.name = "read"}};
  BETTONG_CHECK(catalog->Finish().empty());
  return catalog;
}

class CountingHost : public ComputeHost {
 public:
  // What a turn emits, if anything: called on the host's thread, after the turn.
  struct Emission {
    StreamId stream;
    std::string json;
  };
  using Observer = std::function<std::vector<Emission>(const Loan& loan, int64_t count)>;

  explicit CountingHost(std::shared_ptr<const Catalog> catalog, Observer observer = {})
      : schema_(catalog->classes[0].row),
        catalog_(std::move(catalog)),
        observer_(std::move(observer)) {}

  size_t RunBatch(std::span<const Loan> loans, LoanResults& results) override {
    for (const Loan& loan : loans) RunLoan(loan, results);
    return loans.size();
  }

 private:
  void RunLoan(const Loan& loan, LoanResults& results) {
    LoanResult result;
    result.kind = loan.kind;
    result.entry = loan.entry;
    result.token = loan.token;
    result.item = loan.item;
    std::string changes, reply;
    TaggedReader arguments(loan.arguments);
    if (loan.kind == TurnKind::kEvent) {
      Add(*loan.row, loan.event->Bytes(1), changes);
    } else if (loan.index == kAddCommand) {
      arguments.Next();
      Add(*loan.row, arguments.Next().bytes, changes);
    }
    int64_t count = loan.row->exists ? Count(*loan.row) : -1;
    result.changes_begin = results.bytes.size();
    results.bytes += changes;
    result.changes_end = result.reply_begin = results.bytes.size();
    if (loan.kind == TurnKind::kCall) TaggedWriter(results.bytes).Int(count);
    result.reply_end = results.bytes.size();
    result.outputs_begin = results.outputs.size();
    if (observer_) {
      for (const Emission& emission : observer_(loan, count)) {
        size_t begin = results.bytes.size();
        results.bytes += emission.json;
        results.outputs.push_back(LoanOutput{emission.stream, begin, results.bytes.size()});
      }
    }
    result.outputs_end = results.outputs.size();
    results.results.push_back(result);
  }

  int64_t Count(const WorkingRow& row) const {
    return LoadUnaligned<int64_t>(row.row.get() + schema_.fields[kCountField].offset);
  }

  void Add(WorkingRow& row, std::string_view note, std::string& changes) {
    bool created = !row.exists;
    if (created) schema_.InitDefaults(row.row.get(), row.entity_class);
    row.exists = true;
    StoreUnaligned(row.row.get() + schema_.fields[kCountField].offset, Count(row) + 1);
    RowString::Set(row.row.get() + schema_.fields[kNoteField].offset, note);
    std::string payload;
    if (created) {
      schema_.EncodeRow(row.row.get(), payload);
    } else {
      ByteWriter delta(payload);
      delta.Varint(2);
      for (size_t field : {kCountField, kNoteField}) {
        delta.Varint(field);
        schema_.EncodeField(row.row.get(), field, payload);
      }
    }
    BeginChange(changes, created ? ChangeOp::kEntityCreate : ChangeOp::kEntityDelta).Bytes(payload);
  }

  const RowSchema& schema_;
  std::shared_ptr<const Catalog> catalog_;
  Observer observer_;
};

}  // namespace bettong::grid
