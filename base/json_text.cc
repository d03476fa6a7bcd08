#include "base/json_text.h"

#include <cmath>

#include "base/number_text.h"
#include "base/utf8.h"

namespace bettong {

void AppendJsonString(std::string_view text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out.push_back('"');
  for (size_t i = 0; i < text.size();) {
    auto byte = static_cast<unsigned char>(text[i]);
    if (byte == '"' || byte == '\\') {
      out.push_back('\\');
      out.push_back(text[i++]);
    } else if (byte < 0x20) {
      switch (byte) {
        case '\n':
          out += "\\n";
          break;
        case '\r':
          out += "\\r";
          break;
        case '\t':
          out += "\\t";
          break;
        case '\b':
          out += "\\b";
          break;
        case '\f':
          out += "\\f";
          break;
        default:
          out += "\\u00";
          out.push_back(kHex[byte >> 4]);
          out.push_back(kHex[byte & 15]);
      }
      ++i;
    } else if (byte < 0x80) {
      out.push_back(text[i++]);
    } else {
      // A well-formed UTF-8 sequence is copied, anything else becomes U+FFFD byte by byte.
      size_t size = Utf8SequenceBytes(text.substr(i));
      if (size != 0) {
        out.append(text, i, size);
        i += size;
      } else {
        out += "\xef\xbf\xbd";
        ++i;
      }
    }
  }
  out.push_back('"');
}

void AppendJsonFloat(double value, std::string& out) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  const size_t start = out.size();
  AppendFloat(value, out);
  if (out.find_first_not_of("-0123456789", start) == std::string::npos) out += ".0";
}

}  // namespace bettong
