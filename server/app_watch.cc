#include "server/app_watch.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <filesystem>

#include "base/log.h"
#include "base/thread_name.h"

namespace bettong::server {
namespace {

namespace fs = std::filesystem;

// Folders whose files are not the app's.
bool LeftOut(const fs::path& folder) {
  const std::string name = folder.filename().string();
  std::error_code error;
  return name.starts_with(".") || name == "__pycache__" || name == "site-packages" ||
         fs::exists(folder / "pyvenv.cfg", error);
}

}  // namespace

AppWatch::AppWatch(const std::vector<std::string>& app_paths, std::function<void()> changed)
    : changed_(std::move(changed)) {
  for (const std::string& path : app_paths) {
    std::error_code error;
    const std::string folder = fs::absolute(path, error).parent_path().string();
    if (std::find(folders_.begin(), folders_.end(), folder) == folders_.end()) {
      folders_.push_back(folder);
    }
  }
  loaded_ = Look();
  thread_ = std::thread([this] { Run(); });
}

AppWatch::~AppWatch() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    wake_.notify_all();
  }
  thread_.join();
}

AppWatch::Files AppWatch::Look() const {
  Files files;
  for (const std::string& folder : folders_) {
    std::error_code error;
    fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied,
                                        error);
    for (; !error && at != fs::end(at) && files.size() < kAppWatchFilesMax; at.increment(error)) {
      std::error_code gone;
      if (at->is_directory(gone)) {
        if (LeftOut(at->path())) at.disable_recursion_pending();
        continue;
      }
      if (at->path().extension() != ".py") continue;
      const auto changed = at->last_write_time(gone);
      const uintmax_t size = gone ? 0 : at->file_size(gone);
      if (!gone) files[at->path().string()] = {changed.time_since_epoch().count(), size};
    }
  }
  return files;
}

void AppWatch::Run() {
  NameThread("watch");
  Files before = loaded_;
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kAppWatchEvery, [this] { return stop_; })) {
    Files now = Look();
    const bool settled = now == before;
    before = std::move(now);
    if (!settled || before == loaded_) continue;
    loaded_ = before;
    LogInfo("reload", "files of the app have changed");
    changed_();
  }
}

}  // namespace bettong::server
