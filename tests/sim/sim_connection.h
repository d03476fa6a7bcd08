// The node's end of a sender's connection: what ingest/stream_connection.h does with a socket, over
// a wire of the simulator's: the real session, window and buffer beside the real actor.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "ingest/sender_session.h"
#include "ingest/source_actor.h"
#include "ingest/stream_buffer.h"
#include "ingest/stream_window.h"
#include "tests/sim/scheduler.h"
#include "tests/sim/sim_wire.h"

namespace bettong::sim {

class SimConnection final : public WireEnd, public ingest::SenderHost, public ingest::SourceLink {
 public:
  using FindActor = std::function<ingest::SourceActor*(std::string_view name)>;

  SimConnection(Scheduler& scheduler, uint32_t who, std::shared_ptr<SimWire> wire, FindActor find);
  // The process is gone.
  ~SimConnection();
  // Its actor knows of it no more.
  bool done() const { return done_ && actor_ == nullptr; }

  // WireEnd.
  void OnBytes(std::string_view bytes) override;
  void OnFinished() override;
  void OnBroken() override;
  bool reads() const override { return session_.wants_bytes(); }

  // SenderHost.
  void OnHello(const ingest::StreamHello& hello) override;
  void OnMessage(uint64_t id, std::string_view event) override;
  void OnSenderError(const ingest::StreamRefusal&) override {}
  void OnRefused(const ingest::StreamRefusal&) override {}

  // SourceLink.
  void Welcome(uint64_t durable) override;
  void Acknowledge(uint64_t durable) override;
  void Refuse(ingest::StreamError code, std::string_view text) override;
  void Close() override;

 private:
  void TakeFrames();
  // Looks after a change: writes what is to be said, ends what is dead.
  void Look();
  void TickLater();

  Scheduler& scheduler_;
  const uint32_t who_;
  const std::shared_ptr<SimWire> wire_;
  const FindActor find_actor_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  ingest::StreamBuffer buffer_;
  std::string output_;
  ingest::SenderSession session_;
  ingest::StreamWindow window_;
  ingest::SourceActor* actor_ = nullptr;
  bool done_ = false;
};

}  // namespace bettong::sim
