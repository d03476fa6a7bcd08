// Splits the line of an inline command (what a person types into telnet) into arguments, with
// Redis's quoting: "double" with \n \r \t \b \a \xHH and 'single' with \'.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace bettong::protocol {

struct ArgRange {
  size_t offset;
  size_t size;
};

// Appends the arguments' bytes to `bytes` and their places to `args`. False: unbalanced quotes.
bool SplitInline(std::string_view line, std::string& bytes, std::vector<ArgRange>& args);

}  // namespace bettong::protocol
