#include "server/resp_reply.h"

#include <optional>

#include "base/number_text.h"

namespace bettong::server {
namespace {

using Status = RespReplyStatus;

class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}

  Status Read(RespReply& reply, int depth) {
    const size_t end = in_.find("\r\n", at_);
    if (end == std::string_view::npos) return Status::kIncomplete;
    if (end == at_) return Status::kBroken;
    const char kind = in_[at_];
    const std::string_view head = in_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 2;
    reply = {};
    if (kind == '+' || kind == '-') {
      reply.kind = kind == '+' ? RespReply::Kind::kText : RespReply::Kind::kError;
      reply.text = head;
      return Status::kWhole;
    }
    const std::optional<int64_t> number = ParseInt(head);
    if (!number) return Status::kBroken;
    if (kind == ':') {
      reply.kind = RespReply::Kind::kInteger;
      reply.integer = *number;
      return Status::kWhole;
    }
    if (kind != '$' && kind != '*') return Status::kBroken;
    if (*number == -1) return Status::kWhole;
    if (*number < 0) return Status::kBroken;
    return kind == '$' ? Bulk(static_cast<uint64_t>(*number), reply)
                       : List(static_cast<uint64_t>(*number), reply, depth);
  }

  size_t at() const { return at_; }

 private:
  Status Bulk(uint64_t size, RespReply& reply) {
    const size_t left = in_.size() - at_;
    if (left < 2 || left - 2 < size) return Status::kIncomplete;
    if (in_.substr(at_ + size, 2) != "\r\n") return Status::kBroken;
    reply.kind = RespReply::Kind::kText;
    reply.text = in_.substr(at_, size);
    at_ += size + 2;
    return Status::kWhole;
  }

  // Memory grows with the items that came, not with the number that was said.
  Status List(uint64_t count, RespReply& reply, int depth) {
    if (depth == kReplyDepthMax) return Status::kBroken;
    reply.kind = RespReply::Kind::kList;
    for (uint64_t i = 0; i < count; ++i) {
      if (Status status = Read(reply.items.emplace_back(), depth + 1); status != Status::kWhole) {
        return status;
      }
    }
    return Status::kWhole;
  }

  const std::string_view in_;
  size_t at_ = 0;
};

}  // namespace

const RespReply& RespReply::Find(std::string_view name) const {
  static const RespReply kMissing;
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].text == name) return items[i + 1];
  }
  return kMissing;
}

RespReplyStatus ReadRespReply(std::string_view in, RespReply& reply, size_t& size) {
  Reader reader(in);
  const Status status = reader.Read(reply, 0);
  size = reader.at();
  return status;
}

}  // namespace bettong::server
