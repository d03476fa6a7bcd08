// User code that runs where nobody called it: __index__ while a field is converted, __del__ when a
// value is let go, a property while an event is written.
#include <gtest/gtest.h>

#include <string>

#include "compute/python/host_testing.h"

namespace bettong::compute::python {
namespace {

using std::string;

constexpr char kApp[] = R"(
from bettong import App, Event, Array
app = App("test")
class Sample(Event, time="ts"):
    host: str
    ts: int
    values: list[int]
samples = app.stream("samples", Sample)
alerts = app.stream("alerts")
kept = []
class Host(app.Entity, ttl=60):
    count: int = 0
    limit: int = 0
    mean: float = 0.0
    name: str = ""
    panes: Array[int, 4096]
    other: Array[int, 2]

    @samples.on(key="host")
    def sample(self, e: Sample):
        self.count += 1
        exec(e.host, {"self": self, "e": e, "kept": kept, "alerts": alerts})

    @app.command
    def run(self, code: str):
        scope = {"self": self, "kept": kept, "alerts": alerts}
        exec(code, scope)
        return scope.get("result")
)";

TEST(PythonReentry, IndexMayReplaceTheFieldThatItIsConvertedFor) {
  TestApp app(kApp);
  for (const char* field : {"count", "limit"}) {
    TestApp::Turn turn = app.Call("run", {string(R"(
class Evil:
    __slots__ = ("entity",)
    def __init__(self, entity): self.entity = entity
    def __index__(self):
        self.entity.)") + field + R"( = 7
        return 5
self.)" + field + " = Evil(self)"});
    ASSERT_TRUE(turn.ok()) << turn.error.traceback;
    EXPECT_EQ(app.Field(field), "5");
  }
  // What it assigned is lost: the field had its value for this turn.
  EXPECT_EQ(app.Call("run", {"result = self.count"}).reply, "5");
}

// The delta's room is made for the elements that differ when the turn ends.
TEST(PythonReentry, DestructorOfAnAssignedSequenceWritesToNoArray) {
  TestApp app(kApp);
  TestApp::Turn turn = app.Call("run", {R"(
class Seq:
    def __init__(self, entity): self.entity, self.panes = entity, entity.panes
    def __len__(self): return 2
    def __getitem__(self, i):
        if i >= 2: raise IndexError
        return i
    def __del__(self):
        try:
            for i in range(4096): self.panes[i] = 10**18 + i
        except Exception as e:
            kept.append(type(e).__name__)
        try:
            for i in range(4096): self.entity.panes[i] = 10**18 + i
        except Exception as e:
            kept.append(type(e).__name__)
self.panes[0] = 1
self.other = Seq(self))"});
  ASSERT_TRUE(turn.ok()) << turn.error.traceback;
  EXPECT_LT(turn.delta.size(), 64u);
  EXPECT_EQ(app.Field("other"), "[0,1]");
  turn = app.Call("run", {"result = kept + [self.panes[0], self.panes[1]]"});
  EXPECT_EQ(turn.reply, "['StaleEntityError', 'StaleEntityError', 1, 0]");
}

}  // namespace
}  // namespace bettong::compute::python
