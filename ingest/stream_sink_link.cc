#include "ingest/stream_sink_link.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <utility>

#include "base/check.h"
#include "base/host_port.h"

namespace bettong::ingest {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// A larger buffer is given back once what was in it is written.
constexpr size_t kOutputBytesKeptMax = 4u << 20;

void ClearLarge(std::string& buffer) {
  if (buffer.capacity() > kOutputBytesKeptMax) buffer = std::string();
  buffer.clear();
}

}  // namespace

StreamSinkLink::StreamSinkLink(asio::io_context& io, StreamSinkOwner& owner,
                               const SinkConfig& config, std::string node_id, LogLine log,
                               StreamSinkLinkOptions options)
    : io_(io),
      owner_(owner),
      config_(config),
      node_id_(std::move(node_id)),
      what_(absl::StrCat("sink ", config.name, ", ", config.address)),
      log_(std::move(log)),
      options_(std::move(options)),
      endpoints_(Endpoints(config.address).value()),
      socket_(io),
      tick_(io),
      wake_(io),
      writer_(io) {}

StreamSinkLink::~StreamSinkLink() = default;

absl::Status StreamSinkLink::Check(const SinkConfig& config) {
  if (config.name.size() > kStreamTextBytesMax) {
    return absl::InvalidArgumentError("its name is too long to be said");
  }
  return Endpoints(config.address).status();
}

absl::StatusOr<std::vector<tcp::endpoint>> StreamSinkLink::Endpoints(const std::string& address) {
  absl::StatusOr<HostPort> where = ParseHostPort(address);
  if (!where.ok()) return where.status();
  if (where->host == "localhost") {
    return std::vector<Endpoint>{{asio::ip::address_v4::loopback(), where->port},
                                 {asio::ip::address_v6::loopback(), where->port}};
  }
  error_code error;
  const asio::ip::address host = asio::ip::make_address(where->host, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat(where->host, " is neither an IP address nor \"localhost\""));
  }
  return std::vector<Endpoint>{{host, where->port}};
}

void StreamSinkLink::Start() {
  BETTONG_CHECK(ended());
  ended_ = stopped_ = hopeless_ = false;
  TickLater();
  asio::co_spawn(io_, Run(), [this](const std::exception_ptr& failure) {
    if (failure != nullptr && log_) log_(what_ + ": failed");
    tick_.cancel();
    ended_ = true;
  });
}

void StreamSinkLink::Stop() {
  stopped_ = true;
  error_code ignored;
  socket_.close(ignored);
  Look();
}

bool StreamSinkLink::Send(const StreamOutput& output) {
  BETTONG_CHECK(takes_outputs());
  const bool sent = session_->Send(output);
  writer_.cancel();
  return sent;
}

void StreamSinkLink::Refuse(StreamError code, std::string_view text) {
  if (session_ == nullptr) return;
  hopeless_ = hopeless_ || code != StreamError::kGoing;
  session_->Refuse(code, text, options_.clock());
  Look();
}

asio::awaitable<void> StreamSinkLink::Run() {
  while (true) {
    co_await Connect();
    if (socket_.is_open()) co_await Converse();
    error_code ignored;
    socket_.close(ignored);
    if (stopped_ || hopeless_) co_return;
    wake_.expires_after(backoff_.Next());
    co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    if (stopped_) co_return;
  }
}

asio::awaitable<void> StreamSinkLink::Connect() {
  error_code error, ignored;
  for (const Endpoint& endpoint : endpoints_) {
    if (stopped_) co_return;
    socket_ = tcp::socket(io_);
    connect_until_ms_ = options_.clock() + kStreamConnectWithinMs;
    co_await socket_.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
    const bool late = std::exchange(connect_until_ms_, 0) == 0;
    if (stopped_) co_return;
    if (late) error = asio::error::timed_out;
    // Without a listener, a port of this machine may by chance connect to itself.
    if (!error && socket_.local_endpoint(ignored) == socket_.remote_endpoint(ignored)) {
      error = asio::error::connection_refused;
    }
    if (!error) {
      socket_.set_option(tcp::no_delay(true), ignored);
      co_return;
    }
    socket_.close(ignored);
  }
  Tell(error.message());
}

// --- a connection

asio::awaitable<void> StreamSinkLink::Converse() {
  buffer_ = StreamBuffer();
  output_.clear();
  const StreamOffer offer{.node_id = node_id_, .sink = config_.name, .token = config_.token};
  session_ = std::make_unique<ReceiverSession>(*this, offer, output_, options_.clock());
  write_ended_ = false;
  asio::co_spawn(io_, Write(), asio::detached);
  error_code error;
  while (!session_->dead() && !stopped_) {
    if (!session_->wants_bytes()) {
      co_await Wait(wake_);
      TakeFrames();
      continue;
    }
    const std::span<char> room = buffer_.Writable();
    const auto where = asio::buffer(room.data(), room.size());
    const size_t size =
        co_await socket_.async_read_some(where, asio::redirect_error(asio::use_awaitable, error));
    if (error || stopped_ || session_->dead()) break;
    buffer_.Commit(size);
    TakeFrames();
  }
  // What was said to a receiver that has said all is still to be written.
  while (error == asio::error::eof && session_->parting() && !all_written() && !write_ended_) {
    co_await Wait(wake_);
  }
  if (!stopped_ && !session_->closing()) {
    Tell(error == asio::error::eof ? "closed by the receiver" : error.message());
  }
  error_code ignored;
  socket_.close(ignored);
  writer_.cancel();
  while (!write_ended_) co_await Wait(wake_);
  session_.reset();
}

void StreamSinkLink::TakeFrames() {
  buffer_.Consume(session_->Consume(buffer_.bytes(), options_.clock()));
  Look();
}

asio::awaitable<void> StreamSinkLink::Write() {
  error_code error;
  while (socket_.is_open() && !session_->dead()) {
    if (output_.empty()) {
      if (session_->parting()) socket_.shutdown(tcp::socket::shutdown_send, error);
      co_await Wait(writer_);
      continue;
    }
    sending_.swap(output_);
    OfferRoom();           // what it gives goes next, while this is being taken
    bool refused = false;  // the kernel took less than there was
    for (size_t sent = 0; sent < sending_.size() && !error;) {
      const auto rest = asio::buffer(sending_.data() + sent, sending_.size() - sent);
      const size_t size =
          co_await socket_.async_write_some(rest, asio::redirect_error(asio::use_awaitable, error));
      if (refused && !error) session_->Heard(options_.clock());
      refused = size < sending_.size() - sent;
      sent += size;
    }
    ClearLarge(sending_);
    if (error) break;
    wake_.cancel();  // the output may have been full
  }
  // The reader sees the end of a connection that cannot be written to, and what was said before it.
  sending_.clear();
  write_ended_ = true;
  wake_.cancel();
}

asio::awaitable<void> StreamSinkLink::Wait(asio::steady_timer& timer) {
  error_code ignored;
  timer.expires_at(asio::steady_timer::time_point::max());
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

void StreamSinkLink::OfferRoom() {
  if (offering_ || !takes_outputs()) return;
  offering_ = true;
  owner_.OnRoom();
  offering_ = false;
}

void StreamSinkLink::Look() {
  if (session_ != nullptr && session_->dead() && socket_.is_open()) {
    error_code ignored;
    socket_.close(ignored);
  }
  wake_.cancel();
  writer_.cancel();
}

void StreamSinkLink::TickLater() {
  ticking_ = true;
  tick_.expires_after(options_.tick_every);
  tick_.async_wait([this](const error_code&) {
    ticking_ = false;
    if (ended_) return;
    const int64_t now_ms = options_.clock();
    error_code ignored;
    if (connect_until_ms_ > 0 && now_ms >= connect_until_ms_) {
      connect_until_ms_ = 0;
      socket_.close(ignored);
    }
    if (session_ != nullptr) {
      const bool closing = session_->closing();
      session_->Tick(now_ms);
      if (!closing && session_->dead()) Tell("no sign of life");
      if (session_->dead() || !output_.empty()) Look();
    }
    TickLater();
  });
}

// Each trouble is told once, until a receiver is there again.
void StreamSinkLink::Tell(std::string trouble) {
  if (trouble == trouble_) return;
  trouble_ = std::move(trouble);
  if (log_) log_(absl::StrCat(what_, ": ", trouble_, "; trying again"));
}

// --- the session's

void StreamSinkLink::OnResume(std::span<const StreamPosition> positions) {
  if (!trouble_.empty() && log_) log_(what_ + ": connected");
  trouble_.clear();
  owner_.OnResume(positions);
  OfferRoom();
}

void StreamSinkLink::OnStored(const StreamPosition& position) {
  backoff_.Reset();
  owner_.OnStored(position);
}

void StreamSinkLink::OnReceiverError(const StreamRefusal& refusal) {
  const std::string said =
      absl::StrCat("the receiver says ", std::string(StreamErrorName(refusal.code)), ": ",
                   absl::CHexEscape(std::string(refusal.text)));
  if (refusal.code == StreamError::kGoing) return Tell(said);
  hopeless_ = true;
  if (log_) log_(absl::StrCat(what_, ": ", said));
  owner_.OnRefused(refusal);
}

void StreamSinkLink::OnRefused(const StreamRefusal& refusal) {
  hopeless_ = true;
  if (log_) {
    log_(absl::StrCat(what_, ": refused, ", std::string(StreamErrorName(refusal.code)), ": ",
                      absl::CHexEscape(std::string(refusal.text))));
  }
  owner_.OnRefused(refusal);
}

}  // namespace bettong::ingest
