#include "tests/sim/sim_connection.h"

#include <cstring>
#include <utility>

namespace bettong::sim {

SimConnection::SimConnection(Scheduler& scheduler, uint32_t who, std::shared_ptr<SimWire> wire,
                             FindActor find)
    : scheduler_(scheduler),
      who_(who),
      wire_(std::move(wire)),
      find_actor_(std::move(find)),
      session_(*this, "", output_, scheduler.NowMs()) {
  wire_->Attach(SimWire::kTo, this);
  TickLater();
}

SimConnection::~SimConnection() {
  if (!done_) wire_->Leave(SimWire::kTo, scheduler_.OneIn(2));
}

void SimConnection::TickLater() {
  scheduler_.After(250'000, who_, alive_, [this] {
    if (done_) return;
    session_.Tick(scheduler_.NowMs());
    Look();
    TickLater();
  });
}

void SimConnection::OnBytes(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::span<char> room = buffer_.Writable();
    const size_t size = std::min(room.size(), bytes.size());
    std::memcpy(room.data(), bytes.data(), size);
    buffer_.Commit(size);
    bytes.remove_prefix(size);
  }
  TakeFrames();
}

void SimConnection::TakeFrames() {
  const uint64_t received = session_.received();
  buffer_.Consume(session_.Consume(buffer_.bytes(), scheduler_.NowMs()));
  if (session_.received() > received) {
    window_.EndRead();
    actor_->EndRead(*this);
  }
  Look();
}

void SimConnection::OnFinished() {
  session_.Finish(scheduler_.NowMs());
  Look();
}

void SimConnection::OnBroken() {
  session_.Close();
  Look();
}

void SimConnection::Look() {
  if (done_) return;
  wire_->Write(SimWire::kTo, std::exchange(output_, {}));
  if (session_.complete()) session_.Close();
  if (session_.parting()) wire_->Finish(SimWire::kTo);
  if (!session_.dead()) return;
  done_ = true;
  wire_->Leave(SimWire::kTo, true);
  // Not inside of the actor's call that ended it.
  scheduler_.After(0, who_, alive_, [this] {
    if (actor_ != nullptr) std::exchange(actor_, nullptr)->Disconnect(*this);
  });
}

void SimConnection::OnHello(const ingest::StreamHello& hello) {
  actor_ = find_actor_(hello.source);
  actor_->Connect(*this, hello);
}

void SimConnection::OnMessage(uint64_t id, std::string_view event) {
  window_.Receive(id, event.size());
  actor_->Route(*this, id, event);
}

void SimConnection::Welcome(uint64_t durable) {
  session_.Welcome({.durable = durable, .allowed = window_.allowed()});
  Look();
}

void SimConnection::Acknowledge(uint64_t durable) {
  window_.Acknowledge(durable);
  session_.Acknowledge({.durable = durable, .allowed = window_.allowed()});
  Look();
}

void SimConnection::Refuse(ingest::StreamError code, std::string_view text) {
  session_.Refuse(code, text, scheduler_.NowMs());
  Look();
}

void SimConnection::Close() {
  session_.Close();
  Look();
}

}  // namespace bettong::sim
