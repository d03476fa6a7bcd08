// The simulator's side of base/simulation.h: which bug is planted, and which places were reached.
#pragma once

namespace bettong::simulation {

void Plant(const char* bug);
// How often each place was reached.
void PrintPoints();

}  // namespace bettong::simulation
