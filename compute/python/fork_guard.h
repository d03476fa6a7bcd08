// A handler may fork. Its child has a copy of the node's memory, the node's sockets and files, and
// of its threads only the lane's: it must end or become another program (os._exit, os.exec*), and
// never come back from the handler and go on as a second node.
#pragma once

#include <string>

namespace bettong::compute::python {

inline constexpr int kForkedChildExitCode = 70;

// From now on forks are noticed; once a process.
void WatchForks();

// Whether this process is the child of one that watched.
bool IsForkedChild();

// Says so on stderr, and ends the child.
[[noreturn]] void EndForkedChild(const std::string& method);

}  // namespace bettong::compute::python
