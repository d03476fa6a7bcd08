// The values that conditions (condition.h) compute with, and Python's rules for them.
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>

#include "grid/containers/window_pane.h"

namespace bettong::grid {

// A plain value: making one initializes nothing. An int is wide only where it has to be.
struct ConditionValue {
  enum class Kind : uint8_t { kNone, kInt, kWide, kFloat, kText };

  static ConditionValue None() { return Of(Kind::kNone); }
  static ConditionValue Int(int64_t integer) {
    ConditionValue value = Of(Kind::kInt);
    value.integer = integer;
    return value;
  }
  static ConditionValue Bool(bool is_true) { return Int(is_true ? 1 : 0); }
  static ConditionValue Wide(WideInt wide) {
    const auto integer = static_cast<int64_t>(wide);
    if (integer == wide) return Int(integer);
    ConditionValue value = Of(Kind::kWide);
    value.wide = wide;
    return value;
  }
  static ConditionValue Float(double real) {
    ConditionValue value = Of(Kind::kFloat);
    value.real = real;
    return value;
  }
  static ConditionValue Text(std::string_view text) {
    ConditionValue value = Of(Kind::kText);
    value.text = {text.data(), text.size()};
    return value;
  }

  bool is_none() const { return kind == Kind::kNone; }
  bool is_int() const { return kind == Kind::kInt || kind == Kind::kWide; }
  bool is_true() const { return integer != 0; }  // of a bool
  WideInt as_wide() const { return kind == Kind::kInt ? integer : wide; }
  double as_float() const { return kind == Kind::kFloat ? real : static_cast<double>(as_wide()); }
  std::string_view as_text() const { return {text.data, text.size}; }

  Kind kind;
  union {
    int64_t integer;
    WideInt wide;
    double real;
    struct {
      const char* data;
      size_t size;
    } text;
  };

 private:
  static ConditionValue Of(Kind kind) {
    ConditionValue value;
    value.kind = kind;
    return value;
  }
};

enum class ValueOrder : uint8_t { kLess, kEqual, kGreater, kNone };

// By the exact values: a double has room for 53 bits of an int.
inline ValueOrder OrderOf(WideInt integer, double real) {
  constexpr double kWideBound = 0x1p127;
  if (std::isnan(real)) return ValueOrder::kNone;
  if (real >= kWideBound) return ValueOrder::kLess;
  if (real < -kWideBound) return ValueOrder::kGreater;
  const double whole = std::trunc(real);
  const auto wide = static_cast<WideInt>(whole);
  if (integer != wide) return integer < wide ? ValueOrder::kLess : ValueOrder::kGreater;
  if (real == whole) return ValueOrder::kEqual;
  return real > whole ? ValueOrder::kLess : ValueOrder::kGreater;
}

inline ValueOrder Reversed(ValueOrder order) {
  if (order == ValueOrder::kLess) return ValueOrder::kGreater;
  return order == ValueOrder::kGreater ? ValueOrder::kLess : order;
}

template <typename Number>
ValueOrder OrderOf(Number left, Number right) {
  if (left < right) return ValueOrder::kLess;
  if (left > right) return ValueOrder::kGreater;
  return left == right ? ValueOrder::kEqual : ValueOrder::kNone;
}

// Of numbers; None has no order.
inline ValueOrder OrderOf(const ConditionValue& left, const ConditionValue& right) {
  using Kind = ConditionValue::Kind;
  if (left.kind == Kind::kInt && right.kind == Kind::kInt) {
    return OrderOf(left.integer, right.integer);
  }
  if (left.is_none() || right.is_none()) return ValueOrder::kNone;
  if (left.is_int() && right.is_int()) return OrderOf(left.as_wide(), right.as_wide());
  if (left.is_int()) return OrderOf(left.as_wide(), right.real);
  if (right.is_int()) return Reversed(OrderOf(right.as_wide(), left.real));
  return OrderOf(left.real, right.real);
}

inline bool AreEqual(const ConditionValue& left, const ConditionValue& right) {
  using Kind = ConditionValue::Kind;
  if (left.kind == Kind::kInt && right.kind == Kind::kInt) return left.integer == right.integer;
  if (left.is_none() || right.is_none()) return left.kind == right.kind;
  if (left.kind == Kind::kText || right.kind == Kind::kText) {
    return left.kind == right.kind && left.as_text() == right.as_text();
  }
  return OrderOf(left, right) == ValueOrder::kEqual;
}

enum class Arithmetic : uint8_t { kAdd, kSubtract, kMultiply };

// False: it does not fit.
template <Arithmetic kOperator, typename Integer>
bool ComputeInt(Integer left, Integer right, Integer* result) {
  if constexpr (kOperator == Arithmetic::kAdd) {
    return !__builtin_add_overflow(left, right, result);
  } else if constexpr (kOperator == Arithmetic::kSubtract) {
    return !__builtin_sub_overflow(left, right, result);
  } else {
    return !__builtin_mul_overflow(left, right, result);
  }
}

// Of numbers; with None it is None. False: an int of more than 128 bits.
template <Arithmetic kOperator>
bool Compute(const ConditionValue& left, const ConditionValue& right, ConditionValue& result) {
  using Kind = ConditionValue::Kind;
  if (left.kind == Kind::kInt && right.kind == Kind::kInt) {
    int64_t integer;
    if (ComputeInt<kOperator>(left.integer, right.integer, &integer)) [[likely]] {
      result = ConditionValue::Int(integer);
      return true;
    }
  }
  if (left.is_int() && right.is_int()) {
    WideInt wide;
    if (!ComputeInt<kOperator>(left.as_wide(), right.as_wide(), &wide)) return false;
    result = ConditionValue::Wide(wide);
    return true;
  }
  if (left.is_none() || right.is_none()) {
    result = ConditionValue::None();
    return true;
  }
  const double a = left.as_float(), b = right.as_float();
  if constexpr (kOperator == Arithmetic::kAdd) {
    result = ConditionValue::Float(a + b);
  } else if constexpr (kOperator == Arithmetic::kSubtract) {
    result = ConditionValue::Float(a - b);
  } else {
    result = ConditionValue::Float(a * b);
  }
  return true;
}

}  // namespace bettong::grid
