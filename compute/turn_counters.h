// How often turns have ended in ways of which no letter tells, by class and method; for metrics.
// One per node. Each method's numbers are written by the lane alone and read by anybody.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/published_counter.h"

namespace bettong::compute {

struct MethodCounters {
  std::string entity_class, method;
  PublishedCounter skipped;     // turns that failed and left nothing, as their policy says
  PublishedCounter over_limit;  // events beyond the rate that the handler takes
  PublishedCounter slow;        // turns that took too long, as TurnRunnerOptions says
  PublishedCounter slow_ms;     // how long these took
  PublishedCounter retried;     // turns that failed and were to be tried again
};

class TurnCounters {
 public:
  // Of a method, made when first asked for; stays.
  MethodCounters& Of(std::string_view entity_class, std::string_view method);
  // Of all methods that have something to tell, by class and name.
  std::vector<const MethodCounters*> All() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<MethodCounters>> methods_;
};

}  // namespace bettong::compute
