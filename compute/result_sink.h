// Where turns emit to: outputs go straight into the results and are cut off again when their turn
// fails. The runner's.
#pragma once

#include <cstddef>
#include <string_view>

#include "compute/turn_host.h"
#include "grid/loan.h"

namespace bettong::compute {

class ResultSink final : public OutputSink {
 public:
  explicit ResultSink(grid::LoanResults& results) : results_(results) {}

  bool Emit(StreamId stream, std::string_view json) override {
    if (json.size() > kTurnOutputBytesMax - turn_bytes_) return false;
    turn_bytes_ += json.size();
    auto begin = results_.bytes.size();
    results_.bytes.append(json);
    results_.outputs.push_back(grid::LoanOutput{stream, begin, results_.bytes.size()});
    return true;
  }

  // Where a turn began.
  struct Mark {
    size_t outputs, bytes;
  };
  Mark Begin() {
    turn_bytes_ = 0;
    return Mark{results_.outputs.size(), results_.bytes.size()};
  }
  void RollBack(const Mark& mark) {
    results_.outputs.resize(mark.outputs);
    results_.bytes.resize(mark.bytes);
    turn_bytes_ = 0;
  }
  grid::LoanResults& results() { return results_; }

 private:
  grid::LoanResults& results_;
  size_t turn_bytes_ = 0;
};

}  // namespace bettong::compute
