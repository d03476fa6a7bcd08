// How a condition is evaluated.
#include <bit>
#include <optional>

#include "grid/condition.h"
#include "grid/condition_value.h"
#include "grid/containers/window.h"
#include "grid/event.h"
#include "grid/row_schema.h"

namespace bettong::grid {
namespace {

ConditionValue ValueOf(const WindowSpec& spec, uint64_t raw) {
  return spec.is_float ? ConditionValue::Float(std::bit_cast<double>(raw))
                       : ConditionValue::Int(static_cast<int64_t>(raw));
}

ConditionValue ValueOf(const WindowSpec& spec, const WindowView& view, WindowPart part) {
  const WindowTotals& totals = view.totals;
  if (part == WindowPart::kSum) return ConditionValue::Float(totals.float_sum);
  if (part == WindowPart::kStart || part == WindowPart::kEnd) {
    if (view.empty) return ConditionValue::None();
    return ConditionValue::Int(part == WindowPart::kStart ? view.start_ms : view.end_ms);
  }
  if (totals.count == 0) return ConditionValue::None();
  switch (part) {
    case WindowPart::kMean:
      return ConditionValue::Float(MeanOf(spec, totals));
    case WindowPart::kMin:
      return ValueOf(spec, totals.min);
    case WindowPart::kMax:
      return ValueOf(spec, totals.max);
    case WindowPart::kFirst:
      return ValueOf(spec, totals.first);
    case WindowPart::kLast:
      return ValueOf(spec, totals.last);
    default:
      return ConditionValue::Float(VarianceOf(totals));
  }
}

// The window that was viewed last: what is read of one window usually stands together.
class WindowReader {
 public:
  ConditionValue Read(const ConditionState& state, size_t field, WindowPart part) {
    const auto& window =
        *static_cast<const Window*>(RowSchema::ContainerAt(state.row, state.schema.fields[field]));
    const WindowSpec& spec = window.spec();
    if (part == WindowPart::kCount) {
      return ConditionValue::Int(static_cast<int64_t>(window.CurrentCount()));
    }
    if (part == WindowPart::kSum && !spec.is_float) {
      return ConditionValue::Wide(window.CurrentIntSum());
    }
    if (field != field_ || !view_) {
      field_ = field;
      view_.reset();
      view_.emplace(window.Current());
    }
    return ValueOf(spec, *view_, part);
  }

 private:
  size_t field_ = 0;
  std::optional<WindowView> view_;
};

}  // namespace

ConditionResult Condition::Evaluate(const ConditionState& state) const {
  ConditionValue values[kConditionDepthMax];
  ConditionValue* next = values;
  WindowReader windows;
  bool fits = true;
  const Step* const begin = steps_.data();
  const Step* const end = begin + steps_.size();
  for (const Step* at_step = begin; at_step != end; ++at_step) {
    const Step step = *at_step;
    switch (step.op) {
      case Op::kNone:
        *next++ = ConditionValue::None();
        break;
      case Op::kInt:
        *next++ = ConditionValue::Int(terms[step.at].integer);
        break;
      case Op::kFloat:
        *next++ = ConditionValue::Float(terms[step.at].real);
        break;
      case Op::kText:
        *next++ = ConditionValue::Text(terms[step.at].text);
        break;
      case Op::kKey:
        *next++ = ConditionValue::Text(state.key);
        break;
      case Op::kEventInt:
      case Op::kEventFloat:
      case Op::kEventText:
        if (state.event.IsNull(step.at)) {
          *next++ = ConditionValue::None();
        } else if (step.op == Op::kEventInt) {
          *next++ = ConditionValue::Int(state.event.Int(step.at));
        } else if (step.op == Op::kEventFloat) {
          *next++ = ConditionValue::Float(state.event.Float(step.at));
        } else {
          *next++ = ConditionValue::Text(state.event.Bytes(step.at));
        }
        break;
      case Op::kRowInt:
      case Op::kRowFloat:
      case Op::kRowBool:
      case Op::kRowText: {
        const FieldSchema& field = state.schema.fields[step.at];
        const char* at = state.row + field.offset;
        if (state.schema.IsNull(state.row, field)) {
          *next++ = ConditionValue::None();
        } else if (step.op == Op::kRowInt) {
          *next++ = ConditionValue::Int(LoadUnaligned<int64_t>(at));
        } else if (step.op == Op::kRowFloat) {
          *next++ = ConditionValue::Float(LoadUnaligned<double>(at));
        } else if (step.op == Op::kRowBool) {
          *next++ = ConditionValue::Bool(*at != 0);
        } else {
          *next++ = ConditionValue::Text(RowString::Get(at));
        }
        break;
      }
      case Op::kWindow:
        *next++ = windows.Read(state, step.at, step.part);
        break;
      case Op::kNegate:  // the sign of a zero is nothing that a comparison sees
        fits = Compute<Arithmetic::kSubtract>(ConditionValue::Int(0), next[-1], next[-1]);
        break;
      case Op::kAdd:
        --next;
        fits = Compute<Arithmetic::kAdd>(next[-1], *next, next[-1]);
        break;
      case Op::kSubtract:
        --next;
        fits = Compute<Arithmetic::kSubtract>(next[-1], *next, next[-1]);
        break;
      case Op::kMultiply:
        --next;
        fits = Compute<Arithmetic::kMultiply>(next[-1], *next, next[-1]);
        break;
      case Op::kLess:
        --next;
        next[-1] = ConditionValue::Bool(OrderOf(next[-1], *next) == ValueOrder::kLess);
        break;
      case Op::kLessEqual: {
        --next;
        const ValueOrder order = OrderOf(next[-1], *next);
        next[-1] = ConditionValue::Bool(order == ValueOrder::kLess || order == ValueOrder::kEqual);
        break;
      }
      case Op::kGreater:
        --next;
        next[-1] = ConditionValue::Bool(OrderOf(next[-1], *next) == ValueOrder::kGreater);
        break;
      case Op::kGreaterEqual: {
        --next;
        const ValueOrder order = OrderOf(next[-1], *next);
        next[-1] =
            ConditionValue::Bool(order == ValueOrder::kGreater || order == ValueOrder::kEqual);
        break;
      }
      case Op::kEqual:
        --next;
        next[-1] = ConditionValue::Bool(AreEqual(next[-1], *next));
        break;
      case Op::kNotEqual:
        --next;
        next[-1] = ConditionValue::Bool(!AreEqual(next[-1], *next));
        break;
      case Op::kJumpIfFalse:
      case Op::kJumpIfTrue:
        if (next[-1].is_true() == (step.op == Op::kJumpIfTrue)) {
          at_step = begin + step.at - 1;
        } else {
          --next;
        }
        break;
    }
    if (!fits) return ConditionResult::kOverflow;
  }
  return values[0].is_true() ? ConditionResult::kTrue : ConditionResult::kFalse;
}

}  // namespace bettong::grid
