#include "protocol/subscribers.h"

#include <string>

#include "protocol/glob.h"
#include "protocol/reply_writer.h"
#include "protocol/session.h"

namespace bettong::protocol {
namespace {

// The message in either protocol version, made when the first session needs it.
class MessageText {
 public:
  MessageText(std::string_view pattern, bool has_pattern, std::string_view channel,
              std::string_view payload)
      : pattern_(pattern), has_pattern_(has_pattern), channel_(channel), payload_(payload) {}

  std::string_view For(bool resp3) {
    std::string& text = resp3 ? resp3_ : resp2_;
    if (text.empty()) {
      ReplyWriter reply(text, resp3);
      reply.Push(has_pattern_ ? 4 : 3);
      reply.Bulk(has_pattern_ ? "pmessage" : "message");
      if (has_pattern_) reply.Bulk(pattern_);
      reply.Bulk(channel_);
      reply.Bulk(payload_);
    }
    return text;
  }

 private:
  std::string_view pattern_;
  bool has_pattern_;
  std::string_view channel_, payload_;
  std::string resp2_, resp3_;
};

}  // namespace

bool LocalSubscribers::Add(Session& session, std::string_view name, bool pattern) {
  if (!session.subscriptions(pattern).emplace(name).second) return false;
  (pattern ? patterns_ : channels_)[name].insert(&session);
  ++count_;
  session.UpdateRestricted();
  return true;
}

bool LocalSubscribers::Remove(Session& session, std::string_view name, bool pattern) {
  StringMap<Sessions>& names = pattern ? patterns_ : channels_;
  auto found = names.find(name);
  if (found == names.end() || found->second.erase(&session) == 0) return false;
  if (found->second.empty()) names.erase(found);
  session.subscriptions(pattern).erase(name);
  --count_;
  session.UpdateRestricted();
  return true;
}

void LocalSubscribers::RemoveAll(Session& session) {
  for (const bool pattern : {false, true}) {
    while (!session.subscriptions(pattern).empty()) {
      const std::string name = *session.subscriptions(pattern).begin();
      Remove(session, name, pattern);
    }
  }
  std::erase(pushed_, &session);
}

size_t LocalSubscribers::Publish(std::string_view channel, std::string_view payload) {
  if (count() == 0) return 0;
  size_t receivers = 0;
  if (auto found = channels_.find(channel); found != channels_.end()) {
    MessageText message({}, false, channel, payload);
    for (Session* session : found->second) {
      Push(*session, message.For(session->info().resp3));
    }
    receivers += found->second.size();
  }
  for (const auto& [pattern, sessions] : patterns_) {
    if (!GlobMatch(pattern, channel)) continue;
    MessageText message(pattern, true, channel, payload);
    for (Session* session : sessions) {
      Push(*session, message.For(session->info().resp3));
    }
    receivers += sessions.size();
  }
  return receivers;
}

void LocalSubscribers::Push(Session& session, std::string_view message) {
  if (session.Push(message)) pushed_.push_back(&session);
}

void LocalSubscribers::Flush() {
  // Sending may end a session, which takes itself off the list.
  while (!pushed_.empty()) {
    Session* session = pushed_.back();
    pushed_.pop_back();
    session->SendPushed();
  }
}

}  // namespace bettong::protocol
