// A strong typedef for ids: two ids of different kinds never convert into each other.
#pragma once

#include <compare>
#include <cstddef>
#include <functional>

namespace bettong {

template <typename T, typename Tag>
class NamedType {
 public:
  using Value = T;

  constexpr NamedType() = default;
  constexpr explicit NamedType(T value) : value_(value) {}

  constexpr T value() const { return value_; }
  constexpr auto operator<=>(const NamedType&) const = default;

  template <typename H>
  friend H AbslHashValue(H state, const NamedType& id) {
    return H::combine(std::move(state), id.value_);
  }

 private:
  T value_{};
};

}  // namespace bettong

template <typename T, typename Tag>
struct std::hash<bettong::NamedType<T, Tag>> {
  std::size_t operator()(const bettong::NamedType<T, Tag>& id) const noexcept {
    return std::hash<T>{}(id.value());
  }
};
