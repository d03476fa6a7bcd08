// The kinds of mail that shards send each other.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "grid/runtime/shard_loop.h"

namespace bettong::grid {

// Commands for keys of another shard, with copies of all that they borrow.
class ShardLoop::CommandMail : public Mail {
 public:
  explicit CommandMail(std::span<const Message> commands)
      : messages_(commands.begin(), commands.end()) {
    size_t bytes = 0, args = 0;
    for (const Message& message : messages_) {
      bytes += message.key.text.size() + message.arguments.size();
      for (std::string_view arg : message.args) bytes += arg.size();
      args += message.args.size();
    }
    bytes_.reserve(bytes);
    args_.reserve(args);
    for (Message& message : messages_) {
      message.key.text = Keep(message.key.text);
      message.arguments = Keep(message.arguments);
      size_t first = args_.size();
      for (std::string_view arg : message.args) args_.push_back(Keep(arg));
      message.args = Args(args_).subspan(first, message.args.size());
    }
  }

  void Deliver(ShardLoop& shard) override { shard.Submit(messages_); }

 private:
  std::string_view Keep(std::string_view text) {
    size_t begin = bytes_.size();
    bytes_.append(text);
    return std::string_view(bytes_).substr(begin, text.size());
  }

  std::vector<Message> messages_;
  std::string bytes_;  // reserved once: views into it stay good
  std::vector<std::string_view> args_;
};

class ShardLoop::ReplyMail : public Mail {
 public:
  void Add(const Ticket& ticket, std::string_view bytes) {
    auto begin = bytes_.size();
    bytes_.append(bytes);
    replies_.push_back(ReplyRange{ticket, begin, bytes_.size()});
  }

  void Deliver(ShardLoop& shard) override {
    for (const ReplyRange& reply : replies_) {
      shard.DeliverReply(reply.ticket,
                         std::string_view(bytes_).substr(reply.begin, reply.end - reply.begin));
    }
    shard.FlushReplies();
  }

 private:
  std::string bytes_;
  std::vector<ReplyRange> replies_;
};

class ShardLoop::PublishMail : public Mail {
 public:
  void Add(std::string_view channel, std::string_view payload) {
    messages_.push_back({channel.size(), payload.size()});
    bytes_.append(channel).append(payload);
  }

  void Deliver(ShardLoop& shard) override {
    std::string_view bytes = bytes_;
    for (const MessageSize& message : messages_) {
      shard.subscribers_->Publish(bytes.substr(0, message.channel),
                                  bytes.substr(message.channel, message.payload));
      bytes.remove_prefix(message.channel + message.payload);
    }
    shard.subscribers_->Flush();
  }

 private:
  struct MessageSize {
    size_t channel, payload;
  };
  std::string bytes_;  // channel and payload of each
  std::vector<MessageSize> messages_;
};

class ShardLoop::CreditMail : public Mail {
 public:
  void Add(const Credit& credit) { credits_.push_back(credit); }

  void Deliver(ShardLoop& shard) override {
    for (const Credit& credit : credits_) shard.ApplyCredit(credit);
  }

 private:
  std::vector<Credit> credits_;
};

class ShardLoop::ViewMail : public Mail {
 public:
  void Add(ViewEntry entry) { entries_.push_back(std::move(entry)); }

  void Deliver(ShardLoop& shard) override {
    std::vector<Message> messages(entries_.size());
    std::vector<Credit> credits;
    for (size_t i = 0; i < entries_.size(); ++i) {
      messages[i].kind = MessageKind::kViewEntry;
      messages[i].view = &entries_[i];
      AddCredit(credits, entries_[i].origin.source, -1);
    }
    shard.Submit(messages);
    shard.ReturnCredits(credits);
  }

 private:
  std::vector<ViewEntry> entries_;
};

}  // namespace bettong::grid
