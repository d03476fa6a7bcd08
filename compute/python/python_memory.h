// How much memory Python holds, and the limit of it. One a process, as its interpreter is, and
// never freed.
//
// What counts: everything that Python's own allocators take from the system (arenas of small
// objects, and each larger block), and the data of numpy's arrays that the lane makes
// (numpy_memory.h). Small objects come out of arenas and cost nothing extra here. What extension
// modules take from malloc for themselves is not counted.
//
// Beyond the limit an allocation fails, which is a MemoryError in the code that asked. Turns are
// under the limit, and so are other Python threads; what the host itself does between turns (fills
// instances, puts errors into words) is not, so that a turn that fails of it can be told about.
//
// Allocation from any thread. Lift and Enforce on the lane, with the GIL.
#pragma once

#include "compute/python/ref.h"

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"

namespace bettong::compute::python {

class PythonMemory {
 public:
  static PythonMemory& Get();

  // After Py_PreInitialize, before anything that allocates is worth counting. With the allocators
  // of PYTHONMALLOC=debug or Python's development mode there is nothing to hook: then `counts()`
  // stays false.
  void Hook();
  bool counts() const { return counts_; }

  // 0: none. FailedPrecondition if nothing is counted.
  absl::Status SetLimit(uint64_t bytes);
  uint64_t limit_bytes() const { return limit_.load(std::memory_order_relaxed); }
  uint64_t held_bytes() const;
  // Allocations that were not let through.
  uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

  // No code of users runs on the lane until Enforce.
  void Lift() { enforced_.store(false, std::memory_order_relaxed); }
  void Enforce() { enforced_.store(true, std::memory_order_relaxed); }

  // For allocators: whether `bytes` more may be taken, and what has been.
  bool Admit(size_t bytes);
  void Add(size_t bytes) {
    held_.fetch_add(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  }
  void Remove(size_t bytes) {
    held_.fetch_sub(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  }

 private:
  struct Hooks;

  bool counts_ = false;
  std::atomic<int64_t> held_{0};  // below zero: a block was freed that had been there before
  std::atomic<uint64_t> limit_{0};
  std::atomic<uint64_t> refused_{0};
  std::atomic<bool> enforced_{true};
};

// The limit is off in a scope of the lane, on again behind it.
class MemoryLimitLifted {
 public:
  MemoryLimitLifted() { PythonMemory::Get().Lift(); }
  ~MemoryLimitLifted() { PythonMemory::Get().Enforce(); }
  MemoryLimitLifted(const MemoryLimitLifted&) = delete;
  MemoryLimitLifted& operator=(const MemoryLimitLifted&) = delete;
};

}  // namespace bettong::compute::python
