// Random messages of every kind for one shard, reproducible from a seed: commands on keys of all
// types, events and calls with random scripts, views, watermarks, time that passes, and loans whose
// results come back late and in pieces of any size.
#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "compute/scripted_host_testing.h"
#include "grid/shard_testing.h"

namespace bettong::compute {

class RandomTraffic {
 public:
  // `containers`: entities with them, too. Their committed state is ahead of what is recorded while
  // they are lent.
  RandomTraffic(uint32_t seed, ScriptedHost& host, grid::TestShard& shard, bool containers = false)
      : random_(seed), host_(host), shard_(shard), containers_(containers) {
    shard_.hold = true;
  }

  // One message or batch, or some of what is out comes back. Says what it did.
  std::string Step() {
    size_t dice = Below(100);
    if (dice < 26) return Commands();
    if (dice < 46) return Events();
    if (dice < 54) return Send(EntityCommand());
    if (dice < 60) return Call();
    if (dice < 64) return View();
    if (dice < 72) return PassTime();
    if (dice < 76) return Watermark();
    if (dice < 78) return ChangeHooks();
    if (dice < 88) return RunLoans();
    return ReturnLoans();
  }

 private:
  size_t Below(size_t bound) { return random_() % bound; }
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(Below(static_cast<size_t>(high - low + 1)));
  }
  bool OneIn(size_t n) { return Below(n) == 0; }
  std::string_view Pick(std::initializer_list<std::string_view> choices) {
    return choices.begin()[Below(choices.size())];
  }
  std::string Text(size_t bytes_max) {
    return std::string(1 + Below(bytes_max), static_cast<char>('a' + Below(26)));
  }
  // Mostly short.
  std::string Value() { return Text(OneIn(8) ? 1200 : 20); }

  std::string Send(std::string line) {
    shard_.AskAll({line}, Below(3));
    return line;
  }

  // --- commands

  std::string Commands() {
    std::vector<std::string> lines;
    std::string what;
    for (size_t count = OneIn(3) ? 2 + Below(5) : 1; count > 0; --count) {
      lines.push_back(OneIn(6) ? EntityCommand() : KeyCommand());
      what += lines.back() + "; ";
    }
    shard_.AskAll(lines, Below(3));
    return what;
  }

  std::string KeyCommand() {
    // A few keys change their type all the time, the others mostly keep it.
    std::string any = "k" + std::to_string(Below(6));
    std::string text = OneIn(3) ? any : "s" + std::to_string(Below(10));
    std::string hash = OneIn(4) ? any : "h" + std::to_string(Below(5));
    std::string stream =
        OneIn(3) ? any : std::string(Pick({"x0", "x1", "out", "more", "events", "out"}));
    switch (Below(OneIn(60) ? 17 : 16)) {
      case 0:
        return "SET " + text + " " + Value();
      case 1:
        return "SET " + text + " " + Value() + " " + SomeDeadline();
      case 2:
        return "APPEND " + text + " " + Text(40);
      case 3:
      case 4:
        return "INCR " + text;
      case 5:
      case 6:
        return HashSet(hash);
      case 7:
      case 8:
        return HashDelete(hash);
      case 9:
      case 10:
        return "XADD " + stream + " " + std::to_string(++stream_ms_) + " 0 " + Text(30);
      case 11:
        return "XTRIM " + stream + " " +
               std::to_string(stream_ms_ - static_cast<uint64_t>(Below(30))) + " 0";
      case 12:
        return "EXPIREAT " + std::string(Pick({text, hash, stream})) + " " + SomeDeadline();
      case 13:
        return "PERSIST " + std::string(Pick({text, hash, stream}));
      case 14:
        return "DEL " + std::string(Pick({text, hash, stream}));
      case 15:
        return (OneIn(2) ? "GET " + text : "XREAD " + stream + " 0 0 50");
      default:
        return "FLUSHALL";
    }
  }

  std::string HashSet(const std::string& key) {
    std::string line = "HSET " + key;
    for (size_t count = OneIn(12) ? 150 : 1 + Below(4); count > 0; --count)
      line += " f" + std::to_string(Below(200)) + " " + Value();
    return line;
  }
  // Several fields, some of which may be missing or named twice.
  std::string HashDelete(const std::string& key) {
    std::string line = "HDEL " + key;
    for (size_t count = 1 + Below(OneIn(4) ? 150 : 4); count > 0; --count)
      line += " f" + std::to_string(Below(200));
    return line;
  }
  std::string SomeDeadline() { return std::to_string(shard_.now_ms + Between(-5, 2000)); }

  // --- entities

  ClassId SomeClass() {
    if (containers_ && OneIn(2)) return kWindowed;
    return ClassId(static_cast<uint16_t>(Below(kScriptedClassesBare)));
  }
  std::string Key() { return "e" + std::to_string(Below(8)); }
  std::string RedisKey(ClassId entity_class) {
    return host_.catalog()->classes[entity_class.value()].prefix + ":" + Key();
  }

  std::string EntityCommand() {
    ClassId entity_class = SomeClass();
    std::string key = RedisKey(entity_class);
    switch (Below(9)) {
      case 0:
        return "DEL " + key;
      case 1:
        return "EXPIREAT " + key + " " +
               std::to_string((OneIn(2) ? shard_.now_ms : event_ms_) + Between(-5, 2000));
      case 2:
        return "PERSIST " + key;
      case 3:
        return "FSET " + key + " count " + std::to_string(Between(-99, 99));
      case 4:
        return "FSET " + key + " note " + Text(40);
      case 5:
        return "FSET " + key + " panes [1,2," + std::to_string(Below(9)) + "]";
      case 6:
        return "SET " + key + " refused";
      case 7:
        return "FIELD " + key + " count";
      default:
        return "DEADLINE " + key;
    }
  }

  std::string Call() {
    const ClassId of = SomeClass();
    return Send("CALL " + RedisKey(of) + " " + std::string(Pick({"run", "make"})) + " " +
                Script(of));
  }

  std::string ChangeOfCollection() {
    switch (Below(10)) {
      case 0:
      case 1:
        return "ring " + std::to_string(Between(-99, 99));
      case 2:
      case 3:
      case 4:
        return "list " + std::string(Pick({"append", "append", "insert", "set", "erase"})) + " " +
               std::to_string(Below(60)) + " " + Text(OneIn(4) ? 60 : 12);
      case 5:
        return "erase " + Text(OneIn(2) ? 1 : 2);
      case 6:
        return OneIn(6) ? std::string(Pick({"forget", "list clear 0 x"})) : "erase " + Text(1);
      default:
        return "put " + Text(OneIn(2) ? 1 : 20) + " " + std::to_string(Between(-5, 500));
    }
  }

  std::string Script(ClassId of) {
    std::string script;
    for (size_t count = of == kWindowed ? Below(4) : 0; count > 0; --count) {
      script += "window " + std::to_string(Between(-99, 99)) + " " +
                std::to_string(event_ms_ + Between(-700, OneIn(10) ? 900 : 50)) + ";";
    }
    for (size_t count = of == kWindowed ? Below(3) : 0; count > 0; --count) {
      script += "closing " + std::to_string(Between(-99, 99)) + " " +
                std::to_string(event_ms_ + Between(-900, OneIn(10) ? 900 : 50)) + ";";
    }
    if (of == kWindowed && OneIn(3)) {
      script += "after " + std::to_string(Between(0, 1500)) + " " +
                std::string(Pick({"a", "b", "c"})) + " " +
                std::string(Pick({"add 1", "emit late", "touch", "delete", "raise no"})) + ";";
    }
    if (of == kWindowed && OneIn(6)) script += "cancel a;";
    for (size_t count = of == kWindowed ? Below(5) : 0; count > 0; --count) {
      script += ChangeOfCollection() + ";";
    }
    for (size_t count = 1 + Below(4); count > 0; --count) {
      switch (Below(12)) {
        case 0:
          script += "null";
          break;
        case 1:
          script += "maybe " + std::to_string(Below(100));
          break;
        case 2:
        case 3:
          script += "note " + Text(OneIn(4) ? 300 : 12);
          break;
        case 4:
          script += "pane " + std::to_string(Below(3)) + " " + std::to_string(Below(1000));
          break;
        case 5:
          script += "emit out";
          break;
        case 6:
          script += "touch";
          break;
        case 7:
          script += Pick({"delete", "raise boom", "ttl 0", "ttl -7", "ttl 40", "ttl 3000",
                          "ttl 9223372036854775807"});
          break;
        default:
          script += "add " + std::to_string(Between(-5, 5));
      }
      script += ";";
    }
    return script;
  }

  std::string Events() {
    std::vector<grid::TestEvent> events;
    std::string what = "events";
    for (size_t count = 1 + Below(OneIn(5) ? 40 : 3); count > 0; --count) {
      grid::TestEvent event{.entity_class = SomeClass(), .key = Key()};
      event.script = Script(event.entity_class);
      // In event time somewhat out of order, and some events without a time.
      if (!OneIn(10)) event.time_ms = event_ms_ + Between(-1500, 100);
      if (event.entity_class == kPlain && OneIn(5)) event.key = "in:" + event.key;  // not Plain's
      if (event.entity_class == kEvent) event.handler = static_cast<uint16_t>(Below(2));
      if (OneIn(20)) event.kind = grid::TurnKind::kKeys, event.script = "keys a b";
      event.source = static_cast<uint32_t>(1 + Below(3));
      what += " " + host_.catalog()->classes[event.entity_class.value()].name + ":" + event.key +
              "(" + event.script + ")";
      events.push_back(std::move(event));
    }
    shard_.Events(events);
    return what;
  }

  std::string ChangeHooks() {
    host_.on_create = Pick({"", "add 10;note made", "ttl 700", "raise no"});
    host_.on_expire = Pick({"", "emit gone", "touch;add 1", "ttl 100", "ttl 0", "raise no"});
    return "hooks: " + host_.on_create + " / " + host_.on_expire;
  }

  // --- streams and time

  std::string View() {
    auto stream = static_cast<uint16_t>(Below(3));
    shard_.View(stream, "\"" + Text(30) + "\"");
    return "view " + std::to_string(stream);
  }

  std::string PassTime() {
    TimeMs by = Between(0, OneIn(6) ? 1500 : 60);
    shard_.now_ms += by;
    event_ms_ += by;
    shard_.Send({});
    if (OneIn(2)) shard_.Settle();
    return "time +" + std::to_string(by);
  }

  std::string Watermark() {
    TimeMs time_ms = event_ms_ - Between(0, 800);
    auto stream = static_cast<uint16_t>(Below(2));
    shard_.Watermark(time_ms, stream, static_cast<uint32_t>(1 + Below(2)));
    return "watermark " + std::to_string(time_ms);
  }

  // --- the lane

  std::string RunLoans() {
    size_t count = std::min(shard_.loans(), OneIn(4) ? shard_.loans() : 1 + Below(5));
    if (count > 0) shard_.RunLoans(count);
    return "run " + std::to_string(count);
  }

  std::string ReturnLoans() {
    size_t count = OneIn(3) ? shard_.pieces() : std::min<size_t>(shard_.pieces(), 1);
    for (size_t i = 0; i < count; ++i) shard_.Return();
    return "return " + std::to_string(count);
  }

  std::mt19937 random_;
  ScriptedHost& host_;
  grid::TestShard& shard_;
  const bool containers_;
  uint64_t stream_ms_ = 2'000'000'000'000;  // above every time that views use
  TimeMs event_ms_ = 500'000;
};

}  // namespace bettong::compute
