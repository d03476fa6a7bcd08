#include "grid/containers/collection.h"

#include <absl/strings/str_cat.h>

#include "grid/containers/dictionary.h"
#include "grid/containers/sequence.h"

namespace bettong::grid {
namespace {

// One operation: its name, then what it is about.
class OperationText {
 public:
  OperationText(bool json, std::string& out) : json_(json), out_(out) {}

  void Begin(std::string_view name) {
    if (!first_) out_ += json_ ? "," : " ";
    first_ = false;
    absl::StrAppend(&out_, json_ ? "[\"" : "", std::string(name), json_ ? "\"" : "");
    between_ = json_ ? "," : ":";
  }
  void Index(uint64_t index) { absl::StrAppend(&out_, between_, index); }
  void Key(ScalarType type, const Scalar& key) {
    out_ += between_;
    AppendScalarJson(type, key, out_);
  }
  void Value(const CollectionSpec& spec, const Scalar& value) {
    if (spec.value == ScalarType::kNone) return;
    out_ += between_;
    spec.AppendValueJson(value, out_);
  }
  void End() {
    if (json_) out_.push_back(']');
  }

 private:
  const bool json_;
  std::string& out_;
  const char* between_ = "";
  bool first_ = true;
};

bool AppendSequence(const CollectionSpec& spec, ByteReader& in, OperationText& text) {
  static constexpr std::string_view kNames[] = {"append", "rotate", "insert",
                                                "set",    "erase",  "clear"};
  using Op = Sequence::Op;
  while (!in.empty()) {
    Sequence::Operation next;
    if (!Sequence::ReadOperation(spec, in, next)) return false;
    text.Begin(kNames[static_cast<size_t>(next.op) - 1]);
    const bool at = next.op == Op::kInsert || next.op == Op::kSet || next.op == Op::kErase;
    if (at) text.Index(next.index);
    if (next.op != Op::kErase && next.op != Op::kClear) text.Value(spec, next.value);
    text.End();
  }
  return true;
}

bool AppendDictionary(const CollectionSpec& spec, ByteReader& in, OperationText& text) {
  static constexpr std::string_view kNames[] = {"put", "erase", "clear"};
  using Op = Dictionary::Op;
  while (!in.empty()) {
    Dictionary::Operation next;
    if (!Dictionary::ReadOperation(spec, in, next)) return false;
    text.Begin(kNames[static_cast<size_t>(next.op) - 1]);
    if (next.op != Op::kClear) text.Key(spec.key, next.key);
    if (next.op == Op::kPut) text.Value(spec, next.value);
    text.End();
  }
  return true;
}

}  // namespace

std::unique_ptr<Collection> Collection::Make(const CollectionSpec& spec) {
  if (spec.is_sequence()) return std::make_unique<Sequence>(spec);
  return std::make_unique<Dictionary>(spec);
}

bool Collection::AppendOperations(const CollectionSpec& spec, std::string_view operations,
                                  bool json, std::string& out) {
  ByteReader in(operations);
  out += json ? "{\"do\":[" : "+[";
  OperationText text(json, out);
  const bool good =
      spec.is_sequence() ? AppendSequence(spec, in, text) : AppendDictionary(spec, in, text);
  out += json ? "]}" : "]";
  return good;
}

}  // namespace bettong::grid
