#include "grid/condition.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "grid/catalog.h"

namespace bettong::grid {

using Kind = ConditionTerm::Kind;

namespace {

// What a part of a condition is; a bool is a number, too.
enum class ValueType : uint8_t { kNone, kBool, kNumber, kText };

size_t OperandsOf(Kind kind) {
  if (kind < Kind::kNegate) return 0;
  return kind == Kind::kNegate ? 1 : 2;
}

bool IsNumber(ValueType type) { return type == ValueType::kBool || type == ValueType::kNumber; }

const char* NameOf(WindowPart part) {
  switch (part) {
    case WindowPart::kCount:
      return "count";
    case WindowPart::kSum:
      return "sum";
    case WindowPart::kMean:
      return "mean";
    case WindowPart::kMin:
      return "min";
    case WindowPart::kMax:
      return "max";
    case WindowPart::kFirst:
      return "first";
    case WindowPart::kLast:
      return "last";
    case WindowPart::kVariance:
      return "variance";
    case WindowPart::kStart:
      return "start";
    case WindowPart::kEnd:
      return "end";
  }
  return "";
}

bool Keeps(const WindowSpec& spec, WindowPart part) {
  switch (part) {
    case WindowPart::kCount:
    case WindowPart::kStart:
    case WindowPart::kEnd:
      return true;
    case WindowPart::kSum:
    case WindowPart::kMean:
      return (spec.keeps & kKeepSum) != 0;
    case WindowPart::kMin:
      return (spec.keeps & kKeepMin) != 0;
    case WindowPart::kMax:
      return (spec.keeps & kKeepMax) != 0;
    case WindowPart::kFirst:
      return (spec.keeps & kKeepFirst) != 0;
    case WindowPart::kLast:
      return (spec.keeps & kKeepLast) != 0;
    case WindowPart::kVariance:
      return (spec.keeps & kKeepVariance) != 0;
  }
  return false;
}

}  // namespace

// Reads the terms, whose operands it finds by counting, then writes the steps in order: an operand
// of & or | that comes second is jumped over.
class Condition::Compiler {
 public:
  Compiler(const std::vector<ConditionTerm>& terms, const ClassSchema& entity_class,
           const EventSchema& event)
      : terms_(terms), class_(entity_class), event_(event) {}

  // Empty, or what is wrong.
  std::string Read() {
    if (terms_.size() > kConditionTermsMax) {
      return absl::StrCat("has up to ", kConditionTermsMax, " operands and operators, not ",
                          terms_.size());
    }
    std::vector<size_t> waiting;  // the last terms of what no operator has had yet
    bool reads = false;
    for (size_t i = 0; i < terms_.size(); ++i) {
      const size_t operands = OperandsOf(terms_[i].kind);
      if (waiting.size() < operands) return "lacks an operand";
      Part part{.begin = i, .depth = 1};
      if (operands == 0) {
        reads |= terms_[i].kind >= Kind::kEventField;
        if (std::string error = ReadOperand(terms_[i], part); !error.empty()) return error;
      } else {
        const Part& left = parts_[waiting[waiting.size() - operands]];
        const Part& right = parts_[waiting.back()];
        part.begin = left.begin;
        part.depth = left.depth;
        if (operands == 2) part.depth = std::max(left.depth, right.depth + Waits(terms_[i].kind));
        if (std::string error = ReadOperator(terms_[i].kind, left, right, part); !error.empty()) {
          return error;
        }
      }
      if (part.depth > kConditionDepthMax) {
        return absl::StrCat("has more than ", kConditionDepthMax,
                            " operands that wait for an operator at once");
      }
      waiting.resize(waiting.size() - operands);
      waiting.push_back(i);
      parts_.push_back(part);
    }
    if (waiting.size() != 1) return "lacks an operator";
    const Part& whole = parts_.back();
    if (whole.type != ValueType::kBool || whole.optional) return "is no comparison, nor a bool";
    return reads ? "" : "reads nothing, and is always the same";
  }

  std::vector<Step> Write() {
    WritePart(terms_.size() - 1);
    ShortenJumps();
    return std::move(steps_);
  }

 private:
  // Of the terms that end at one: an operand, or an operator with all that it is of.
  struct Part {
    size_t begin = 0;
    size_t depth = 0;  // values at hand at once
    ValueType type = ValueType::kNone;
    bool optional = false;  // it may be None
  };

  // Whether the first operand waits while the second one is evaluated.
  static size_t Waits(Kind kind) { return kind == Kind::kAnd || kind == Kind::kOr ? 0 : 1; }

  std::string ReadOperand(const ConditionTerm& term, Part& part) {
    switch (term.kind) {
      case Kind::kNone:
        part.optional = true;
        return "";
      case Kind::kBool:
        part.type = ValueType::kBool;
        return "";
      case Kind::kInt:
      case Kind::kFloat:
        part.type = ValueType::kNumber;
        return "";
      case Kind::kText:
      case Kind::kKey:
        part.type = ValueType::kText;
        return "";
      case Kind::kEventField:
        return ReadEventField(term.at, part);
      case Kind::kField:
        return ReadField(term.at, part);
      default:
        return ReadWindow(term, part);
    }
  }

  std::string ReadEventField(size_t at, Part& part) {
    if (at >= event_.fields.size()) return "reads a field that the event does not have";
    const EventField& field = event_.fields[at];
    part.optional = field.optional;
    switch (field.type) {
      case EventFieldType::kInt:
      case EventFieldType::kFloat:
        part.type = ValueType::kNumber;
        return "";
      case EventFieldType::kBool:
        part.type = ValueType::kBool;
        return "";
      case EventFieldType::kText:
        part.type = ValueType::kText;
        return "";
      case EventFieldType::kBytes:
      case EventFieldType::kList:
      case EventFieldType::kObject:
      case EventFieldType::kAny:
        break;
    }
    return "reads the event's field '" + field.name + "', which is no number and no text";
  }

  std::string ReadField(size_t at, Part& part) {
    if (at >= class_.row.fields.size()) return "reads a field that the class does not have";
    const FieldSchema& field = class_.row.fields[at];
    part.optional = field.optional;
    switch (field.type) {
      case FieldType::kInt:
      case FieldType::kFloat:
        part.type = ValueType::kNumber;
        return "";
      case FieldType::kBool:
        part.type = ValueType::kBool;
        return "";
      case FieldType::kText:
        part.type = ValueType::kText;
        return "";
      case FieldType::kBytes:
      case FieldType::kIntArray:
      case FieldType::kFloatArray:
      case FieldType::kWindow:
      case FieldType::kCollection:
      case FieldType::kTimers:
        break;
    }
    return "reads the field '" + field.name + "', which is no number and no text";
  }

  std::string ReadWindow(const ConditionTerm& term, Part& part) {
    const auto& fields = class_.row.fields;
    if (term.at >= fields.size() || fields[term.at].type != FieldType::kWindow) {
      return absl::StrCat("reads the ", NameOf(term.part), " of what is no window");
    }
    if (!Keeps(fields[term.at].window, term.part)) {
      return absl::StrCat("reads the ", NameOf(term.part), " of '", fields[term.at].name,
                          "', which does not keep it");
    }
    part.type = ValueType::kNumber;
    part.optional = term.part != WindowPart::kCount && term.part != WindowPart::kSum;
    return "";
  }

  static std::string ReadOperator(Kind kind, const Part& left, const Part& right, Part& part) {
    const bool numbers = IsNumber(left.type) && IsNumber(right.type);
    switch (kind) {
      case Kind::kNegate:
      case Kind::kAdd:
      case Kind::kSubtract:
      case Kind::kMultiply:
        part.type = ValueType::kNumber;
        part.optional = left.optional || right.optional;
        return numbers ? "" : "computes with what is no number";
      case Kind::kAnd:
      case Kind::kOr: {
        part.type = ValueType::kBool;
        const bool bools = left.type == ValueType::kBool && right.type == ValueType::kBool;
        return bools && !left.optional && !right.optional
                   ? ""
                   : "has & or | between what are no comparisons, nor bools";
      }
      case Kind::kEqual:
      case Kind::kNotEqual: {
        part.type = ValueType::kBool;
        const bool none = left.type == ValueType::kNone || right.type == ValueType::kNone;
        const bool texts = left.type == ValueType::kText && right.type == ValueType::kText;
        return numbers || texts || none ? "" : "compares a text with a number";
      }
      default:
        part.type = ValueType::kBool;
        return numbers ? "" : "asks for the order of what is no number";
    }
  }

  // Recursion is as deep as a condition has terms.
  void WritePart(size_t last) {
    const ConditionTerm& term = terms_[last];
    const size_t operands = OperandsOf(term.kind);
    if (operands == 0) return WriteOperand(last);
    if (operands == 1) {
      WritePart(last - 1);
      return Write(Op::kNegate, 0);
    }
    WritePart(parts_[last - 1].begin - 1);
    if (term.kind != Kind::kAnd && term.kind != Kind::kOr) {
      WritePart(last - 1);
      return Write(OperatorOf(term.kind), 0);
    }
    const size_t jump = steps_.size();
    Write(term.kind == Kind::kAnd ? Op::kJumpIfFalse : Op::kJumpIfTrue, 0);
    WritePart(last - 1);
    steps_[jump].at = static_cast<uint16_t>(steps_.size());
  }

  // A jump to a jump that is taken for the same reason goes on at once.
  void ShortenJumps() {
    for (size_t i = steps_.size(); i-- > 0;) {
      Step& step = steps_[i];
      if (step.op != Op::kJumpIfFalse && step.op != Op::kJumpIfTrue) continue;
      if (step.at < steps_.size() && steps_[step.at].op == step.op) step.at = steps_[step.at].at;
    }
  }

  void WriteOperand(size_t at) {
    const ConditionTerm& term = terms_[at];
    switch (term.kind) {
      case Kind::kNone:
        return Write(Op::kNone, at);
      case Kind::kBool:
      case Kind::kInt:
        return Write(Op::kInt, at);
      case Kind::kFloat:
        return Write(Op::kFloat, at);
      case Kind::kText:
        return Write(Op::kText, at);
      case Kind::kKey:
        return Write(Op::kKey, at);
      case Kind::kEventField: {
        const EventFieldType type = event_.fields[term.at].type;
        return Write(type == EventFieldType::kText    ? Op::kEventText
                     : type == EventFieldType::kFloat ? Op::kEventFloat
                                                      : Op::kEventInt,
                     term.at);
      }
      case Kind::kField: {
        const FieldType type = class_.row.fields[term.at].type;
        return Write(type == FieldType::kText    ? Op::kRowText
                     : type == FieldType::kFloat ? Op::kRowFloat
                     : type == FieldType::kBool  ? Op::kRowBool
                                                 : Op::kRowInt,
                     term.at);
      }
      default:
        return Write(Op::kWindow, term.at, term.part);
    }
  }

  static Op OperatorOf(Kind kind) {
    static_assert(static_cast<int>(Kind::kNotEqual) - static_cast<int>(Kind::kNegate) ==
                  static_cast<int>(Op::kNotEqual) - static_cast<int>(Op::kNegate));
    return static_cast<Op>(static_cast<int>(kind) - static_cast<int>(Kind::kNegate) +
                           static_cast<int>(Op::kNegate));
  }

  void Write(Op op, size_t at, WindowPart part = WindowPart::kCount) {
    steps_.push_back({op, part, static_cast<uint16_t>(at)});
  }

  const std::vector<ConditionTerm>& terms_;
  const ClassSchema& class_;
  const EventSchema& event_;
  std::vector<Part> parts_;  // by their last terms
  std::vector<Step> steps_;
};

std::string Condition::Check(const ClassSchema& entity_class, const EventSchema& event) {
  static_assert(kRowFieldsMax <= UINT16_MAX && kConditionTermsMax <= UINT16_MAX);
  steps_.clear();
  if (terms.empty()) return "";
  Compiler compiler(terms, entity_class, event);
  if (std::string error = compiler.Read(); !error.empty()) return error;
  steps_ = compiler.Write();
  return "";
}

std::string DescribeOverflow(const ClassSchema& entity_class, const HandlerSchema& handler) {
  return absl::StrCat("OverflowError: ", entity_class.name, ".", handler.method,
                      ": when= computes an int of more than 128 bits");
}

}  // namespace bettong::grid
