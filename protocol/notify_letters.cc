#include "protocol/notify_letters.h"

#include "grid/key_turn.h"

namespace bettong::protocol {
namespace {

constexpr std::string_view kAll = "g$lshzxetd";  // what "A" stands for
constexpr std::string_view kOthers = "KEn";

uint32_t BitsOf(char letter) {
  switch (letter) {
    case 'K':
      return grid::kNotifyKeyspace;
    case 'E':
      return grid::kNotifyKeyevent;
    case 'g':
      return grid::kNotifyGeneric;
    case '$':
      return grid::kNotifyString;
    case 'h':
      return grid::kNotifyHash;
    case 'x':
      return grid::kNotifyExpired;
    case 't':
      return grid::kNotifyStream;
    case 'n':
      return grid::kNotifyNew;
    default:
      return 0;
  }
}

bool Has(std::string_view letters, char letter) {
  if (letters.find(letter) != std::string_view::npos) return true;
  return letters.find('A') != std::string_view::npos && kAll.find(letter) != std::string_view::npos;
}

}  // namespace

std::optional<uint32_t> ParseNotifyLetters(std::string_view letters) {
  uint32_t bits = 0;
  for (char letter : letters) {
    if (letter == 'A') {
      for (char each : kAll) bits |= BitsOf(each);
    } else if (kAll.find(letter) != std::string_view::npos ||
               kOthers.find(letter) != std::string_view::npos) {
      bits |= BitsOf(letter);
    } else {
      return std::nullopt;
    }
  }
  return bits;
}

std::string FormatNotifyLetters(std::string_view letters) {
  std::string out;
  bool all = true;
  for (char letter : kAll) all = all && Has(letters, letter);
  if (all) {
    out.push_back('A');
  } else {
    for (char letter : kAll) {
      if (Has(letters, letter)) out.push_back(letter);
    }
  }
  for (char letter : kOthers) {
    if (Has(letters, letter)) out.push_back(letter);
  }
  return out;
}

}  // namespace bettong::protocol
