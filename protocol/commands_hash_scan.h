// HSCAN and HRANDFIELD.
#pragma once

#include "grid/command.h"

namespace bettong::protocol {

void RunHScan(grid::KeyTurn& turn, grid::Args args);
void RunHRandField(grid::KeyTurn& turn, grid::Args args);

}  // namespace bettong::protocol
