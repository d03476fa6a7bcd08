// What becomes of an event, or of an expiry, that could not be carried out: one JSON object in the
// stream bettong:dead-letters, whoever finds out. docs/dead-letters.md says what its fields mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bettong::grid {

// The most that a letter keeps of each part, in bytes of text before JSON's escapes: whatever user
// code and senders come up with, letters stay small beside the limits of what carries them.
inline constexpr size_t kDeadLetterKeyBytesMax = 64u << 10;
inline constexpr size_t kDeadLetterEventBytesMax = 1u << 20;  // whole, to be retried
inline constexpr size_t kDeadLetterStateBytesMax = 64u << 10;
inline constexpr size_t kDeadLetterErrorBytesMax = 64u << 10;
inline constexpr size_t kDeadLetterTracebackBytesMax = 64u << 10;
// An escaped byte takes six at most, base64 four for three; names and notes take the rest.
inline constexpr size_t kDeadLetterBytesMax =
    6 * (kDeadLetterKeyBytesMax + kDeadLetterEventBytesMax + kDeadLetterStateBytesMax +
         kDeadLetterErrorBytesMax + kDeadLetterTracebackBytesMax) +
    2 * kDeadLetterEventBytesMax + (64u << 10);

// The parts of a letter; what is empty or unset is null in it.
struct DeadLetter {
  std::string_view stream;
  std::string_view entity_class;        // unset: the event reached no handler
  std::optional<std::string_view> key;  // without the class's prefix
  std::string_view handler;             // the method
  std::string_view origin_json;         // OriginPlaces; empty: not told

  std::string_view event_json;                 // the event, decoded; or
  std::optional<std::string_view> event_text;  // as it came, and
  uint64_t event_text_bytes = 0;               // its size when the text is only its head; 0: whole

  std::string_view state_json;
  uint32_t attempts = 0;  // of a turn that was tried again; 0: not told
  std::string_view error;
  std::string_view traceback;  // empty: no user code ran, the error is all there is to trace
};

// Compact JSON, on one line as its parts are. Too long a part is cut, and becomes text that ends
// with its full size.
std::string RenderDeadLetter(const DeadLetter& letter);

// Whether the letter is of an event that was a letter itself: handlers are not given it, for they
// would fail at it for ever.
bool IsLetterOfALetter(std::string_view rendered);

// What ends with this has been cut.
inline constexpr std::string_view kCutTextEnd = " bytes in all)";
// The text, or as much of its beginning as fits and " ... (cut: 123456 bytes in all)".
std::string CutText(std::string_view text, size_t bytes_max);

}  // namespace bettong::grid
