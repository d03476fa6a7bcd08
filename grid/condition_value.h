// The values that conditions (condition.h) compute with, and Python's rules for them.
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>

#include "grid/containers/window_pane.h"

namespace bettong::grid {

// A plain value: making one initializes nothing.
struct ConditionValue {
  enum class Kind : uint8_t { kNone, kInt, kFloat, kText };

  static ConditionValue None() { return Of(Kind::kNone); }
  static ConditionValue Int(WideInt integer) {
    ConditionValue value = Of(Kind::kInt);
    value.integer = integer;
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
  bool is_true() const { return integer != 0; }  // of a bool
  double as_float() const { return kind == Kind::kFloat ? real : static_cast<double>(integer); }
  std::string_view as_text() const { return {text.data, text.size}; }

  Kind kind;
  union {
    WideInt integer;
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
  if (left.kind == Kind::kInt) return OrderOf(left.integer, right.real);
  if (right.kind == Kind::kInt) return Reversed(OrderOf(right.integer, left.real));
  return OrderOf(left.real, right.real);
}

inline bool AreEqual(const ConditionValue& left, const ConditionValue& right) {
  using Kind = ConditionValue::Kind;
  if (left.is_none() || right.is_none()) return left.kind == right.kind;
  if (left.kind == Kind::kText || right.kind == Kind::kText) {
    return left.kind == right.kind && left.as_text() == right.as_text();
  }
  return OrderOf(left, right) == ValueOrder::kEqual;
}

enum class Arithmetic : uint8_t { kAdd, kSubtract, kMultiply };

// Of numbers; with None it is None. False: an int of more than 128 bits.
template <Arithmetic kOperator>
bool Compute(const ConditionValue& left, const ConditionValue& right, ConditionValue& result) {
  using Kind = ConditionValue::Kind;
  if (left.kind == Kind::kInt && right.kind == Kind::kInt) {
    WideInt wide;
    bool overflow = false;
    if constexpr (kOperator == Arithmetic::kAdd) {
      overflow = __builtin_add_overflow(left.integer, right.integer, &wide);
    } else if constexpr (kOperator == Arithmetic::kSubtract) {
      overflow = __builtin_sub_overflow(left.integer, right.integer, &wide);
    } else {
      overflow = __builtin_mul_overflow(left.integer, right.integer, &wide);
    }
    result = ConditionValue::Int(wide);
    return !overflow;
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
