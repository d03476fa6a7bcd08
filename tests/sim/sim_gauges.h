// A part of the simulated app: windows whose values come in any order, some of them late.
//
// How far the watermark is when an event comes within the lateness is, by design, not the same in
// every run: it is at the highest time when the last connection has gone (docs/time.md). So each
// gauge tells what its windows have taken, and what closes must be exactly that. What is as new as
// anything before it is never late; what is older than the newest by more than the lateness is.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/sim/scheduler.h"
#include "tests/sim/sim_parts.h"

namespace bettong::sim {

struct GaugeOptions {
  int64_t lateness_ms = 0;    // of the stream "readings"
  bool late_letters = false;  // late ones become dead letters; otherwise they have a handler
};
void DeclareGauges(grid::Catalog& catalog, const GaugeOptions& options);
void DefineGauges(const grid::Catalog& catalog, compute::InlineHost& host);

class Gauges {
 public:
  std::vector<std::string> MakeEvents(Scheduler& scheduler, const GaugeOptions& options);

  // `line` of the sink is a letter about a reading that is late: as what its handler would emit.
  static bool ReadLetter(const std::string& line, OutputLine& late);
  std::string CheckOutputs(const OutputLines& lines) const;
  std::string CheckState(const Rows& rows) const;

 private:
  enum class Late : int8_t { kNever, kMaybe, kCertainly };
  struct Reading {
    int64_t at_ms = 0, value = 0;
    Late late = Late::kNever;
  };
  class Check;

  std::string Read(const std::string& key, const Reading& reading);

  bool late_letters_ = false;
  std::map<std::string, std::vector<Reading>> readings_;  // by n - 1
};

}  // namespace bettong::sim
