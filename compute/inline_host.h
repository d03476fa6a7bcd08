// The C++ host: entity methods are functions of this process. It serves tests, the simulator and
// computations written in C++; run by a shard itself or by a lane.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>

#include "compute/turn_host.h"

namespace bettong::compute {

// What a C++ method sees of its entity. Writes go to a scratch copy of the row that replaces the
// row when the method returns; a method that throws std::exception changes nothing.
class InlineTurn {
 public:
  InlineTurn(const grid::Catalog& catalog, TurnCall& call, char* row)
      : catalog_(catalog), call_(call), row_(row) {}

  std::string_view key() const { return call_.row->key(); }
  TimeMs now_ms() const { return call_.now_ms; }
  const grid::EventRecord* event() const { return call_.event; }
  std::string_view arguments() const { return call_.arguments; }

  // Fields by index, unchecked.
  int64_t Int(size_t field) const { return LoadUnaligned<int64_t>(at(field)); }
  double Float(size_t field) const { return LoadUnaligned<double>(at(field)); }
  std::string_view Text(size_t field) const { return grid::RowString::Get(at(field)); }
  void SetInt(size_t field, int64_t value) { StoreUnaligned(at(field), value); }
  void SetFloat(size_t field, double value) { StoreUnaligned(at(field), value); }
  void SetText(size_t field, std::string_view value) { grid::RowString::Set(at(field), value); }

  void Emit(std::string_view stream, std::string_view json);
  void Touch() { call_.requests.touch = true; }
  void Delete() { call_.requests.remove = true; }
  void SetTtl(int64_t ttl_ms) {
    call_.requests.ttl_assigned = true;
    call_.requests.ttl_ms = ttl_ms;
  }
  std::string& reply() { return *call_.reply; }  // tagged

 private:
  char* at(size_t field) const;

  const grid::Catalog& catalog_;
  TurnCall& call_;
  char* row_;
};

class InlineHost final : public TurnHost {
 public:
  using Method = std::function<void(InlineTurn&)>;

  explicit InlineHost(std::shared_ptr<const grid::Catalog> catalog)
      : catalog_(std::move(catalog)) {}

  // The code of a class's handler, command, on_create or on_expire.
  void Define(ClassId entity_class, grid::TurnKind kind, size_t index, Method method);

  void Enter() override {}
  void Leave() override {}
  TurnStatus Run(TurnCall& call) override;

 private:
  std::shared_ptr<const grid::Catalog> catalog_;
  std::map<std::tuple<ClassId, grid::TurnKind, size_t>, Method> methods_;
};

}  // namespace bettong::compute
