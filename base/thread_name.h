// Names the calling thread for top, gdb and perf (15 characters at most).
#pragma once

#include <pthread.h>

#include <string>

namespace bettong {

inline void NameThread(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

}  // namespace bettong
