// Conditions against an evaluator that knows nothing of programs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <random>
#include <variant>

#include "grid/condition_testing.h"

namespace bettong::grid::condition_testing {
namespace {

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
}  // namespace bettong::grid::condition_testing
