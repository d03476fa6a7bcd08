// How deeply values may be nested, lists in lists: on their way out (emitted events, replies) and
// in (JSON of events and of CALL's arguments). Each level is a few frames of the lane's C stack,
// which sys.setrecursionlimit() must not be able to exhaust.
#pragma once

#include "compute/python/ref.h"

#include <string>
#include <string_view>

namespace bettong::compute::python {

inline constexpr int kNestingMax = 512;  // lists, dicts and events around a value

// A list, dict or event within `depth` others may be. False and an exception (ValueError) if not,
// about `what`, unless the caller names it.
inline bool MayNest(int depth, const char* what = "") {
  if (depth < kNestingMax) return true;
  PyErr_Format(PyExc_ValueError, "%sis nested deeper than %d levels", what, kNestingMax);
  return false;
}

// Where in a value something is wrong ("[3].x"), as messages show it: a deep place is cut.
inline std::string ShownPlace(std::string_view place) {
  constexpr size_t kShownMax = 200;
  if (place.size() <= kShownMax) return std::string(place);
  return std::string(place.substr(0, kShownMax)) + "...";
}

}  // namespace bettong::compute::python
