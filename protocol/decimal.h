// Decimal numbers as INCRBYFLOAT and HINCRBYFLOAT read and write them: 80-bit floats, printed with
// 17 digits after the point and without exponent, as Redis does.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bettong::protocol {

// Anything strtold reads to its last byte, infinities included; not NaN, no leading space.
std::optional<long double> ParseDecimal(std::string_view text);

// "3", "10.5", "0.1": trailing zeros are cut.
std::string FormatDecimal(long double value);

// A double as RESP3 writes it after the comma: shortest text, "inf", "-inf", "nan".
void AppendDouble(double value, std::string& out);

}  // namespace bettong::protocol
