// Any bytes: a reply is whole or it is not, and one that is whole needs every byte of it.

#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "server/resp_reply.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bettong::server;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  RespReply reply, again;
  size_t taken = 0, taken_again = 0;
  if (ReadRespReply(bytes, reply, taken) != RespReplyStatus::kWhole) return 0;
  BETTONG_CHECK(taken > 0 && taken <= size);
  const std::string_view whole = bytes.substr(0, taken);
  BETTONG_CHECK(ReadRespReply(whole, again, taken_again) == RespReplyStatus::kWhole);
  BETTONG_CHECK(taken_again == taken && again == reply);
  BETTONG_CHECK(ReadRespReply(whole.substr(0, taken - 1), again, taken_again) ==
                RespReplyStatus::kIncomplete);
  return 0;
}
