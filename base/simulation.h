// What the simulator (tests/sim) wants to know of the code it runs, and to break in it. Outside of
// its own build nothing of this exists.
//
//   BETTONG_SOMETIMES(torn_tail_cut);              a place that a campaign must reach
//   if (BETTONG_PLANTED(ack_before_durable)) ...   a bug that the simulator must find
#pragma once

#ifdef BETTONG_SIMULATION

namespace bettong::simulation {
bool Planted(const char* bug);
void Sometimes(const char* point);
}  // namespace bettong::simulation

#define BETTONG_PLANTED(bug) (::bettong::simulation::Planted(#bug))
#define BETTONG_SOMETIMES(point) ::bettong::simulation::Sometimes(#point)

#else

#define BETTONG_PLANTED(bug) false
#define BETTONG_SOMETIMES(point) static_cast<void>(0)

#endif
