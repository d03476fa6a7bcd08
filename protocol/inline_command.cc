#include "protocol/inline_command.h"

#include <cctype>

namespace bettong::protocol {
namespace {

bool IsSpace(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char Unescape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

// Reads up to the closing quote; `at` stands behind the opening one. False: there is none, or the
// text goes on right behind it.
bool ReadQuoted(std::string_view line, size_t& at, char quote, std::string& bytes) {
  for (; at < line.size(); ++at) {
    const char c = line[at];
    if (c == quote) {
      ++at;
      return at == line.size() || IsSpace(line[at]);
    }
    if (c == '\\' && quote == '"' && at + 3 < line.size() && line[at + 1] == 'x' &&
        HexDigit(line[at + 2]) >= 0 && HexDigit(line[at + 3]) >= 0) {
      bytes.push_back(static_cast<char>(HexDigit(line[at + 2]) * 16 + HexDigit(line[at + 3])));
      at += 3;
    } else if (c == '\\' && quote == '"' && at + 1 < line.size()) {
      bytes.push_back(Unescape(line[++at]));
    } else if (c == '\\' && quote == '\'' && at + 1 < line.size() && line[at + 1] == '\'') {
      bytes.push_back(line[++at]);
    } else {
      bytes.push_back(c);
    }
  }
  return false;
}

}  // namespace

bool SplitInline(std::string_view line, std::string& bytes, std::vector<ArgRange>& args) {
  size_t at = 0;
  for (;;) {
    while (at < line.size() && IsSpace(line[at])) ++at;
    if (at == line.size()) return true;
    const size_t start = bytes.size();
    while (at < line.size() && !IsSpace(line[at])) {
      const char c = line[at++];
      if (c == '"' || c == '\'') {
        if (!ReadQuoted(line, at, c, bytes)) return false;
      } else {
        bytes.push_back(c);
      }
    }
    args.push_back({start, bytes.size() - start});
  }
}

}  // namespace bettong::protocol
