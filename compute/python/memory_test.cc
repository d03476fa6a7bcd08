// The limit of Python's memory: what counts, and where it is.
#include "compute/python/python_memory.h"

#include <gtest/gtest.h>

#include <string>

#include "compute/python/host_testing.h"

namespace bettong::compute::python {
namespace {

constexpr char kApp[] = R"(
from bettong import App
app = App("test")
kept = []
class Host(app.Entity):
    n: int = 0
    @app.command
    def run(self, code: str) -> str:
        self.n += 1
        exec(code, {"self": self, "kept": kept})
        return "done"
)";

PythonOptions Limited(uint64_t bytes) {
  PythonOptions options = Patient();
  options.memory_limit_bytes = bytes;
  return options;
}

// Puts the limit that other tests know back.
struct NoLimit {
  ~NoLimit() { EXPECT_TRUE(PythonMemory::Get().SetLimit(0).ok()); }
};

TEST(PythonMemory, AdmitsUpToTheLimitAndNotAByteMore) {
  TestApp app(kApp);
  NoLimit after;
  PythonMemory& memory = PythonMemory::Get();
  ASSERT_TRUE(memory.counts());
  ASSERT_TRUE(memory.SetLimit(memory.held_bytes() + 1000).ok());
  const uint64_t refused = memory.refused();
  EXPECT_TRUE(memory.Admit(1000));
  EXPECT_FALSE(memory.Admit(1001));
  EXPECT_FALSE(memory.Admit(SIZE_MAX));
  EXPECT_EQ(memory.refused(), refused + 2);
  memory.Lift();
  EXPECT_TRUE(memory.Admit(SIZE_MAX));
  memory.Enforce();
  ASSERT_TRUE(memory.SetLimit(1).ok());  // less than there is
  EXPECT_FALSE(memory.Admit(1));
  ASSERT_TRUE(memory.SetLimit(0).ok());
  EXPECT_TRUE(memory.Admit(SIZE_MAX));
}

TEST(PythonMemory, CountsWhatIsHeld) {
  TestApp app(kApp);
  PythonMemory& memory = PythonMemory::Get();
  constexpr size_t kMiB = 1 << 20;
  const uint64_t before = memory.held_bytes();
  void* block = PyMem_RawMalloc(kMiB);
  EXPECT_GE(memory.held_bytes(), before + kMiB);
  block = PyMem_RawRealloc(block, 3 * kMiB);
  EXPECT_GE(memory.held_bytes(), before + 3 * kMiB);
  EXPECT_LT(memory.held_bytes(), before + 4 * kMiB);
  block = PyMem_RawRealloc(block, kMiB);
  EXPECT_LT(memory.held_bytes(), before + 2 * kMiB);
  PyMem_RawFree(block);
  EXPECT_EQ(memory.held_bytes(), before);
  block = PyMem_RawCalloc(kMiB, 2);
  EXPECT_GE(memory.held_bytes(), before + 2 * kMiB);
  PyMem_RawFree(block);
  PyMem_RawFree(nullptr);
  EXPECT_EQ(memory.held_bytes(), before);
}

TEST(PythonMemory, CountsSmallObjectsByTheirArenas) {
  TestApp app(kApp);
  const uint64_t before = PythonMemory::Get().held_bytes();
  ASSERT_TRUE(app.Call("run", {"kept.extend(float(n) for n in range(500_000))"}).ok());
  // 24 bytes each, and 8 in the list.
  EXPECT_GE(PythonMemory::Get().held_bytes(), before + (14u << 20));
  ASSERT_TRUE(app.Call("run", {"kept.clear()"}).ok());
  EXPECT_LT(PythonMemory::Get().held_bytes(), before + (4u << 20));
}

TEST(PythonMemory, ATurnBeyondTheLimitIsRolledBackAndTheNextOneRuns) {
  NoLimit after;
  TestApp app(kApp, Limited(PythonMemory::Get().held_bytes() + (32u << 20)));
  for (int i = 0; i < 3; ++i) {
    TestApp::Turn turn = app.Call("run", {"while True: kept.append(bytes(1 << 16))"});
    ASSERT_FALSE(turn.ok());
    EXPECT_TRUE(turn.error.message.starts_with("MemoryError: python.memory_limit, "))
        << turn.error.message;
    EXPECT_EQ(app.Field("n"), std::to_string(i));
    ASSERT_TRUE(app.Call("run", {"kept.clear()"}).ok());
  }
  EXPECT_TRUE(app.RowsAgree());
}

TEST(PythonMemory, TheNextHostHasItsOwnLimit) {
  NoLimit after;
  const std::string code = "bytearray(64 << 20)";
  {
    TestApp app(kApp, Limited(PythonMemory::Get().held_bytes() + (32u << 20)));
    EXPECT_FALSE(app.Call("run", {code}).ok());
  }
  TestApp app(kApp);
  EXPECT_TRUE(app.Call("run", {code}).ok());
}

TEST(PythonMemory, ALimitThatIsReachedAlreadyIsRefused) {
  { TestApp app(kApp); }
  NoLimit after;
  const auto apps = TestApp::LoadSources({{"app.py", kApp}}, Limited(1 << 20));
  ASSERT_FALSE(apps.ok());
  EXPECT_NE(apps.status().message().find("memory_limit is 1048576 bytes, but Python holds"),
            std::string::npos)
      << apps.status();
}

}  // namespace
}  // namespace bettong::compute::python
