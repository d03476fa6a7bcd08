// Text as JSON.
#pragma once

#include <string>
#include <string_view>

namespace bettong {

// Appends `text` as a JSON string, quotes included. What is not UTF-8 becomes U+FFFD.
void AppendJsonString(std::string_view text, std::string& out);

// Appends a number that reads back as the same double, and as no int. JSON has no words for what is
// not finite: null.
void AppendJsonFloat(double value, std::string& out);

}  // namespace bettong
