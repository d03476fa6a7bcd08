#include "grid/condition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>
#include <random>
#include <variant>

#include "grid/catalog.h"
#include "grid/containers/window.h"
#include "grid/event.h"

namespace bettong::grid {
namespace {

using Kind = ConditionTerm::Kind;

constexpr size_t kN = 0, kX = 1, kUp = 2, kName = 3, kMaybe = 4, kInts = 5, kFloats = 6, kBare = 7,
                 kBlob = 8;  // fields of the class
constexpr size_t kCount = 0, kLoad = 1, kHost = 2, kFlag = 3, kTags = 4, kSure = 5;  // of the event

// A condition, before it is put into postfix order.
struct Tree {
  ConditionTerm term;
  std::vector<Tree> of;
};

Tree None() { return {{.kind = Kind::kNone}, {}}; }
Tree Bool(bool value) { return {{.kind = Kind::kBool, .integer = value ? 1 : 0}, {}}; }
Tree Int(int64_t value) { return {{.kind = Kind::kInt, .integer = value}, {}}; }
Tree Float(double value) { return {{.kind = Kind::kFloat, .real = value}, {}}; }
Tree Text(std::string value) { return {{.kind = Kind::kText, .text = std::move(value)}, {}}; }
Tree Key() { return {{.kind = Kind::kKey}, {}}; }
Tree Field(size_t at) { return {{.kind = Kind::kField, .at = at}, {}}; }
Tree Event(size_t at) { return {{.kind = Kind::kEventField, .at = at}, {}}; }
Tree Of(size_t window, WindowPart part) {
  return {{.kind = Kind::kWindow, .part = part, .at = window}, {}};
}
Tree Do(Kind kind, Tree left) { return {{.kind = kind}, {std::move(left)}}; }
Tree Do(Kind kind, Tree left, Tree right) {
  return {{.kind = kind}, {std::move(left), std::move(right)}};
}

void Flatten(const Tree& tree, std::vector<ConditionTerm>& terms) {
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
  std::string buffer_, key_;
};

TEST_F(ConditionTest, ReadsTheEventTheEntityAndItsKey) {
  Put({.n = -7,
       .x = 0.5,
       .up = true,
       .name = "a name that is long",
       .maybe = 3,
       .count = 4,
       .load = -2.5,
       .host = "web-01",
       .flag = false,
       .sure = true,
       .key = "k\xff"});
  EXPECT_TRUE(Holds(Kind::kEqual, Field(kN), Int(-7)));
  EXPECT_TRUE(Holds(Kind::kEqual, Field(kX), Float(0.5)));
  EXPECT_TRUE(Holds(Field(kUp)));
  EXPECT_TRUE(Holds(Kind::kEqual, Field(kName), Text("a name that is long")));
  EXPECT_TRUE(Holds(Kind::kEqual, Field(kMaybe), Int(3)));
  EXPECT_TRUE(Holds(Kind::kEqual, Event(kCount), Int(4)));
  EXPECT_TRUE(Holds(Kind::kEqual, Event(kLoad), Float(-2.5)));
  EXPECT_TRUE(Holds(Kind::kEqual, Event(kHost), Text("web-01")));
  EXPECT_TRUE(Holds(Kind::kEqual, Event(kFlag), Bool(false)));
  EXPECT_TRUE(Holds(Event(kSure)));
  EXPECT_TRUE(Holds(Kind::kEqual, Key(), Text("k\xff")));
  EXPECT_FALSE(Holds(Kind::kEqual, Key(), Event(kHost)));
  EXPECT_TRUE(Holds(Kind::kNotEqual, Key(), Field(kName)));
}

TEST_F(ConditionTest, ReadsWhatWindowsKeep) {
  Put({.ints = {5, -3, 7}, .floats = {0.5, 2}});
  const auto is = [&](size_t window, WindowPart part, Tree value) {
    return Holds(Kind::kEqual, Of(window, part), std::move(value));
  };
  EXPECT_TRUE(is(kInts, WindowPart::kCount, Int(3)));
  EXPECT_TRUE(is(kInts, WindowPart::kSum, Int(9)));
  EXPECT_TRUE(is(kInts, WindowPart::kMean, Float(3)));
  EXPECT_TRUE(is(kInts, WindowPart::kMin, Int(-3)));
  EXPECT_TRUE(is(kInts, WindowPart::kMax, Int(7)));
  EXPECT_TRUE(is(kInts, WindowPart::kFirst, Int(5)));
  EXPECT_TRUE(is(kInts, WindowPart::kLast, Int(7)));
  EXPECT_TRUE(is(kInts, WindowPart::kStart, Int(-2000)));
  EXPECT_TRUE(is(kInts, WindowPart::kEnd, Int(1000)));
  EXPECT_TRUE(is(kFloats, WindowPart::kSum, Float(2.5)));
  EXPECT_TRUE(is(kFloats, WindowPart::kMean, Float(1.25)));
  EXPECT_TRUE(is(kFloats, WindowPart::kMax, Int(2)));
  EXPECT_TRUE(is(kFloats, WindowPart::kVariance, Float(0.5625)));
  EXPECT_TRUE(is(kBare, WindowPart::kCount, Int(0)));
  EXPECT_TRUE(Holds(Kind::kLess, Of(kFloats, WindowPart::kMean), Of(kInts, WindowPart::kMean)));
}

TEST_F(ConditionTest, OfAnEmptyWindowThereIsACountAndASum) {
  Put({});
  for (const size_t window : {kInts, kFloats}) {
    for (const WindowPart part : {WindowPart::kCount, WindowPart::kSum}) {
      EXPECT_TRUE(Holds(Kind::kEqual, Of(window, part), Int(0)));
    }
    for (int part = static_cast<int>(WindowPart::kMean); part <= static_cast<int>(WindowPart::kEnd);
         ++part) {
      EXPECT_TRUE(Holds(Kind::kEqual, Of(window, static_cast<WindowPart>(part)), None())) << part;
    }
  }
}

TEST_F(ConditionTest, NoneEqualsNoneAndHasNoOrder) {
  Put({});
  EXPECT_TRUE(Holds(Kind::kEqual, Event(kCount), None()));
  EXPECT_TRUE(Holds(Kind::kEqual, Event(kCount), Field(kMaybe)));
  EXPECT_FALSE(Holds(Kind::kEqual, Event(kCount), Int(0)));
  EXPECT_TRUE(Holds(Kind::kNotEqual, Event(kCount), Int(0)));
  EXPECT_TRUE(Holds(Kind::kEqual, Event(kHost), None()));
  EXPECT_FALSE(Holds(Kind::kEqual, Event(kHost), Text("")));
  for (const Kind kind : {Kind::kLess, Kind::kLessEqual, Kind::kGreater, Kind::kGreaterEqual}) {
    EXPECT_FALSE(Holds(kind, Event(kCount), Int(0)));
    EXPECT_FALSE(Holds(kind, Int(0), Event(kCount)));
    EXPECT_FALSE(Holds(kind, Event(kCount), Field(kMaybe)));
  }
  for (const Kind kind : {Kind::kAdd, Kind::kSubtract, Kind::kMultiply}) {
    EXPECT_TRUE(Holds(Kind::kEqual, Do(kind, Event(kCount), Float(1)), None()));
  }
  EXPECT_TRUE(Holds(Kind::kEqual, Do(Kind::kNegate, Event(kCount)), None()));
}

TEST_F(ConditionTest, AnIntAndAFloatCompareByTheirExactValues) {
  constexpr int64_t k53 = int64_t{1} << 53;
  Put({.n = k53 + 1, .x = static_cast<double>(k53)});
  EXPECT_TRUE(Holds(Kind::kGreater, Field(kN), Field(kX)));
  EXPECT_FALSE(Holds(Kind::kEqual, Field(kN), Field(kX)));
  EXPECT_TRUE(Holds(Kind::kLess, Field(kX), Field(kN)));
  Put({.n = INT64_MAX, .x = 9223372036854775808.0});
  EXPECT_TRUE(Holds(Kind::kLess, Field(kN), Field(kX)));
  EXPECT_TRUE(Holds(Kind::kEqual, Do(Kind::kAdd, Field(kN), Int(1)), Field(kX)));
  Put({.n = -3, .x = -2.5});
  EXPECT_TRUE(Holds(Kind::kLess, Field(kN), Field(kX)));
  EXPECT_TRUE(Holds(Kind::kGreater, Int(-2), Field(kX)));
  for (const double infinite : {1e300, std::numeric_limits<double>::infinity()}) {
    Put({.n = INT64_MIN, .x = infinite});
    EXPECT_TRUE(Holds(Kind::kLess, Field(kN), Field(kX)));
    EXPECT_TRUE(Holds(Kind::kGreater, Field(kN), Do(Kind::kNegate, Field(kX))));
  }
  Put({.x = std::numeric_limits<double>::quiet_NaN()});
  for (const Kind kind :
       {Kind::kLess, Kind::kLessEqual, Kind::kGreater, Kind::kGreaterEqual, Kind::kEqual}) {
    EXPECT_FALSE(Holds(kind, Field(kX), Field(kX)));
    EXPECT_FALSE(Holds(kind, Int(0), Field(kX)));
    EXPECT_FALSE(Holds(kind, Field(kX), Int(0)));
  }
  EXPECT_TRUE(Holds(Kind::kNotEqual, Field(kX), Field(kX)));
}

// 2^126, of an n of -2^63.
Tree Square() { return Do(Kind::kMultiply, Field(kN), Field(kN)); }

TEST_F(ConditionTest, IntsHave128Bits) {
  Put({.n = INT64_MIN, .up = true});
  const Tree almost = Do(Kind::kAdd, Square(), Do(Kind::kSubtract, Square(), Int(1)));
  EXPECT_TRUE(Holds(Kind::kGreater, almost, Float(0x1p126)));
  EXPECT_EQ(Evaluate(Do(Kind::kGreater, Do(Kind::kAdd, Square(), Square()), Int(0))),
            ConditionResult::kOverflow);
  const Tree least = Do(Kind::kSubtract, Do(Kind::kNegate, Square()), Square());
  EXPECT_TRUE(Holds(Kind::kEqual, least, Float(-0x1p127)));
  EXPECT_EQ(Evaluate(Do(Kind::kLess, Do(Kind::kNegate, least), Int(0))),
            ConditionResult::kOverflow);
  EXPECT_EQ(Evaluate(Do(Kind::kLess, Do(Kind::kMultiply, Square(), Int(-3)), Int(0))),
            ConditionResult::kOverflow);
}

TEST_F(ConditionTest, WhatTheFirstOperandDecidesLeavesTheSecondAlone) {
  Put({.n = INT64_MIN, .up = true});
  const Tree fails = Do(Kind::kGreater, Do(Kind::kAdd, Square(), Square()), Int(0));
  const Tree no = Do(Kind::kEqual, Field(kUp), Bool(false));
  EXPECT_FALSE(Holds(Kind::kAnd, no, fails));
  EXPECT_TRUE(Holds(Kind::kOr, Field(kUp), fails));
  EXPECT_EQ(Evaluate(Do(Kind::kAnd, Field(kUp), fails)), ConditionResult::kOverflow);
  EXPECT_EQ(Evaluate(Do(Kind::kOr, no, fails)), ConditionResult::kOverflow);
  EXPECT_EQ(Evaluate(Do(Kind::kAnd, fails, no)), ConditionResult::kOverflow);
  EXPECT_TRUE(Holds(Kind::kOr, Do(Kind::kAnd, no, fails), Field(kUp)));
  EXPECT_FALSE(Holds(Kind::kAnd, Do(Kind::kOr, Field(kUp), fails), no));
}

TEST_F(ConditionTest, WhatMakesNoSenseIsRefused) {
  const auto compared = [&](Tree tree) { return Check(Do(Kind::kEqual, std::move(tree), Int(1))); };
  EXPECT_EQ(compared(Field(kBlob)), "reads the field 'blob', which is no number and no text");
  EXPECT_EQ(compared(Field(kInts)), "reads the field 'ints', which is no number and no text");
  EXPECT_EQ(compared(Field(9)), "reads a field that the class does not have");
  EXPECT_EQ(compared(Event(kTags)),
            "reads the event's field 'tags', which is no number and no text");
  EXPECT_EQ(compared(Event(6)), "reads a field that the event does not have");
  EXPECT_EQ(compared(Of(kN, WindowPart::kCount)), "reads the count of what is no window");
  EXPECT_EQ(compared(Of(9, WindowPart::kEnd)), "reads the end of what is no window");
  for (int part = static_cast<int>(WindowPart::kSum);
       part <= static_cast<int>(WindowPart::kVariance); ++part) {
    EXPECT_THAT(compared(Of(kBare, static_cast<WindowPart>(part))),
                ::testing::HasSubstr("of 'bare', which does not keep it"));
    EXPECT_EQ(compared(Of(kInts, static_cast<WindowPart>(part))), "");
  }
  EXPECT_EQ(compared(Key()), "compares a text with a number");
  EXPECT_EQ(Check(Do(Kind::kLess, Key(), Text("b"))), "asks for the order of what is no number");
  EXPECT_EQ(Check(Do(Kind::kLess, Field(kN), None())), "asks for the order of what is no number");
  EXPECT_EQ(compared(Do(Kind::kAdd, Key(), Text("b"))), "computes with what is no number");
  EXPECT_EQ(Check(Do(Kind::kAnd, Field(kUp), Field(kN))),
            "has & or | between what are no comparisons, nor bools");
  EXPECT_EQ(Check(Do(Kind::kOr, Event(kFlag), Field(kUp))),
            "has & or | between what are no comparisons, nor bools");
  EXPECT_EQ(Check(Field(kN)), "is no comparison, nor a bool");
  EXPECT_EQ(Check(Event(kFlag)), "is no comparison, nor a bool");
  EXPECT_EQ(Check(Event(kSure)), "");
  EXPECT_EQ(Check(Do(Kind::kLess, Int(1), Int(2))), "reads nothing, and is always the same");
  EXPECT_EQ(Check({{.kind = Kind::kLess}, {Field(kN)}}), "lacks an operand");
  EXPECT_EQ(Check({{.kind = Kind::kNegate}, {Field(kN), Field(kUp)}}), "lacks an operator");
}

TEST_F(ConditionTest, HasSoManyTermsAndNoMore) {
  // n == n & n == n & ...: four terms more each.
  Tree tree = Do(Kind::kEqual, Field(kN), Field(kN));
  for (size_t terms = 3; terms + 4 < kConditionTermsMax; terms += 4) {
    tree = Do(Kind::kAnd, std::move(tree), Do(Kind::kEqual, Field(kN), Field(kN)));
  }
  Put({});
  Tree full = tree;
  full.of[1].of[1] = Do(Kind::kNegate, Field(kN));
  EXPECT_TRUE(Holds(full));  // 256
  full.of[1].of[0] = Do(Kind::kNegate, Field(kN));
  EXPECT_EQ(Check(full), "has up to 256 operands and operators, not 257");
}

TEST_F(ConditionTest, HasSoManyOperandsThatWaitAndNoMore) {
  const auto nested = [](size_t depth) {  // 1 + (1 + (1 + ... n))
    Tree tree = Field(kN);
    for (size_t i = 1; i + 1 < depth; ++i) tree = Do(Kind::kAdd, Int(1), std::move(tree));
    return Do(Kind::kEqual, Int(30), std::move(tree));
  };
  Put({});
  EXPECT_TRUE(Holds(nested(kConditionDepthMax)));
  EXPECT_EQ(Check(nested(kConditionDepthMax + 1)),
            "has more than 32 operands that wait for an operator at once");
  // The first operand of & and | does not wait.
  Tree chain = Field(kUp);
  for (size_t i = 0; i < 2 * kConditionDepthMax; ++i) {
    chain = Do(i % 2 == 0 ? Kind::kAnd : Kind::kOr, Event(kSure), std::move(chain));
  }
  EXPECT_FALSE(Holds(chain));
}

// --- against an evaluator that knows nothing of programs

using Plain = std::variant<std::monostate, WideInt, double, std::string>;
struct TooLarge {};

WideInt Fitting(bool overflow, const WideInt& value) {
  if (overflow) throw TooLarge();
  return value;
}

double FloatOf(const Plain& value) {
  const WideInt* integer = std::get_if<WideInt>(&value);
  return integer != nullptr ? static_cast<double>(*integer) : std::get<double>(value);
}

Plain Arithmetic(Kind kind, const Plain& left, const Plain& right) {
  if (left.index() == 0 || right.index() == 0) return {};
  if (left.index() == 1 && right.index() == 1) {
    const WideInt a = std::get<WideInt>(left), b = std::get<WideInt>(right);
    WideInt c;
    if (kind == Kind::kAdd) return Fitting(__builtin_add_overflow(a, b, &c), c);
    if (kind == Kind::kSubtract) return Fitting(__builtin_sub_overflow(a, b, &c), c);
    return Fitting(__builtin_mul_overflow(a, b, &c), c);
  }
  const double a = FloatOf(left), b = FloatOf(right);
  if (kind == Kind::kAdd) return a + b;
  return kind == Kind::kSubtract ? a - b : a * b;
}

// left < right, or with `equal` left <= right.
bool Before(const Plain& left, const Plain& right, bool equal) {
  if (left.index() == 0 || right.index() == 0) return false;
  if (left.index() == right.index()) {
    return left.index() == 1 ? (equal ? std::get<1>(left) <= std::get<1>(right)
                                      : std::get<1>(left) < std::get<1>(right))
                             : (equal ? std::get<2>(left) <= std::get<2>(right)
                                      : std::get<2>(left) < std::get<2>(right));
  }
  const bool int_first = left.index() == 1;
  const double real = std::get<double>(int_first ? right : left);
  const WideInt integer = std::get<WideInt>(int_first ? left : right);
  if (std::isnan(real)) return false;
  if (std::abs(real) >= 0x1p127) return (real > 0) == int_first;
  // An int is below a float if it is below the next int, and so on.
  const auto floor = static_cast<WideInt>(std::floor(real));
  const auto ceil = static_cast<WideInt>(std::ceil(real));
  if (int_first) return equal ? integer <= floor : integer < ceil;
  return equal ? ceil <= integer : floor < integer;
}

bool Equal(const Plain& left, const Plain& right) {
  if (left.index() == 0 || right.index() == 0 || left.index() == 3) return left == right;
  return Before(left, right, true) && Before(right, left, true);
}

Plain WindowValue(const Facts& facts, const ConditionTerm& term) {
  std::vector<Plain> values;
  if (term.at == kInts) {
    for (const int64_t value : facts.ints) values.emplace_back(WideInt{value});
  } else {
    for (const double value : facts.floats) values.emplace_back(value);
  }
  const auto count = static_cast<WideInt>(values.size());
  if (term.part == WindowPart::kCount) return count;
  Plain sum = term.at == kInts ? Plain(WideInt{0}) : Plain(0.0);
  for (const Plain& value : values) sum = Arithmetic(Kind::kAdd, sum, value);
  if (term.part == WindowPart::kSum) return sum;
  if (count == 0) return {};
  const auto less = [](const Plain& a, const Plain& b) { return Before(a, b, false); };
  switch (term.part) {
    case WindowPart::kMean:
      return FloatOf(sum) / static_cast<double>(count);
    case WindowPart::kMin:
      return *std::min_element(values.begin(), values.end(), less);
    case WindowPart::kMax:
      return *std::max_element(values.begin(), values.end(), less);
    case WindowPart::kFirst:
      return values.front();
    case WindowPart::kLast:
      return values.back();
    case WindowPart::kStart:
      return WideInt{-2000};
    default:
      return WideInt{1000};
  }
}

Plain Evaluated(const Tree& tree, const Facts& facts) {
  const ConditionTerm& term = tree.term;
  const auto maybe = [](const auto& value) -> Plain {
    return value ? Plain(WideInt{*value}) : Plain();
  };
  const auto operand = [&](size_t i) { return Evaluated(tree.of[i], facts); };
  const auto truth = [&](size_t i) { return std::get<WideInt>(operand(i)) != 0; };
  switch (term.kind) {
    case Kind::kNone:
      return {};
    case Kind::kBool:
    case Kind::kInt:
      return WideInt{term.integer};
    case Kind::kFloat:
      return term.real;
    case Kind::kText:
      return term.text;
    case Kind::kKey:
      return facts.key;
    case Kind::kEventField:
      if (term.at == kHost) return facts.host ? Plain(*facts.host) : Plain();
      if (term.at == kLoad) return facts.load;
      if (term.at == kSure) return WideInt{facts.sure};
      return term.at == kCount ? maybe(facts.count) : maybe(facts.flag);
    case Kind::kField:
      if (term.at == kX) return facts.x;
      if (term.at == kName) return facts.name;
      if (term.at == kMaybe) return maybe(facts.maybe);
      return term.at == kN ? WideInt{facts.n} : WideInt{facts.up};
    case Kind::kWindow:
      return WindowValue(facts, term);
    case Kind::kNegate:
      return Arithmetic(Kind::kSubtract, WideInt{0}, operand(0));
    case Kind::kAdd:
    case Kind::kSubtract:
    case Kind::kMultiply: {
      const Plain left = operand(0);
      return Arithmetic(term.kind, left, operand(1));
    }
    case Kind::kAnd:
      return WideInt{truth(0) && truth(1)};
    case Kind::kOr:
      return WideInt{truth(0) || truth(1)};
    default:
      break;
  }
  const Plain left = operand(0), right = operand(1);
  if (term.kind == Kind::kEqual) return WideInt{Equal(left, right)};
  if (term.kind == Kind::kNotEqual) return WideInt{!Equal(left, right)};
  const bool less = term.kind == Kind::kLess || term.kind == Kind::kLessEqual;
  const bool equal = term.kind == Kind::kLessEqual || term.kind == Kind::kGreaterEqual;
  return WideInt{less ? Before(left, right, equal) : Before(right, left, equal)};
}

// For a failure's message.
std::string Spelled(const Tree& tree) {
  const ConditionTerm& term = tree.term;
  std::string text = "(" + std::to_string(static_cast<int>(term.kind));
  if (term.kind == Kind::kInt || term.kind == Kind::kBool) {
    text += " " + std::to_string(term.integer);
  }
  if (term.kind == Kind::kFloat) text += " " + std::to_string(term.real);
  if (term.kind == Kind::kText) text += " '" + term.text + "'";
  text += " " + std::to_string(term.at) + "." + std::to_string(static_cast<int>(term.part));
  for (const Tree& operand : tree.of) text += " " + Spelled(operand);
  return text + ")";
}

class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}

  Facts MakeFacts() {
    Facts facts{.n = AnInt(),
                .x = AFloat(),
                .up = Below(2) == 0,
                .name = AText(),
                .load = AFloat(),
                .sure = Below(2) == 0,
                .key = AText()};
    if (Below(3) > 0) facts.maybe = AnInt();
    if (Below(3) > 0) facts.count = AnInt();
    if (Below(3) > 0) facts.host = AText();
    if (Below(3) > 0) facts.flag = Below(2) == 0;
    for (size_t i = Below(4); i > 0; --i) facts.ints.push_back(AnInt() / 8);
    for (size_t i = Below(4); i > 0; --i) {
      const double value = AFloat();
      facts.floats.push_back(std::isfinite(value) ? value : 1);
    }
    return facts;
  }

  Tree Condition(int depth) {
    switch (Below(depth > 0 ? 8 : 3)) {
      case 0:
        return Below(2) == 0 ? Field(kUp) : Event(kSure);
      case 1:
        return Do(Below(2) == 0 ? Kind::kEqual : Kind::kNotEqual, AnyText(), AnyText());
      case 2:
        return Do(Below(2) == 0 ? Kind::kEqual : Kind::kNotEqual, Number(depth - 1),
                  Below(3) == 0 ? None() : Number(depth - 1));
      case 3:
      case 4:
        return Do(Order(), Number(depth - 1), Number(depth - 1));
      default:
        return Do(Below(2) == 0 ? Kind::kAnd : Kind::kOr, Condition(depth - 1),
                  Condition(depth - 1));
    }
  }

 private:
  size_t Below(size_t bound) { return random_() % bound; }
  template <typename T>
  T OneOf(std::initializer_list<T> all) {
    return *std::next(all.begin(), static_cast<ptrdiff_t>(Below(all.size())));
  }

  int64_t AnInt() {
    if (Below(2) == 0) return static_cast<int64_t>(Below(5)) - 2;
    constexpr int64_t k53 = int64_t{1} << 53;
    return OneOf({INT64_MIN, INT64_MIN + 1, INT64_MAX, -k53 - 1, k53 - 1, k53, k53 + 1});
  }
  double AFloat() {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    if (Below(2) == 0) return static_cast<double>(Below(9)) / 2 - 2;
    return OneOf({0x1p53, 0x1p53 + 2, -0x1p53, 0x1p63, -0x1p63, 0x1p126, 0x1p127, -0x1p127, 1e300,
                  -0.0, kInfinity, -kInfinity, std::numeric_limits<double>::quiet_NaN()});
  }
  std::string AText() { return OneOf<const char*>({"", "a", "b", "a text that is quite long"}); }

  Tree AnyText() { return OneOf({Key(), Field(kName), Event(kHost), Text(AText())}); }
  Tree Number(int depth) {
    if (depth > 0 && Below(2) == 0) {
      if (Below(5) == 0) return Do(Kind::kNegate, Number(depth - 1));
      return Do(OneOf({Kind::kAdd, Kind::kSubtract, Kind::kMultiply, Kind::kMultiply}),
                Number(depth - 1), Number(depth - 1));
    }
    switch (Below(6)) {
      case 0:
        return OneOf({Int(AnInt()), Float(AFloat()), Bool(Below(2) == 0)});
      case 1:
      case 2:
        return OneOf({Field(kN), Field(kX), Field(kUp), Field(kMaybe)});
      case 3:
        return OneOf({Event(kCount), Event(kLoad), Event(kFlag), Event(kSure)});
      case 4:
        return depth > 0 ? Condition(depth - 1) : Field(kUp);
      default:
        return Of(OneOf({kInts, kFloats}),
                  OneOf({WindowPart::kCount, WindowPart::kSum, WindowPart::kMean, WindowPart::kMin,
                         WindowPart::kMax, WindowPart::kFirst, WindowPart::kLast,
                         WindowPart::kStart, WindowPart::kEnd}));
    }
  }
  Kind Order() {
    return OneOf({Kind::kLess, Kind::kLessEqual, Kind::kGreater, Kind::kGreaterEqual});
  }

  std::mt19937 random_;
};

TEST_F(ConditionTest, AnyConditionIsWhatAPlainEvaluatorSays) {
  constexpr int kFacts = 1000, kConditions = 50;
  size_t results[3] = {};
  Generator generator(1);
  for (int i = 0; i < kFacts; ++i) {
    const Facts facts = generator.MakeFacts();
    Put(facts);
    for (int j = 0; j < kConditions; ++j) {
      Tree tree = generator.Condition(6);
      // It has to read something.
      if (!Check(tree).empty()) tree = Do(Kind::kOr, std::move(tree), Field(kUp));
      ConditionResult expected = ConditionResult::kOverflow;
      try {
        expected = std::get<WideInt>(Evaluated(tree, facts)) != 0 ? ConditionResult::kTrue
                                                                  : ConditionResult::kFalse;
      } catch (const TooLarge&) {
      }
      ASSERT_EQ(Evaluate(tree), expected) << Spelled(tree);
      ++results[static_cast<size_t>(expected)];
    }
  }
  EXPECT_GT(results[0], 1000u);
  EXPECT_GT(results[1], 1000u);
  EXPECT_GT(results[2], 50u);
}

}  // namespace
}  // namespace bettong::grid
