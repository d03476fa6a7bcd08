// XREAD.
#pragma once

#include "protocol/command_row.h"

namespace bettong::protocol {

void RunXRead(Session& session, Args args);
CommandRow::KeyRange XReadKeys(Args args);

}  // namespace bettong::protocol
