#include "ingest/stream_source.h"

#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "base/check.h"
#include "base/key_hash.h"
#include "grid/runtime/call_mail.h"
#include "grid/runtime/tcp_socket.h"
#include "ingest/stream_greeting.h"

namespace bettong::ingest {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;
using grid::CallMail;

template <typename T>
void EraseOne(std::vector<std::unique_ptr<T>>& from, const T* one) {
  std::erase_if(from, [&](const auto& each) { return each.get() == one; });
}

}  // namespace

class StreamSource::ConnectionMail : public grid::Mail {
 public:
  ConnectionMail(StreamSource& source, int descriptor, std::string received)
      : source_(source), descriptor_(descriptor), received_(std::move(received)) {}
  ~ConnectionMail() override {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  void Deliver(grid::ShardLoop& shard) override {
    source_.Adopt(shard.id().value(), std::exchange(descriptor_, -1), received_);
  }

 private:
  StreamSource& source_;
  int descriptor_;
  const std::string received_;
};

struct StreamSource::Part {
  explicit Part(grid::ShardLoop& shard) : tick(shard.io()) {}

  std::vector<std::unique_ptr<StreamGreeting>> greetings;  // shard 0
  std::vector<std::unique_ptr<StreamConnection>> connections;
  boost::asio::steady_timer tick;
  bool ticking = false;
};

StreamSource::StreamSource(SourceConfig config, std::vector<grid::ShardLoop*> shards,
                           std::vector<SourceActors*> actors, SourceCounters& counters, LogLine log,
                           StreamSourceOptions options)
    : config_(std::move(config)),
      shards_(std::move(shards)),
      actors_(std::move(actors)),
      log_(std::move(log)),
      options_(std::move(options)),
      counters_(counters),
      admission_(absl::StrCat("source ", config_.name), log_),
      acceptor_(*shards_[0], absl::StrCat("source ", config_.name), log_) {
  BETTONG_CHECK(shards_.size() == actors_.size());
  for (grid::ShardLoop* shard : shards_) parts_.push_back(std::make_unique<Part>(*shard));
}

StreamSource::~StreamSource() = default;

void StreamSource::Start() {
  grid::ShardLoop& first = *shards_[0];
  first.Post(first.id(), std::make_unique<CallMail>([this](grid::ShardLoop&) {
               acceptor_.Start([this](int descriptor) { Greet(descriptor); });
             }));
}

void StreamSource::Stop() {
  grid::ShardLoop& first = *shards_[0];
  // By way of shard 0, so that each shard has its connections before it stops them.
  first.Post(first.id(), std::make_unique<CallMail>([this](grid::ShardLoop& shard) {
               acceptor_.Stop();
               stopped_.store(true);
               for (const auto& greeting : parts_[0]->greetings) greeting->Stop();
               for (size_t i = 0; i < shards_.size(); ++i) {
                 shard.Post(shards_[i]->id(), std::make_unique<CallMail>(
                                                  [this, i](grid::ShardLoop&) { StopShard(i); }));
               }
             }));
}

// --- shard 0's thread

void StreamSource::Greet(int descriptor) {
  const bool full = counters_.connections_open.load() >= int64_t{config_.connections_max};
  if (full && !crowded_ && log_) {
    log_(absl::StrCat("source ", config_.name, ": refused a connection: ", config_.connections_max,
                      " are open already"));
  }
  crowded_ = full;
  if (full || stopped_.load()) {
    ::close(descriptor);
    return;
  }
  error_code error;
  tcp::socket socket = grid::AdoptSocket(shards_[0]->io(), descriptor, error);
  if (error) return;
  counters_.connections.fetch_add(1, std::memory_order_relaxed);
  counters_.connections_open.fetch_add(1);
  auto& greetings = parts_[0]->greetings;
  StreamGreeting* greeting = greetings
                                 .emplace_back(std::make_unique<StreamGreeting>(
                                     *shards_[0], std::move(socket), options_.clock()))
                                 .get();
  greeting->Start([this, greeting] {
    HandOver(*greeting);
    EraseOne(parts_[0]->greetings, greeting);
  });
  TickLater(0);
}

void StreamSource::HandOver(StreamGreeting& greeting) {
  const int descriptor = greeting.heard() && !stopped_.load() ? greeting.ReleaseSocket() : -1;
  if (descriptor < 0) {
    counters_.connections_open.fetch_sub(1);
    return;
  }
  counters_.bytes.fetch_add(greeting.bytes().size(), std::memory_order_relaxed);
  const ShardId home = shards_[0]->slot_map().ShardOf(SlotOfKey(greeting.source()));
  shards_[0]->Post(
      home, std::make_unique<ConnectionMail>(*this, descriptor, std::string(greeting.bytes())));
}

// --- the thread of the connection's shard

void StreamSource::Adopt(size_t shard, int descriptor, std::string_view received) {
  error_code error;
  tcp::socket socket = grid::AdoptSocket(shards_[shard]->io(), descriptor, error);
  if (error) {
    counters_.connections_open.fetch_sub(1);
    return;
  }
  auto& mine = parts_[shard]->connections;
  StreamConnection* connection =
      mine.emplace_back(std::make_unique<StreamConnection>(*shards_[shard], *actors_[shard],
                                                           config_, counters_, admission_,
                                                           std::move(socket), options_.clock, log_))
          .get();
  connection->Start(received, [this, shard, connection] {
    EraseOne(parts_[shard]->connections, connection);
    counters_.connections_open.fetch_sub(1);
  });
  TickLater(shard);
}

void StreamSource::StopShard(size_t shard) {
  for (const auto& connection : parts_[shard]->connections) connection->Stop();
}

// Again and again while there are connections.
void StreamSource::TickLater(size_t shard) {
  Part& part = *parts_[shard];
  if (part.ticking || (part.greetings.empty() && part.connections.empty())) return;
  part.ticking = true;
  part.tick.expires_after(options_.tick_every);
  part.tick.async_wait([this, shard](const error_code& error) {
    if (error) return;
    Part& mine = *parts_[shard];
    mine.ticking = false;
    for (const auto& greeting : mine.greetings) greeting->Tick(options_.clock());
    for (const auto& connection : mine.connections) connection->Tick();
    TickLater(shard);
  });
}

}  // namespace bettong::ingest
