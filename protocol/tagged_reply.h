// What a computation returned (grid/tagged.h) as a RESP reply.
#pragma once

#include <string>
#include <string_view>

namespace bettong::protocol {

// dict: map, flat array in RESP2. float: double, bulk in RESP2. bool: boolean, 1 or 0 in RESP2.
// None: null. A CommandSpec::encode.
void EncodeTagged(std::string_view tagged, bool resp3, std::string& reply);

}  // namespace bettong::protocol
