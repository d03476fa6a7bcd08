#include "grid/dead_letter.h"

#include <absl/strings/escaping.h>

#include "base/json_text.h"
#include "base/utf8.h"
#include "grid/catalog.h"
#include "grid/event.h"

namespace bettong::grid {
namespace {

// The beginning of the text, not ending inside of a UTF-8 sequence.
std::string_view Head(std::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  size_t size = bytes_max;
  for (size_t back = 0; back < 3 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80; ++back)
    --size;
  return text.substr(0, size);
}

std::string WithNote(std::string_view head, uint64_t whole_bytes) {
  return std::string(head) + " ... (cut: " + std::to_string(whole_bytes) + std::string(kCutTextEnd);
}

class LetterJson {
 public:
  void Null(std::string_view name) { Name(name) += "null"; }

  void Text(std::string_view name, std::string_view text, size_t bytes_max) {
    TextHead(name, Head(text, bytes_max), text.size());
  }
  // `head`: what is kept of a text of so many bytes.
  void TextHead(std::string_view name, std::string_view head, uint64_t whole_bytes) {
    std::string& out = Name(name);
    if (head.size() >= whole_bytes) return AppendJsonString(head, out);
    AppendJsonString(WithNote(head, whole_bytes), out);
  }
  void TextOrNull(std::string_view name, std::string_view text, size_t bytes_max) {
    text.empty() ? Null(name) : Text(name, text, bytes_max);
  }
  void Number(std::string_view name, uint64_t number) { Name(name) += std::to_string(number); }
  // A JSON value; as text when it has to be cut.
  void JsonOrNull(std::string_view name, std::string_view json, size_t bytes_max) {
    if (json.empty() || json.size() > bytes_max) return TextOrNull(name, json, bytes_max);
    Name(name) += json;
  }

  std::string Finish() && {
    json_.push_back('}');
    return std::move(json_);
  }

 private:
  std::string& Name(std::string_view name) {
    json_.push_back(json_.empty() ? '{' : ',');
    AppendJsonString(name, json_);
    json_.push_back(':');
    return json_;
  }

  std::string json_;
};

void AddEvent(const DeadLetter& letter, LetterJson& json) {
  if (!letter.event_text) {
    return json.JsonOrNull("event", letter.event_json, kDeadLetterEventBytesMax);
  }
  std::string_view head = Head(*letter.event_text, kDeadLetterEventBytesMax);
  json.TextHead("event", head,
                letter.event_text_bytes != 0 ? letter.event_text_bytes : letter.event_text->size());
  if (IsUtf8(head)) return;
  // JSON has no room for bytes that are not UTF-8: they are kept beside their readable form.
  std::string encoded;
  absl::Base64Escape(absl::string_view(head.data(), head.size()), &encoded);
  json.TextHead("event_base64", encoded, encoded.size());
}

}  // namespace

bool IsLetterOfALetter(std::string_view rendered) {
  static constexpr std::string_view kHead = "{\"stream\":\"";
  return rendered.starts_with(kHead) &&
         rendered.substr(kHead.size()).starts_with(kDeadLetterStream) &&
         rendered.substr(kHead.size() + kDeadLetterStream.size()).starts_with('"');
}

std::string RenderDeadLetter(const DeadLetter& letter) {
  LetterJson json;
  json.TextOrNull("stream", letter.stream, letter.stream.size());
  json.TextOrNull("class", letter.entity_class, letter.entity_class.size());
  if (letter.key) {
    json.Text("key", *letter.key, kDeadLetterKeyBytesMax);
  } else {
    json.Null("key");
  }
  json.TextOrNull("handler", letter.handler, letter.handler.size());
  if (!letter.origin_json.empty()) {
    json.JsonOrNull("origin", letter.origin_json, letter.origin_json.size());
  }
  AddEvent(letter, json);
  json.JsonOrNull("state", letter.state_json, kDeadLetterStateBytesMax);
  if (letter.attempts > 0) json.Number("attempts", letter.attempts);
  json.Text("error", letter.error, kDeadLetterErrorBytesMax);
  json.Text("traceback", letter.traceback.empty() ? letter.error : letter.traceback,
            kDeadLetterTracebackBytesMax);
  return std::move(json).Finish();
}

std::string CutText(std::string_view text, size_t bytes_max) {
  std::string_view head = Head(text, bytes_max);
  return head.size() < text.size() ? WithNote(head, text.size()) : std::string(text);
}

}  // namespace bettong::grid
