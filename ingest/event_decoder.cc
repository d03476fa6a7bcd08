#include "ingest/event_decoder.h"

#include <charconv>

#include "base/check.h"
#include "ingest/plain_json.h"

namespace bettong::ingest {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

DecodeError Malformed(const char* detail) {
  return DecodeError{.status = DecodeStatus::kMalformed, .detail = detail};
}

// An error about `token`, which lies in `input`.
DecodeError At(DecodeStatus status, int field, std::string_view token, std::string_view input) {
  return DecodeError{.status = status,
                     .field = static_cast<uint16_t>(field),
                     .got_begin = static_cast<uint32_t>(token.data() - input.data()),
                     .got_size = static_cast<uint32_t>(token.size())};
}

// The value of a field of its form; false: nothing has been read, it is written in another way.
bool ReadKnown(const ShapeField& known, PlainObject& object, RecordFields& fields) {
  const auto field = static_cast<size_t>(known.field);
  std::string_view text;
  int64_t integer;
  double real;
  switch (known.form) {
    case FieldForm::kUndeclared:
      return object.ReadText(text);
    case FieldForm::kText:
      if (!object.ReadText(text)) return false;
      fields.PutText(field, text);
      return true;
    case FieldForm::kInt:
      if (!object.ReadInt(integer)) return false;
      fields.PutInt(field, integer);
      return true;
    case FieldForm::kFloat:
      if (!object.ReadFloat(real)) return false;
      fields.PutFloat(field, real);
      return true;
    case FieldForm::kTime:
      if (!object.ReadInt(integer, kEventTimeMsMax)) return false;
      fields.PutTime(field, integer);
      return true;
    case FieldForm::kOther:
      return false;
  }
  return false;
}

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

}  // namespace

EventDecoder::EventDecoder(StreamId stream, const grid::EventSchema& schema,
                           std::vector<const grid::KeySpec*> keys, JsonDocument& document)
    : layout_(stream, schema), keys_(std::move(keys)), document_(document) {
  found_keys_.resize(keys_.size());
}

// False, and nothing appended: not plain, or there is an error for DecodeAny to find.
// flatten: all the small steps that it is made of are in line.
[[gnu::flatten]] bool EventDecoder::DecodePlain(std::string_view json, ByteBuffer& records,
                                                LineReader* beside) {
  RecordFields fields(layout_, records);
  PlainObject object(json);
  int field = -1;
  for (size_t place = 0;; ++place) {
    if (const ShapeField* known = shape_.Skip(object, place)) {
      field = known->field;
      if (ReadKnown(*known, object, fields)) continue;
    } else {
      const auto step = object.NextName();
      if (step == PlainObject::Step::kEnd) {
        if (beside != nullptr && !SetRightBeside(fields, *beside)) break;
        if (fields.Complete().ok()) return true;
      }
      if (step != PlainObject::Step::kField) break;
      field = layout_.Find(object.name(), field + 1);
      shape_.Remember(place, object.lead(), field, layout_.FormOf(field));
    }
    PlainValue value;
    if (!object.ReadValue(value)) break;
    if (field < 0) continue;
    const DecodeStatus status = fields.Set(static_cast<size_t>(field), value, object.value_token());
    if (status != DecodeStatus::kOk) break;
  }
  fields.Abandon();
  return false;
}

bool EventDecoder::SetRightBeside(RecordFields& fields, LineReader& beside) {
  wrong_.clear();
  SetBeside(fields, beside);
  return wrong_.empty();
}

DecodeError EventDecoder::DecodeJson(std::string_view json, ByteBuffer& records,
                                     LineReader* beside) {
  if (is_unclassed()) {
    return beside == nullptr ? DecodeUnclassed(json, records)
                             : DecodeUnclassedWith(json, records, *beside);
  }
  if (DecodePlain(json, records, beside)) return DecodeError{};
  return DecodeAny(json, records, beside);
}

DecodeError EventDecoder::DecodeAny(std::string_view json, ByteBuffer& records,
                                    LineReader* beside) {
  RecordFields fields(layout_, records);
  DecodeError error = SetAll(fields, json, beside);
  if (!error.ok()) fields.Abandon();
  return error;
}

DecodeError EventDecoder::SetAll(RecordFields& fields, std::string_view json, LineReader* beside) {
  JsonValue value;
  if (const char* detail = document_.Parse(json, value)) return Malformed(detail);
  if (!document_.is_object()) return At(DecodeStatus::kNotObject, 0, value.token, json);
  std::string_view name;
  int field = -1;
  wrong_.clear();
  while (document_.NextField(name, value)) {
    field = layout_.Find(name, field + 1);
    if (field < 0) continue;
    const auto index = static_cast<size_t>(field);
    const DecodeStatus status = value.nested ? fields.SetNested(index, value.token)
                                             : fields.Set(index, value.scalar, value.token);
    NoteStatus(At(status, field, value.token, json));
  }
  if (beside != nullptr) SetBeside(fields, *beside);
  return wrong_.empty() ? fields.Complete() : wrong_.front();
}

// The last value of a field counts.
void EventDecoder::NoteStatus(const DecodeError& error) {
  if (!wrong_.empty()) {
    std::erase_if(wrong_, [&](const DecodeError& old) { return old.field == error.field; });
  }
  if (!error.ok()) wrong_.push_back(error);
}

// An event without a class stays text, once it is known to be a JSON object; only its keys are
// read.
DecodeError EventDecoder::DecodeUnclassed(std::string_view json, ByteBuffer& records) {
  ForgetKeys();
  if (!FindKeysInPlain(json)) {
    ForgetKeys();
    JsonValue value;
    if (const char* detail = document_.Parse(json, value)) return Malformed(detail);
    if (!document_.is_object()) return At(DecodeStatus::kNotObject, 0, value.token, json);
    std::string_view name;
    while (!keys_.empty() && document_.NextField(name, value)) {
      NoteKey(name, value.scalar, value.token);
    }
  }
  RecordFields fields(layout_, records);
  fields.SetNested(0, Trimmed(json));
  return fields.Complete();
}

bool EventDecoder::FindKeysInPlain(std::string_view json) {
  PlainObject object(json);
  PlainValue value;
  while (true) {
    switch (object.NextName()) {
      case PlainObject::Step::kUnsure:
        return false;
      case PlainObject::Step::kEnd:
        return true;
      case PlainObject::Step::kField:
        if (!object.ReadValue(value)) return false;
        NoteKey(object.name(), value, object.value_token());
    }
  }
}

void EventDecoder::ForgetKeys() {
  for (FoundKey& key : found_keys_) key.status = KeyStatus::kMissing;
}

void EventDecoder::NoteKey(std::string_view name, const PlainValue& value, std::string_view token) {
  const bool nested = token[0] == '{' || token[0] == '[';
  // An integer beyond 64 bits: its text is the key, as with the others.
  const bool is_big_int = value.kind == PlainValue::Kind::kFloat &&
                          token.find_first_of(".eE") == std::string_view::npos;
  for (size_t i = 0; i < keys_.size(); ++i) {
    if (keys_[i]->field_name != name) continue;
    FoundKey& key = found_keys_[i];
    key.status = KeyStatus::kOk;
    key.is_int = value.kind == PlainValue::Kind::kInt;
    if (nested) {
      key.status = KeyStatus::kWrongType;
    } else if (key.is_int) {
      key.integer = value.integer;
    } else if (value.kind == PlainValue::Kind::kText) {
      key.text = value.text;
    } else if (is_big_int) {
      key.text = token;
    } else {
      key.status = value.kind == PlainValue::Kind::kNull ? KeyStatus::kNull : KeyStatus::kWrongType;
    }
  }
}

EventKey EventDecoder::Key(size_t index, const grid::EventRecord& record) {
  EventKey key{KeyStatus::kOk, {}};
  if (is_unclassed()) {
    const FoundKey& found = found_keys_[index];
    if (found.status != KeyStatus::kOk) return EventKey{found.status, {}};
    if (found.is_int) return IntKey(found.integer);
    key.text = found.text;
  } else {
    const size_t field = keys_[index]->field;
    if (record.IsNull(field)) return EventKey{KeyStatus::kNull, {}};
    switch (layout_.schema().fields[field].type) {
      case grid::EventFieldType::kInt:
        return IntKey(record.Int(field));
      case grid::EventFieldType::kText:
      case grid::EventFieldType::kBytes:
        key.text = record.Bytes(field);
        break;
      default:
        return EventKey{KeyStatus::kWrongType, {}};
    }
  }
  if (key.text.empty()) key.status = KeyStatus::kEmpty;
  if (key.text.size() > grid::kEventKeyBytesMax) key.status = KeyStatus::kTooLong;
  return key;
}

EventKey EventDecoder::IntKey(int64_t value) {
  const auto end = std::to_chars(key_digits_, key_digits_ + sizeof(key_digits_), value).ptr;
  return {KeyStatus::kOk, {key_digits_, static_cast<size_t>(end - key_digits_)}};
}

}  // namespace bettong::ingest
