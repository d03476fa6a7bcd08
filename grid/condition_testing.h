// A class and an event with fields of all kinds, and conditions on them as trees.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/byte_buffer.h"
#include "grid/catalog.h"
#include "grid/condition.h"
#include "grid/containers/window.h"
#include "grid/event.h"

namespace bettong::grid::condition_testing {

using Kind = ConditionTerm::Kind;

inline constexpr size_t kN = 0, kX = 1, kUp = 2, kName = 3, kMaybe = 4, kInts = 5, kFloats = 6,
                        kBare = 7,
                        kBlob = 8;  // fields of the class
inline constexpr size_t kCount = 0, kLoad = 1, kHost = 2, kFlag = 3, kTags = 4,
                        kSure = 5;  // of the event

// A condition, before it is put into postfix order.
struct Tree {
  ConditionTerm term;
  std::vector<Tree> of;
};

inline Tree None() { return {{.kind = Kind::kNone}, {}}; }
inline Tree Bool(bool value) { return {{.kind = Kind::kBool, .integer = value ? 1 : 0}, {}}; }
inline Tree Int(int64_t value) { return {{.kind = Kind::kInt, .integer = value}, {}}; }
inline Tree Float(double value) { return {{.kind = Kind::kFloat, .real = value}, {}}; }
inline Tree Text(std::string value) {
  return {{.kind = Kind::kText, .text = std::move(value)}, {}};
}
inline Tree Key() { return {{.kind = Kind::kKey}, {}}; }
inline Tree Field(size_t at) { return {{.kind = Kind::kField, .at = at}, {}}; }
inline Tree Event(size_t at) { return {{.kind = Kind::kEventField, .at = at}, {}}; }
inline Tree Of(size_t window, WindowPart part) {
  return {{.kind = Kind::kWindow, .part = part, .at = window}, {}};
}
inline Tree Do(Kind kind, Tree left) { return {{.kind = kind}, {std::move(left)}}; }
inline Tree Do(Kind kind, Tree left, Tree right) {
  return {{.kind = kind}, {std::move(left), std::move(right)}};
}

inline void Flatten(const Tree& tree, std::vector<ConditionTerm>& terms) {
  for (const Tree& operand : tree.of) Flatten(operand, terms);
  terms.push_back(tree.term);
}

// What an event and its entity hold.
struct Facts {
  int64_t n = 0;
  double x = 0;
  bool up = false;
  std::string name;
  std::optional<int64_t> maybe;
  std::optional<int64_t> count;
  double load = 0;
  std::optional<std::string> host;
  std::optional<bool> flag;
  bool sure = false;
  std::string key = "a";
  std::vector<int64_t> ints;  // values of the windows, a ms apart
  std::vector<double> floats;
};

class ConditionTest : public ::testing::Test {
 protected:
  ConditionTest() {
    const WindowSpec ints = {
        .is_float = false, .keeps = kKeepAll, .size_ms = 3000, .pane_ms = 1000};
    const WindowSpec floats = {.keeps = kKeepAll, .size_ms = 3000, .pane_ms = 1000};
    const WindowSpec bare = {.keeps = 0, .size_ms = 3000, .pane_ms = 1000};
    class_.name = "Host";
    class_.row.fields = {{.name = "n"},
                         {.name = "x", .type = FieldType::kFloat},
                         {.name = "up", .type = FieldType::kBool},
                         {.name = "name", .type = FieldType::kText},
                         {.name = "maybe", .optional = true},
                         {.name = "ints", .type = FieldType::kWindow, .window = ints},
                         {.name = "floats", .type = FieldType::kWindow, .window = floats},
                         {.name = "bare", .type = FieldType::kWindow, .window = bare},
                         {.name = "blob", .type = FieldType::kBytes}};
    event_ = {.name = "Sample",
              .fields = {{.name = "count", .type = EventFieldType::kInt, .optional = true},
                         {.name = "load", .type = EventFieldType::kFloat},
                         {.name = "host", .type = EventFieldType::kText, .optional = true},
                         {.name = "flag", .type = EventFieldType::kBool, .optional = true},
                         {.name = "tags", .type = EventFieldType::kList},
                         {.name = "sure", .type = EventFieldType::kBool}}};
    EXPECT_EQ(class_.row.Finish(), "");
    row_ = std::make_unique<char[]>(class_.row.row_bytes());
  }
  ~ConditionTest() override { Put({}), class_.row.Destroy(row_.get()); }

  char* at(size_t field) { return row_.get() + class_.row.fields[field].offset; }

  void Put(const Facts& facts) {
    const RowSchema& schema = class_.row;
    if (built_) schema.Destroy(row_.get());
    built_ = true;
    schema.InitDefaults(row_.get(), ClassId(0));
    schema.MakeContainers(row_.get());
    StoreUnaligned(at(kN), facts.n);
    StoreUnaligned(at(kX), facts.x);
    StoreUnaligned(at(kUp), facts.up);
    RowString::Set(at(kName), facts.name);
    schema.SetNull(row_.get(), schema.fields[kMaybe], !facts.maybe);
    if (facts.maybe) StoreUnaligned(at(kMaybe), *facts.maybe);
    TimeMs now = 0;
    for (const int64_t value : facts.ints) Add(kInts, static_cast<uint64_t>(value), now++);
    for (const double value : facts.floats) Add(kFloats, std::bit_cast<uint64_t>(value), now++);
    buffer_.clear();
    EventRecordBuilder builder(buffer_, StreamId(0), event_.fields.size());
    facts.count ? builder.SetInt(kCount, *facts.count) : builder.SetNull(kCount);
    builder.SetFloat(kLoad, facts.load);
    facts.host ? builder.SetBytes(kHost, *facts.host) : builder.SetNull(kHost);
    facts.flag ? builder.SetBool(kFlag, *facts.flag) : builder.SetNull(kFlag);
    builder.SetBytes(kTags, "[]");
    builder.SetBool(kSure, facts.sure);
    builder.Finish();
    key_ = facts.key;
  }

  void Add(size_t field, uint64_t raw, TimeMs at_ms) {
    auto* window =
        static_cast<Window*>(RowSchema::ContainerAt(row_.get(), class_.row.fields[field]));
    ContainerTurn turn;
    EXPECT_EQ(window->Add(raw, at_ms, kNoTime, turn), Window::Added::kYes);
    window->Commit(turn);
  }

  std::string Check(const Tree& tree) {
    Condition condition;
    Flatten(tree, condition.terms);
    return condition.Check(class_, event_);
  }

  ConditionResult Evaluate(const Tree& tree) {
    Condition checked;
    Flatten(tree, checked.terms);
    EXPECT_EQ(checked.Check(class_, event_), "");
    const Condition condition = checked;  // catalogs are copied
    const auto& event = *reinterpret_cast<const EventRecord*>(buffer_.data());
    return condition.Evaluate({class_.row, row_.get(), key_, event});
  }
  bool Holds(const Tree& tree) {
    const ConditionResult result = Evaluate(tree);
    EXPECT_NE(result, ConditionResult::kOverflow);
    return result == ConditionResult::kTrue;
  }
  bool Holds(Kind kind, Tree left, Tree right) {
    return Holds(Do(kind, std::move(left), std::move(right)));
  }

  ClassSchema class_;
  EventSchema event_;
  std::unique_ptr<char[]> row_;
  bool built_ = false;
  ByteBuffer buffer_;
  std::string key_;
};

}  // namespace bettong::grid::condition_testing
