#include "protocol/gather.h"

#include <charconv>

#include "base/check.h"

namespace bettong::protocol {

void Gather::Take(uint16_t part, std::string_view bytes) {
  if (sums && !bytes.empty() && bytes[0] == ':') {
    sum += TakeHead(bytes);
  } else {
    parts[part].assign(bytes);
  }
}

std::string_view Gather::Error() const {
  for (const std::string& part : parts) {
    if (!part.empty() && part[0] == '-') return part;
  }
  return {};
}

int64_t TakeHead(std::string_view& bytes) {
  const size_t end = bytes.find('\r');
  BETTONG_CHECK(end != std::string_view::npos);
  int64_t value = 0;
  std::from_chars(bytes.data() + 1, bytes.data() + end, value);
  bytes.remove_prefix(end + 2);
  return value;
}

size_t ValueSize(std::string_view bytes) {
  std::string_view rest = bytes;
  size_t values = 1;
  while (values > 0) {
    --values;
    const char type = rest.front();
    if (type == '+' || type == '-' || type == ',' || type == '(' || type == '_' || type == '#') {
      rest.remove_prefix(rest.find('\n') + 1);
      continue;
    }
    const int64_t head = TakeHead(rest);
    if (head < 0 || type == ':') continue;
    if (type == '$' || type == '=') {
      rest.remove_prefix(static_cast<size_t>(head) + 2);
    } else {
      values += static_cast<size_t>(head) * (type == '%' ? 2 : 1);
    }
  }
  return bytes.size() - rest.size();
}

bool IsNullReply(std::string_view bytes) {
  return bytes == "*-1\r\n" || bytes == "$-1\r\n" || bytes == "_\r\n";
}

void MergeSum(Gather& gather, ReplyWriter& reply) {
  int64_t sum = gather.sum;
  for (std::string_view part : gather.parts) {
    if (!part.empty()) sum += TakeHead(part);
  }
  reply.Integer(sum);
}

void MergeOk(Gather&, ReplyWriter& reply) { reply.Ok(); }

void MergeArrays(Gather& gather, ReplyWriter& reply) {
  int64_t sum = 0;
  for (std::string_view part : gather.parts) sum += TakeHead(part);
  reply.Array(static_cast<size_t>(sum));
  for (std::string_view part : gather.parts) {
    TakeHead(part);
    reply.out().append(part);
  }
}

void MergeByKey(Gather& gather, ReplyWriter& reply) {
  std::vector<std::string_view> rests(gather.parts.begin(), gather.parts.end());
  for (std::string_view& rest : rests) TakeHead(rest);
  reply.Array(gather.part_of_key.size());
  for (uint16_t part : gather.part_of_key) {
    std::string_view& rest = rests[part];
    const size_t size = ValueSize(rest);
    reply.out().append(rest.substr(0, size));
    rest.remove_prefix(size);
  }
}

void MergeFirst(Gather& gather, ReplyWriter& reply) {
  for (const std::string& part : gather.parts) {
    if (part.empty() || IsNullReply(part)) continue;
    reply.out().append(part);
    return;
  }
  reply.NullArray();
}

}  // namespace bettong::protocol
