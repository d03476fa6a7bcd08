// Tells when to ask the other side of a bettong-stream connection for a sign of life, and when to
// give it up: docs/stream-protocol.md, "Signs of life". Pure; times are of any monotonic clock.
//
// Life: greeting (HELLO or RESUME is waited for, and nobody is asked), living, parting (ERROR was
// said).
#pragma once

#include <cstdint>

namespace bettong::ingest {

inline constexpr int64_t kStreamGreetingWithinMs = 10'000;  // HELLO, RESUME
inline constexpr int64_t kStreamAskAfterMs = 5'000;         // of silence: PING
inline constexpr int64_t kStreamAnswerWithinMs = 10'000;    // after PING
inline constexpr int64_t kStreamPartingMs = 1'000;          // reading on after ERROR

class StreamPulse {
 public:
  enum class Beat : uint8_t { kNone, kAsk, kGone };

  explicit StreamPulse(int64_t now_ms) : at_ms_(now_ms + kStreamGreetingWithinMs) {}

  // The greeting is through.
  void Live(int64_t now_ms) {
    phase_ = Phase::kLiving;
    at_ms_ = now_ms + kStreamAskAfterMs;
  }
  void Part(int64_t now_ms) {
    phase_ = Phase::kParting;
    at_ms_ = now_ms + kStreamPartingMs;
  }
  // Something came, or the kernel took bytes again after it had refused some.
  void Heard(int64_t now_ms) {
    if (phase_ == Phase::kLiving || phase_ == Phase::kAsked) Live(now_ms);
  }
  // We do not read, so nothing can be heard: the other side is asked on and on, which shows it that
  // we live, and is not given up.
  void SetDeaf(bool deaf, int64_t now_ms) {
    if (deaf == deaf_) return;
    deaf_ = deaf;
    Heard(now_ms);
  }

  Beat Tick(int64_t now_ms) {
    if (now_ms < at_ms_) return Beat::kNone;
    if (phase_ != Phase::kLiving) return Beat::kGone;
    if (deaf_) {
      at_ms_ = now_ms + kStreamAskAfterMs;
    } else {
      phase_ = Phase::kAsked;
      at_ms_ = now_ms + kStreamAnswerWithinMs;
    }
    return Beat::kAsk;
  }

 private:
  enum class Phase : uint8_t { kGreeting, kLiving, kAsked, kParting };

  Phase phase_ = Phase::kGreeting;
  bool deaf_ = false;
  int64_t at_ms_;
};

}  // namespace bettong::ingest
