// The app that simulated nodes run, and what must come of it. Accounts send each other money by
// events; sessions live as long as ticks come; tallies count events under several keys each. Every
// turn checks what it can and emits "bad" when it finds something that cannot be.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "compute/turn_runner.h"
#include "grid/catalog.h"

namespace bettong::sim {

inline constexpr int64_t kSessionTtlMs = 150;

std::shared_ptr<const grid::Catalog> MakeCatalog();
std::unique_ptr<grid::ComputeHost> MakeHost(std::shared_ptr<const grid::Catalog> catalog);

// What the senders have sent, and so what must be found in the end.
struct Expected {
  struct Account {
    int64_t n = 0;              // the last event
    std::vector<int64_t> sent;  // sums, by event
    int64_t received = 0;       // amount
    int64_t receipts = 0;
  };
  std::map<std::string, Account> accounts;
  std::map<std::string, int64_t> sessions;  // the last tick
  std::map<std::string, int64_t> tallies;
  std::map<std::string, int64_t> letters;  // a piece of its text -> how many

  std::string Work(const std::string& key, const std::string& to, int64_t amount);
  std::string Failing(const std::string& key);
  std::string Garbage(uint64_t number);
  std::string Tick(const std::string& key);

 private:
  int64_t failing_ = 0;
};

}  // namespace bettong::sim
