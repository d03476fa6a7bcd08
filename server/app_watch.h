// Looks whether sources of the apps change: every *.py file in or below the folder of an app, but
// for environments and hidden folders. `bettong serve --watch`.
//
// A thread of its own. A change is told of when the files have stayed as they are for one more
// look, so that several files saved at once are one change.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace bettong::server {

inline constexpr std::chrono::milliseconds kAppWatchEvery{250};
// Files looked at; those beyond are not.
inline constexpr size_t kAppWatchFilesMax = 10'000;

class AppWatch {
 public:
  AppWatch(const std::vector<std::string>& app_paths, std::function<void()> changed);
  ~AppWatch();

 private:
  // Modification time in ns and size, by path.
  using Files = std::map<std::string, std::pair<int64_t, uintmax_t>>;

  Files Look() const;
  void Run();

  std::vector<std::string> folders_;
  const std::function<void()> changed_;
  Files loaded_;  // as they were told of last
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace bettong::server
