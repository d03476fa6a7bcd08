// The C++ host: entity methods are functions of this process. It serves tests, the simulator and
// computations written in C++; run by a shard itself or by a lane.
#pragma once

#include <bit>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "compute/turn_host.h"
#include "grid/containers/dictionary.h"
#include "grid/containers/sequence.h"
#include "grid/containers/window.h"

namespace bettong::compute {

// What a C++ method sees of its entity. Writes go to a scratch copy of the row that replaces the
// row when the method returns; a method that throws std::exception changes nothing.
class InlineTurn {
 public:
  // `containers`: by field.
  InlineTurn(const grid::Catalog& catalog, TurnCall& call, char* row,
             std::span<grid::ContainerTurn> containers)
      : catalog_(catalog), call_(call), row_(row), containers_(containers) {}

  std::string_view key() const { return call_.row->key(); }
  TimeMs now_ms() const { return call_.now_ms; }
  // Event time: how far the watermark has come, as of the turn.
  TimeMs reached_ms() const { return call_.reached_ms; }
  const grid::EventRecord* event() const { return call_.event; }
  // Of a handler that takes several: all of them; event() is the last.
  std::span<const grid::EventRecord* const> events() const { return call_.events; }
  std::string_view arguments() const { return call_.arguments; }

  // Fields by index, types unchecked; a field that is set is not null.
  bool IsNull(size_t field) const { return schema().IsNull(row_, schema().fields[field]); }
  int64_t Int(size_t field) const { return LoadUnaligned<int64_t>(at(field)); }
  double Float(size_t field) const { return LoadUnaligned<double>(at(field)); }
  bool Bool(size_t field) const { return *at(field) != 0; }
  std::string_view Text(size_t field) const { return grid::RowString::Get(at(field)); }
  int64_t IntAt(size_t field, size_t index) const {
    return LoadUnaligned<int64_t>(at(field) + 8 * index);
  }
  void SetNull(size_t field) { schema().SetNull(row_, schema().fields[field], true); }
  void SetInt(size_t field, int64_t value) { StoreUnaligned(Writable(field), value); }
  void SetFloat(size_t field, double value) { StoreUnaligned(Writable(field), value); }
  void SetBool(size_t field, bool value) { *Writable(field) = value ? 1 : 0; }
  void SetText(size_t field, std::string_view value) {
    grid::RowString::Set(Writable(field), value);
  }
  void SetIntAt(size_t field, size_t index, int64_t value) {
    StoreUnaligned(Writable(field) + 8 * index, value);
  }
  const grid::Window& Window(size_t field) const { return *WindowAt(field); }
  // A value of an int or a float window, at a time; as grid::Window::Add.
  grid::Window::Added AddToWindow(size_t field, int64_t value, TimeMs at_ms) {
    return WindowAt(field)->Add(static_cast<uint64_t>(value), at_ms, call_.reached_ms,
                                containers_[field]);
  }
  grid::Window::Added AddToWindow(size_t field, double value, TimeMs at_ms) {
    return WindowAt(field)->Add(std::bit_cast<uint64_t>(value), at_ms, call_.reached_ms,
                                containers_[field]);
  }
  // kClose: the window that has closed, and of which field.
  const grid::WindowView& closed() const { return *call_.closed; }
  size_t field() const { return call_.index; }

  // kTimer: the one that is due.
  const grid::Timer& timer() const { return *call_.timer; }
  // Runs kTimer after that time of the class's clock, in the place of the timer of this name.
  void SetTimer(std::string name, int64_t after_ms, std::string arguments) {
    const auto set = call_.timers->Set({.name = std::move(name),
                                        .due_ms = call_.timers->from_ms + after_ms,
                                        .method = "timer",
                                        .arguments = std::move(arguments)});
    if (set != grid::Timers::SetResult::kSet) throw std::runtime_error("no room for the timer");
  }
  bool CancelTimer(std::string_view name) { return call_.timers->Cancel(name); }
  // Of a Ring or List, and of a Map, Set or Counter field; they are changed with ChangesOf(field).
  grid::Sequence& Sequence(size_t field) {
    return *static_cast<grid::Sequence*>(ContainerAt(field));
  }
  grid::Dictionary& Dictionary(size_t field) {
    return *static_cast<grid::Dictionary*>(ContainerAt(field));
  }
  grid::ContainerTurn& ChangesOf(size_t field) { return containers_[field]; }

  void Emit(std::string_view stream, std::string_view json);
  void Touch() { call_.requests.touch = true; }
  void Delete() { call_.requests.remove = true; }
  void SetTtl(int64_t ttl_ms) {
    call_.requests.ttl_assigned = true;
    call_.requests.ttl_ms = ttl_ms;
  }
  std::string& reply() { return *call_.reply; }  // tagged

 private:
  const grid::RowSchema& schema() const;
  char* at(size_t field) const { return row_ + schema().fields[field].offset; }
  char* Writable(size_t field);
  grid::Container* ContainerAt(size_t field) const {
    return grid::RowSchema::ContainerAt(row_, schema().fields[field]);
  }
  grid::Window* WindowAt(size_t field) const {
    return static_cast<grid::Window*>(ContainerAt(field));
  }

  const grid::Catalog& catalog_;
  TurnCall& call_;
  char* row_;
  std::span<grid::ContainerTurn> containers_;
};

class InlineHost final : public TurnHost {
 public:
  using Method = std::function<void(InlineTurn&)>;

  explicit InlineHost(std::shared_ptr<const grid::Catalog> catalog)
      : catalog_(std::move(catalog)) {}

  // The code of a class's handler, command, on_create or on_expire; of all of its timers (kTimer,
  // 0); of what the closing of a field's window brings about (kClose, the field). Functions on
  // streams (kFunction) are of ClassId(0).
  void Define(ClassId entity_class, grid::TurnKind kind, size_t index, Method method);

  void Enter() override {}
  void Leave() override {}
  TurnStatus Run(TurnCall& call) override;

 private:
  std::shared_ptr<const grid::Catalog> catalog_;
  std::map<std::tuple<ClassId, grid::TurnKind, size_t>, Method> methods_;
  std::vector<grid::ContainerTurn> containers_;  // of the turn; by field
};

}  // namespace bettong::compute
