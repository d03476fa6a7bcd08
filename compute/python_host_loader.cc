#include "compute/python_host_loader.h"

#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace bettong::compute {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVersion = "3.11";
constexpr const char* kLibrary = "libpython3.11.so.1.0";
constexpr const char* kHostLibrary = "libbettong_py311.so";
constexpr const char* kDefaultExecutable = "/usr/bin/python3.11";

fs::path ProgramDirectory() {
  std::error_code error;
  fs::path program = fs::read_symlink("/proc/self/exe", error);
  return program.parent_path();
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The value of `key` in a pyvenv.cfg, or empty.
std::string VenvSetting(const fs::path& config, std::string_view key) {
  std::ifstream in(config);
  for (std::string line; std::getline(in, line);) {
    size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    if (absl::StripAsciiWhitespace(line.substr(0, equals)) ==
        absl::string_view(key.data(), key.size())) {
      return std::string(absl::StripAsciiWhitespace(line.substr(equals + 1)));
    }
  }
  return "";
}

// A bare name as a shell finds it; else what was given. Empty: not on the PATH.
std::string OnPath(const std::string& name) {
  std::error_code error;
  if (name.find('/') != std::string::npos || fs::is_directory(name, error)) return name;
  for (absl::string_view directory : absl::StrSplit(Environment("PATH"), ':')) {
    fs::path program = fs::path(std::string(directory)) / name;
    if (fs::is_regular_file(program, error) && access(program.c_str(), X_OK) == 0) return program;
  }
  return "";
}

// "3.11.2" of an environment, from its pyvenv.cfg; otherwise asked of the interpreter itself.
std::string VersionOf(const fs::path& executable) {
  fs::path config = executable.parent_path().parent_path() / "pyvenv.cfg";
  for (const char* key : {"version", "version_info"}) {
    if (std::string version = VenvSetting(config, key); !version.empty()) return version;
  }
  if (executable.filename() == absl::StrCat("python", kVersion)) return kVersion;
  if (executable.string().find('\'') != std::string::npos) return "";
  std::string command = absl::StrCat(
      "'", executable.string(),
      "' -S -E -c 'import sys; print(\"%d.%d.%d\" % sys.version_info[:3])' 2>/dev/null");
  std::string version;
  if (FILE* pipe = popen(command.c_str(), "r")) {
    char buffer[64] = "";
    if (fgets(buffer, sizeof(buffer), pipe) != nullptr) version = buffer;
    pclose(pipe);
  }
  return std::string(absl::StripAsciiWhitespace(version));
}

bool IsWantedVersion(const std::string& version) {
  std::vector<std::string> parts = absl::StrSplit(version, '.');
  return parts.size() >= 2 && parts[0] + "." + parts[1] == kVersion;
}

// The environment's own libpython where it has one; else the system's.
std::string LibraryFor(const fs::path& executable) {
  fs::path home = VenvSetting(executable.parent_path().parent_path() / "pyvenv.cfg", "home");
  std::error_code error;
  if (home.empty()) home = fs::canonical(executable, error).parent_path();
  fs::path own = home.parent_path() / "lib" / kLibrary;
  return fs::exists(own, error) ? own.string() : kLibrary;
}

// Where clients/python lies when nobody says: installed beside the program, or the source tree that
// the build directory is in.
std::string FindSdk(const PythonOptions& options) {
  if (!options.sdk_directory.empty()) return options.sdk_directory;
  if (std::string set = Environment("BETTONG_SDK"); !set.empty()) return set;
  fs::path program = ProgramDirectory();
  std::error_code error;
  for (fs::path directory :
       {program / "../share/bettong/python", program / "python", program / "clients/python",
        program / "../clients/python", program / "../../clients/python",
        program / "../../../clients/python"}) {
    if (fs::exists(directory / "bettong" / "__init__.py", error)) {
      return fs::canonical(directory, error).string();
    }
  }
  return "";
}

absl::StatusOr<const PythonHostApi*> LoadLibraries(const PythonOptions& options,
                                                   const PythonChoice& choice) {
  // RTLD_GLOBAL: extension modules take Python's symbols from the process.
  if (dlopen(choice.libpython.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    return absl::NotFoundError(absl::StrCat("python: load ", choice.libpython, ": ", dlerror(),
                                            " (Debian: apt install libpython", kVersion, ")"));
  }
  std::string directory = options.library_directory;
  if (directory.empty()) directory = Environment("BETTONG_LIB");
  if (directory.empty()) directory = ProgramDirectory().string();
  std::string path = (fs::path(directory) / kHostLibrary).string();
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return absl::NotFoundError(absl::StrCat("python: load: ", dlerror()));
  auto entry = reinterpret_cast<PythonHostEntry>(dlsym(library, kPythonHostEntry));
  if (entry == nullptr || entry()->build != kPythonHostBuild) {
    return absl::UnavailableError(
        absl::StrCat("python: ", path, " is of another build than this program"));
  }
  return entry();
}

// Of the Python that runs; null: none does.
std::atomic<const PythonHostApi*>& Running() {
  static std::atomic<const PythonHostApi*> api{nullptr};
  return api;
}

// Python can be started once a process: the first answer counts.
absl::StatusOr<const PythonHostApi*> Started(const PythonOptions& options) {
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  if (const PythonHostApi* started = Running().load()) return started;
  absl::StatusOr<PythonChoice> choice = ChoosePython(options);
  if (!choice.ok()) return choice.status();
  absl::StatusOr<const PythonHostApi*> api = LoadLibraries(options, *choice);
  if (!api.ok()) return api.status();
  PythonOptions resolved = options;
  resolved.executable = choice->executable;
  resolved.sdk_directory = choice->sdk_directory;
  if (absl::Status status = (*api)->start(resolved); !status.ok()) return status;
  Running().store(*api);
  return *api;
}

}  // namespace

absl::StatusOr<PythonChoice> ChoosePython(const PythonOptions& options) {
  PythonChoice choice{options.executable, "--python", "", FindSdk(options)};
  if (choice.executable.empty()) {
    std::string venv = Environment("VIRTUAL_ENV");
    choice.chosen_by = venv.empty() ? "default" : "VIRTUAL_ENV";
    choice.executable = venv.empty() ? kDefaultExecutable : venv + "/bin/python";
  }
  const std::string found = OnPath(choice.executable);
  if (found.empty()) {
    return absl::NotFoundError(absl::StrCat("python: no executable '", choice.executable,
                                            "' on PATH (", choice.chosen_by, ")"));
  }
  choice.executable = found;
  std::error_code error;
  if (fs::is_directory(choice.executable, error)) choice.executable += "/bin/python";
  choice.executable = fs::absolute(choice.executable, error).lexically_normal().string();
  if (access(choice.executable.c_str(), X_OK) != 0) {
    return absl::NotFoundError(
        absl::StrCat("python: no executable ", choice.executable, " (", choice.chosen_by, ")"));
  }
  std::string version = VersionOf(choice.executable);
  if (!IsWantedVersion(version)) {
    return absl::UnavailableError(
        absl::StrCat("python: ", choice.executable, " (", choice.chosen_by, ") is Python ",
                     version.empty() ? "of unknown version" : version, ", but this program runs ",
                     kVersion, "; make an environment with python", kVersion, " -m venv"));
  }
  choice.libpython = LibraryFor(choice.executable);
  return choice;
}

absl::StatusOr<PythonApps> LoadPythonApps(const std::vector<std::string>& paths,
                                          const PythonOptions& options) {
  absl::StatusOr<const PythonHostApi*> api = Started(options);
  if (!api.ok()) return api.status();
  return (*api)->load_apps(paths, options);
}

PythonMemoryUse MemoryOfPython() {
  const PythonHostApi* api = Running().load();
  return api == nullptr ? PythonMemoryUse() : api->memory();
}

PythonInfo DescribePython(const PythonOptions& options) {
  PythonInfo info;
  absl::StatusOr<PythonChoice> choice = ChoosePython(options);
  if (!choice.ok()) return {{"error", std::string(choice.status().message())}};
  info.emplace_back("python", absl::StrCat(choice->executable, " (", choice->chosen_by, ")"));
  info.emplace_back("libpython", choice->libpython);
  absl::StatusOr<const PythonHostApi*> api = Started(options);
  absl::StatusOr<PythonInfo> inside;
  if (api.ok()) inside = (*api)->info();
  if (!api.ok() || !inside.ok()) {
    info.emplace_back("error", std::string((api.ok() ? inside.status() : api.status()).message()));
    return info;
  }
  info.insert(info.end(), inside->begin(), inside->end());
  return info;
}

}  // namespace bettong::compute
