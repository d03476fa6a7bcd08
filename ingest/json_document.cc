#include "ingest/json_document.h"

#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "ingest/frame_reader.h"

namespace bettong::ingest {

static_assert(kFramePaddingBytes >= simdjson::SIMDJSON_PADDING);

namespace {

constexpr size_t kCapacityMin = 4096;

// Walks over JSON that is known to be valid.
class ValidJsonWalker {
 public:
  explicit ValidJsonWalker(std::string_view json)
      : at_(json.data()), end_(json.data() + json.size()) {}

  void EnterObject() {
    SkipSpace();
    ++at_;
  }
  // The value of the next field of the object.
  std::string_view FieldValue() {
    SkipSpace();
    if (*at_ == ',') ++at_;
    SkipSpace();
    SkipString();
    SkipSpace();
    ++at_;  // the colon
    return Value();
  }
  std::string_view Value() {
    SkipSpace();
    const char* begin = at_;
    if (*at_ == '"') {
      SkipString();
    } else if (*at_ == '{' || *at_ == '[') {
      SkipNested();
    } else {
      while (at_ < end_ && *at_ != ',' && *at_ != '}' && *at_ != ']' && !IsSpace(*at_)) ++at_;
    }
    return {begin, static_cast<size_t>(at_ - begin)};
  }

 private:
  static bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
  void SkipSpace() {
    while (at_ < end_ && IsSpace(*at_)) ++at_;
  }
  void SkipString() {
    for (++at_; *at_ != '"'; ++at_) {
      if (*at_ == '\\') ++at_;
    }
    ++at_;
  }
  void SkipNested() {
    int depth = 0;
    do {
      if (*at_ == '"') {
        SkipString();
        continue;
      }
      if (*at_ == '{' || *at_ == '[') ++depth;
      if (*at_ == '}' || *at_ == ']') --depth;
      ++at_;
    } while (depth > 0);
  }

  const char* at_;
  const char* end_;
};

void ToValue(const simdjson::dom::element& element, JsonValue& value) {
  using simdjson::dom::element_type;
  value.nested = false;
  switch (element.type()) {
    case element_type::ARRAY:
    case element_type::OBJECT:
      value.nested = true;
      return;
    case element_type::INT64:
      value.scalar.kind = PlainValue::Kind::kInt;
      value.scalar.integer = element.get_int64().value_unsafe();
      return;
    case element_type::UINT64:
      value.scalar.kind = PlainValue::Kind::kFloat;
      value.scalar.real = static_cast<double>(element.get_uint64().value_unsafe());
      return;
    case element_type::DOUBLE:
      value.scalar.kind = PlainValue::Kind::kFloat;
      value.scalar.real = element.get_double().value_unsafe();
      return;
    case element_type::STRING:
      value.scalar.kind = PlainValue::Kind::kText;
      value.scalar.text = element.get_string().value_unsafe();
      return;
    case element_type::BOOL:
      value.scalar.kind = PlainValue::Kind::kBool;
      value.scalar.boolean = element.get_bool().value_unsafe();
      return;
    case element_type::NULL_VALUE:
      value.scalar.kind = PlainValue::Kind::kNull;
      return;
  }
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The JSON number at the start of `text` (its size), or 0.
size_t NumberSize(std::string_view text) {
  size_t at = text.starts_with('-') ? 1 : 0;
  const auto digits = [&] {
    const size_t begin = at;
    while (at < text.size() && IsDigit(text[at])) ++at;
    return at - begin;
  };
  const bool zero = at < text.size() && text[at] == '0';
  const size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return 0;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (digits() == 0) return 0;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (digits() == 0) return 0;
  }
  return at;
}

// The nearest double: infinity beyond the largest one.
double NearestDouble(std::string_view number) {
  double value = 0;
  const auto parsed = std::from_chars(number.data(), number.data() + number.size(), value);
  if (parsed.ec == std::errc()) return value;
  // Out of range. What is refused by the parser is too large, never too small.
  return number.starts_with('-') ? -std::numeric_limits<double>::infinity()
                                 : std::numeric_limits<double>::infinity();
}

// Whether simdjson refuses a number that JSON allows.
bool IsBigNumber(std::string_view number) {
  if (number.find_first_of(".eE") != std::string_view::npos) {
    return std::isinf(NearestDouble(number));
  }
  constexpr size_t kFits = 18;
  if (number.size() <= kFits) return false;
  uint64_t value = 0;
  int64_t negative = 0;
  const char* end = number.data() + number.size();
  const auto parsed = number.starts_with('-') ? std::from_chars(number.data(), end, negative)
                                              : std::from_chars(number.data(), end, value);
  return parsed.ec != std::errc();
}

// Puts "0" and spaces where `json` has big numbers: as valid as it was before, and every other
// token where it was. False: there are none.
bool BlankBigNumbers(std::string& json) {
  bool found = false;
  for (size_t at = 0; at < json.size();) {
    if (json[at] == '"') {
      for (++at; at < json.size() && json[at] != '"'; ++at) at += json[at] == '\\';
      ++at;
      continue;
    }
    const size_t size =
        json[at] == '-' || IsDigit(json[at]) ? NumberSize(std::string_view(json).substr(at)) : 0;
    if (size > 0 && IsBigNumber(std::string_view(json).substr(at, size))) {
      json.replace(at, size, size, ' ');
      json[at] = '0';
      found = true;
    }
    at += std::max<size_t>(size, 1);
  }
  return found;
}

const char* Words(simdjson::error_code error) {
  switch (error) {
    case simdjson::NUMBER_ERROR:
      return "a malformed number";
    case simdjson::DEPTH_ERROR:
      return "nested too deeply";
    case simdjson::EMPTY:
      return "empty";
    default:
      return simdjson::error_message(error);
  }
}

}  // namespace

struct JsonDocument::Impl {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  std::optional<simdjson::dom::object::iterator> next;  // of the root object
  std::optional<simdjson::dom::object::iterator> end;
  ValidJsonWalker walker{{}};
  std::string copy;
  // A text with big numbers (beyond 64 bits, or a double): it is parsed without them, and they are
  // taken from the text itself.
  bool has_big_numbers = false;
  std::string_view text;
  std::string blanked;  // as `text`, but for these numbers

  void FixBigNumber(JsonValue& value) const;
};

JsonDocument::JsonDocument() : impl_(std::make_unique<Impl>()) {}
JsonDocument::~JsonDocument() = default;

const char* JsonDocument::Parse(std::string_view text, JsonValue& root) {
  Impl& impl = *impl_;
  if (text.size() > impl.parser.capacity() || impl.parser.capacity() == 0) {
    const auto error = impl.parser.allocate(std::bit_ceil(std::max(text.size(), kCapacityMin)));
    if (error) return Words(error);
  }
  if (text.empty()) return Words(simdjson::EMPTY);
  auto error = impl.parser.parse(text.data(), text.size(), false).get(impl.root);
  impl.has_big_numbers = false;
  if (error == simdjson::NUMBER_ERROR) [[unlikely]] {
    impl.text = text;
    impl.blanked.assign(text);
    impl.has_big_numbers = BlankBigNumbers(impl.blanked);
    impl.blanked.append(kFramePaddingBytes, ' ');
    if (impl.has_big_numbers) {
      error = impl.parser.parse(impl.blanked.data(), text.size(), false).get(impl.root);
    }
  }
  if (error) return Words(error);
  ToValue(impl.root, root);
  root.token = text;
  impl.next.reset();
  impl.walker = ValidJsonWalker(text);
  if (impl.root.is_object()) {
    const simdjson::dom::object object = impl.root.get_object().value_unsafe();
    impl.next = object.begin();
    impl.end = object.end();
    impl.walker.EnterObject();
  } else {
    root.token = impl.walker.Value();
    if (impl.has_big_numbers) impl.FixBigNumber(root);
  }
  return nullptr;
}

void JsonDocument::Impl::FixBigNumber(JsonValue& value) const {
  const auto at = static_cast<size_t>(value.token.data() - text.data());
  if (value.nested || blanked.compare(at, value.token.size(), value.token) == 0) return;
  value.scalar.kind = PlainValue::Kind::kFloat;
  value.scalar.real = NearestDouble(value.token);
}

const char* JsonDocument::ParseCopy(std::string_view text, JsonValue& root) {
  impl_->copy.assign(text);
  impl_->copy.append(kFramePaddingBytes, ' ');
  return Parse(std::string_view(impl_->copy).substr(0, text.size()), root);
}

bool JsonDocument::is_object() const { return impl_->next.has_value(); }

bool JsonDocument::NextField(std::string_view& name, JsonValue& value) {
  Impl& impl = *impl_;
  if (!impl.next || !(*impl.next != *impl.end)) return false;
  name = impl.next->key();
  ToValue(impl.next->value(), value);
  value.token = impl.walker.FieldValue();
  if (impl.has_big_numbers) impl.FixBigNumber(value);
  ++*impl.next;
  return true;
}

}  // namespace bettong::ingest
