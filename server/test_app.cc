// `bettong test`: pytest on an app's tests, by the interpreter that the app runs in.
#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "compute/python_host_loader.h"
#include "server/cli.h"
#include "server/commands.h"

namespace bettong::server {

int Test(const TestArguments& arguments, const std::string& program) {
  compute::PythonOptions options;
  options.executable = arguments.python;
  auto python = compute::ChoosePython(options);
  if (!python.ok()) return Fail(python.status());
  // The tests start this program, and import the package that goes with it.
  ::setenv("BETTONG_BINARY", program.c_str(), 1);
  if (!python->sdk_directory.empty()) {
    const char* before = std::getenv("PYTHONPATH");
    const bool any = before != nullptr && *before != '\0';
    ::setenv("PYTHONPATH",
             absl::StrCat(python->sdk_directory, any ? ":" : "", any ? before : "").c_str(), 1);
  }
  std::vector<std::string> words = {python->executable, "-m", "bettong.testing"};
  for (const std::string& app : arguments.apps) words.push_back("--bettong-app=" + app);
  words.insert(words.end(), arguments.pytest.begin(), arguments.pytest.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  return Fail(absl::UnavailableError(
      absl::StrCat("test: run ", python->executable, ": ", std::strerror(errno))));
}

}  // namespace bettong::server
