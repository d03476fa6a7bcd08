#include "ingest/input_state.h"

#include "base/bytes.h"
#include "base/simulation.h"

namespace bettong::ingest {
namespace {

constexpr uint8_t kPlain = 1;
constexpr uint8_t kWithFingerprint = 2;

}  // namespace

std::string InputState::Encode() const {
  std::string encoded;
  ByteWriter out(encoded);
  out.Fixed(fingerprint == 0 ? kPlain : kWithFingerprint);
  out.Fixed(BETTONG_PLANTED(incarnation_forgotten) ? uint64_t{1} : incarnation);
  out.Fixed(durable);
  if (fingerprint != 0) out.Fixed(fingerprint);
  return encoded;
}

std::optional<InputState> InputState::Decode(std::string_view bytes) {
  ByteReader in(bytes);
  const auto version = in.Fixed<uint8_t>();
  if (version != kPlain && version != kWithFingerprint) return std::nullopt;
  InputState state;
  state.incarnation = in.Fixed<uint64_t>();
  state.durable = in.Fixed<uint64_t>();
  if (version == kWithFingerprint) state.fingerprint = in.Fixed<uint64_t>();
  if (!in.ok() || !in.empty()) return std::nullopt;
  return state;
}

}  // namespace bettong::ingest
