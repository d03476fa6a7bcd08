// Between a connection of a bettong-stream source and what the node knows of that source: its
// incarnation, its durable low water, and what is on its way. Both live on the source's home shard,
// the one that its name hashes to; all calls are made there.
//
// The calls of a link: Connect, then Route and EndRead after Welcome, then Disconnect, once.
#pragma once

#include <cstdint>
#include <string_view>

#include "ingest/stream_wire.h"

namespace bettong::ingest {

// A connection, as its actor sees it. Good from Connect to the end of Disconnect. Each of these may
// be called at any time in between, also from inside of the actor's own calls.
class SourceLink {
 public:
  // Answers HELLO: every id up to `durable` is done, durably.
  virtual void Welcome(uint64_t durable) = 0;
  // The same, later on. It rises, and is an id that came over this link or Welcome's.
  virtual void Acknowledge(uint64_t durable) = 0;
  // Instead of Welcome, or later on: says ERROR and ends the connection. Nothing is routed any
  // more.
  virtual void Refuse(StreamError code, std::string_view text) = 0;
  // Ends the connection without a word. Nothing is routed any more.
  virtual void Close() = 0;

 protected:
  ~SourceLink() = default;
};

class SourceActor {
 public:
  // A connection says HELLO, of the right version and token. The actor refuses it, or puts it in
  // the place of the older one (SourceLink::Close, or Refuse kFenced), waits until all that it
  // holds is durable, and answers Welcome. The texts are good during the call.
  virtual void Connect(SourceLink& link, const StreamHello& hello) = 0;
  // One event; ids rise and are above what Welcome said. The event is anything, even empty, and
  // readable for kFramePaddingBytes beyond its end, during the call.
  virtual void Route(SourceLink& link, uint64_t id, std::string_view event) = 0;
  // All events of one read have been routed: a span. Called after each read that brought any.
  virtual void EndRead(SourceLink& link) = 0;
  // The connection is gone, whoever ended it; what was routed is to be carried out.
  virtual void Disconnect(SourceLink& link) = 0;

 protected:
  ~SourceActor() = default;
};

// The actors of one shard, for one configured source.
class SourceActors {
 public:
  // The actor of a source whose home is this shard, made if need be. Null: it is not known here,
  // and its sender is denied.
  virtual SourceActor* Find(std::string_view source) = 0;

 protected:
  ~SourceActors() = default;
};

}  // namespace bettong::ingest
