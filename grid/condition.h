// A handler's condition: what must be true of an event and its entity for the handler's code to
// run. Part of a handler's schema (catalog.h). It is declared as terms in postfix order; Check
// makes a program of them, which the lane evaluates between what the event feeds to windows and the
// handler. Immutable once checked; it has no memory of its own while it runs.
//
// Numbers and their comparison are Python's: ints are exact (up to 128 bits), floats IEEE doubles,
// a bool is 0 or 1, an int and a float compare by their exact values. None equals None alone; it is
// neither less nor greater than anything, and what is computed with it is None.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bettong::grid {

struct ClassSchema;
struct EventRecord;
struct EventSchema;
struct HandlerSchema;
class RowSchema;

inline constexpr size_t kConditionTermsMax = 256;
inline constexpr size_t kConditionDepthMax = 32;  // values that wait for an operator at once

// What a condition reads of a window: its current one.
enum class WindowPart : uint8_t {
  kCount,
  kSum,
  kMean,
  kMin,
  kMax,
  kFirst,
  kLast,
  kVariance,
  kStart,
  kEnd,
};

struct ConditionTerm {
  enum class Kind : uint8_t {
    // Constants.
    kNone,
    kBool,
    kInt,
    kFloat,
    kText,
    // What is read.
    kEventField,
    kField,  // a number or a text of the entity
    kKey,
    kWindow,
    // Operators, of the one or two before them.
    kNegate,
    kAdd,
    kSubtract,
    kMultiply,
    kLess,
    kLessEqual,
    kGreater,
    kGreaterEqual,
    kEqual,
    kNotEqual,
    kAnd,  // the second one is not evaluated where the first one decides
    kOr,
  };

  Kind kind = Kind::kNone;
  WindowPart part = WindowPart::kCount;  // kWindow
  size_t at = 0;        // kEventField: of the event's fields; kField, kWindow: of the row's
  int64_t integer = 0;  // kInt; kBool: 0 or 1
  double real = 0;      // kFloat
  std::string text;     // kText
};

// What a condition is evaluated on.
struct ConditionState {
  const RowSchema& schema;
  const char* row;       // with its containers
  std::string_view key;  // without prefix
  const EventRecord& event;
};

enum class ConditionResult : uint8_t {
  kFalse,
  kTrue,
  kOverflow,  // a sum, difference or product of ints has more than 128 bits
};

class Condition {
 public:
  // Empty, or what is wrong with it for that class and event.
  std::string Check(const ClassSchema& entity_class, const EventSchema& event);

  // Checked, and not empty.
  ConditionResult Evaluate(const ConditionState& state) const;

  bool empty() const { return terms.empty(); }

  std::vector<ConditionTerm> terms;

 private:
  enum class Op : uint8_t {
    kNone,
    kInt,
    kFloat,
    kText,
    kEventInt,
    kEventFloat,
    kEventText,
    kRowInt,
    kRowFloat,
    kRowBool,
    kRowText,
    kKey,
    kWindow,
    kNegate,
    kAdd,
    kSubtract,
    kMultiply,
    kLess,
    kLessEqual,
    kGreater,
    kGreaterEqual,
    kEqual,
    kNotEqual,
    // Goes on at step `at` with the bool at hand if it is that; without it otherwise.
    kJumpIfFalse,
    kJumpIfTrue,
  };
  struct Step {
    Op op;
    WindowPart part;
    uint16_t at;  // a term, a field, a step
  };
  class Compiler;

  std::vector<Step> steps_;
};

// kOverflow in words.
std::string DescribeOverflow(const ClassSchema& entity_class, const HandlerSchema& handler);

}  // namespace bettong::grid
