// A plain main for fuzz targets: runs the target on the empty input, on each file of the given
// corpus folders, and on seeded mutations of those files. The same arguments give the same inputs.
//
//   x_fuzz [--mutations=N] [--seed=N] PATH...      (a PATH is a file or a folder)

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
// Defined in sanitizer builds only.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace {

using Input = std::vector<uint8_t>;

constexpr size_t kInputBytesMax = 1 << 20;

// What is being run, for the report when the target crashes. Set before each run.
std::string current_name;
const Input* current_input = nullptr;

std::string crash_path;

// Leaves the input that crashed the target beside the program. Runs in a dying process: best
// effort.
void SaveCrash() {
  if (current_input == nullptr) return;
  std::fprintf(stderr, "fuzz: failed on %s; input saved as %s\n", current_name.c_str(),
               crash_path.c_str());
  std::ofstream(crash_path, std::ios::binary)
      .write(reinterpret_cast<const char*>(current_input->data()),
             static_cast<std::streamsize>(current_input->size()));
  current_input = nullptr;
}

void SaveCrashOnSignal(int signal) {
  SaveCrash();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void Run(std::string name, const Input& input) {
  current_name = std::move(name);
  // An exact-sized heap copy, so that AddressSanitizer sees a read past the end.
  const Input copy(input.begin(), input.end());
  current_input = &copy;
  LLVMFuzzerTestOneInput(copy.data(), copy.size());
  current_input = nullptr;
}

Input ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return Input(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

Input Mutate(const std::vector<Input>& corpus, std::mt19937_64& random) {
  const auto below = [&](size_t n) { return n == 0 ? 0 : static_cast<size_t>(random() % n); };
  Input input = corpus[below(corpus.size())];
  const size_t steps = 1 + below(4);
  for (size_t step = 0; step < steps; ++step) {
    const size_t at = below(input.size() + 1);
    const auto position = input.begin() + static_cast<std::ptrdiff_t>(at);
    switch (below(6)) {
      case 0:  // flip a bit
        if (at < input.size()) input[at] ^= static_cast<uint8_t>(1u << below(8));
        break;
      case 1:  // overwrite with an interesting byte
        if (at < input.size()) input[at] = "\0\xff\r\n-0{\"$*:,"[below(12)];
        break;
      case 2:  // cut the tail
        input.resize(at);
        break;
      case 3:  // remove a piece
        input.erase(position, position + static_cast<std::ptrdiff_t>(
                                             std::min(input.size() - at, 1 + below(8))));
        break;
      case 4: {  // repeat a piece
        const Input piece(position, position + static_cast<std::ptrdiff_t>(
                                                   std::min(input.size() - at, 1 + below(32))));
        input.insert(position, piece.begin(), piece.end());
        break;
      }
      case 5: {  // splice with another input
        const Input& other = corpus[below(corpus.size())];
        input.resize(at);
        input.insert(input.end(), other.begin() + static_cast<std::ptrdiff_t>(below(other.size())),
                     other.end());
        break;
      }
    }
  }
  if (input.size() > kInputBytesMax) input.resize(kInputBytesMax);
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  size_t mutations = 0;
  uint64_t seed = 1;
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with("--mutations=")) {
      mutations = std::strtoull(argv[i] + 12, nullptr, 10);
    } else if (argument.starts_with("--seed=")) {
      seed = std::strtoull(argv[i] + 7, nullptr, 10);
    } else if (std::filesystem::is_directory(argument)) {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(argument)) {
        if (entry.is_regular_file()) files.push_back(entry.path());
      }
    } else if (std::filesystem::is_regular_file(argument)) {
      files.emplace_back(argument);
    } else {
      std::fprintf(stderr, "fuzz: no such file or folder: %s\n", argv[i]);
      return 2;
    }
  }
  if (files.empty()) {
    std::fprintf(stderr, "fuzz: the corpus is empty: nothing would be tested\n");
    return 2;
  }
  std::sort(files.begin(), files.end());

  crash_path = std::string(argv[0]) + ".crash";
  std::signal(SIGABRT, SaveCrashOnSignal);
  std::atexit(SaveCrash);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(SaveCrash);
  Run("the empty input", {});
  std::vector<Input> corpus;
  for (const auto& path : files) {
    corpus.push_back(ReadFile(path));
    Run(path.string(), corpus.back());
  }
  std::mt19937_64 random(seed);
  for (size_t i = 0; i < mutations; ++i) {
    Run("mutation " + std::to_string(i) + " of seed " + std::to_string(seed),
        Mutate(corpus, random));
  }
  std::printf("fuzz: %zu files, %zu mutations\n", files.size(), mutations);
  return 0;
}
