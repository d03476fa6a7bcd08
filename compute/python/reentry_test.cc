// User code that runs where nobody called it: __index__ while a field is converted, __del__ when a
// value is let go, a property while an event is written.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "compute/python/host_testing.h"

namespace bettong::compute::python {
namespace {

using std::string;

constexpr char kApp[] = R"(
import gc, threading
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
        scope = {"self": self, "kept": kept, "alerts": alerts, "gc": gc,
                 "threading": threading}
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

// Whatever a turn leaves behind goes when it has ended, and belongs to no turn.
TEST(PythonReentry, DestructorsOfWhatATurnLeavesRunBehindItAndCannotEmit) {
  const string define = R"(
class Int(int):
    def __del__(self): self.end()
class Text(str):
    def __del__(self): self.end()
class Bad:
    def __del__(self): self.end()
def end(*_):
    try:
        alerts.emit(late=1)
    except Exception as e:
        kept.append(type(e).__name__)
Int.end = Text.end = Bad.end = end
value = )";
  struct Case {
    const char* code;
    bool ok;
  } cases[] = {
      {"Int(3)\nself.count = value", true},
      {"Int(0)\nself.count = value", true},
      {"Int(3)\nself.mean = value", true},
      {"Text('x')\nself.name = value", true},
      {"Text('')\nself.name = value", true},
      {"Bad()\nself.count = value", false},
      {"Bad()\nself.other = value", false},
      {"Int(3)\nself.count = value\ndel value\n1/0", false},
      {"Bad()\nself.count = Int(3)\nself.limit = value", false},
  };
  for (const Case& one : cases) {
    TestApp app(kApp);
    TestApp::Turn turn = app.Call("run", {define + one.code + "\nvalue = None"});
    EXPECT_EQ(turn.ok(), one.ok) << one.code << turn.error.traceback;
    EXPECT_TRUE(turn.outputs.empty()) << one.code;
    turn = app.Call("run", {"result = sorted(set(kept))\nkept.clear()"});
    EXPECT_EQ(turn.reply, "['OutsideTurnError']") << one.code;
    EXPECT_TRUE(turn.outputs.empty()) << one.code;
    EXPECT_EQ(app.Call("run", {"result = kept"}).reply, "[]") << one.code;
  }
}

TEST(PythonReentry, DestructorOfWhatATurnLeavesFindsTheEntityStale) {
  TestApp app(kApp);
  app.Call("run", {R"(
class Int(int):
    def __del__(self):
        try:
            self.entity.count = 99
        except Exception as e:
            kept.append(type(e).__name__)
value = Int(3)
value.entity = self
self.count = value
value = None)"});
  EXPECT_EQ(app.Field("count"), "3");
  EXPECT_EQ(app.Call("run", {"result = kept + [self.count]"}).reply, "['StaleEntityError', 3]");
}

TEST(PythonReentry, DestructorOfWhatWasPutIntoAnEventCannotEmit) {
  TestApp app(kApp);
  EventValue code = string(R"(
class Int(int):
    def __del__(self):
        try:
            alerts.emit(late=1)
        except Exception as e:
            kept.append(type(e).__name__)
e.ts = Int(1)
del e)");
  ASSERT_TRUE(app.Event({code, int64_t{1}, string("[]")}).ok());
  TestApp::Turn turn = app.Event({string("pass"), int64_t{2}, string("[]")});
  EXPECT_TRUE(turn.outputs.empty());
  EXPECT_EQ(app.Call("run", {"result = kept"}).reply, "['OutsideTurnError']");
}

TEST(PythonReentry, EndlessDestructorBehindATurnIsInterrupted) {
  PythonOptions options;
  options.handler_timeout_ms = 50;
  for (const char* code : {"self.count = Evil()", "self.count = Evil(); 1/0", "self.count = Int(3)",
                           "raise Exception(Evil())"}) {
    TestApp app(kApp, options);
    app.Call("run", {string(R"(
class Evil:
    def __del__(self):
        kept.append(1)
        while True: pass
class Int(int):
    __del__ = Evil.__del__
)") + code});
    EXPECT_TRUE(app.Call("run", {"result = len(kept)"}).ok()) << code;
  }
}

TEST(PythonReentry, DestructorThatCannotBeInterruptedEndsTheProcess) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        PythonOptions options;
        options.handler_timeout_ms = 20;
        options.handler_hard_limit_ms = 100;
        TestApp app(kApp, options);
        app.Call("run", {R"(
import time
class Evil:
    def __del__(self): time.sleep(30)
self.count = Evil())"});
      },
      testing::ExitedWithCode(70), "Host.run has been running for .* ms and cannot be interrupted");
}

// A garbage collection runs where Python wants it to, also while arguments or events are decoded.
TEST(PythonReentry, EndlessDestructorWhileAnEventIsDecodedIsInterrupted) {
  PythonOptions options;
  options.handler_timeout_ms = 50;
  TestApp app(kApp, options);
  // The collector is let loose when this turn has ended: the next list that is made runs it.
  TestApp::Turn turn = app.Call("run", {R"(
class Evil:
    def __del__(self):
        kept.append(1)
        while True: pass
class Loose(int):
    def __del__(self): gc.enable()
gc.collect()
gc.disable()
gc.set_threshold(1)
evil = Evil()
evil.me = evil
evil = None
self.count = Loose(3))"});
  ASSERT_TRUE(turn.ok()) << turn.error.traceback;
  EXPECT_TRUE(app.Event({string("pass"), int64_t{1}, string("[1]")}).ok());
  turn = app.Call("run", {"gc.set_threshold(700, 10, 10)\nresult = [kept, self.count]"});
  EXPECT_EQ(turn.reply, "[[1], 4]");
}

TEST(PythonReentry, EventThatIsWrittenMayEmitAnother) {
  TestApp app(kApp);
  const string define = R"(
class Number:
    def __init__(self, then): self.then = then
    def item(self): return self.then()
Number = type("numpy.number", (Number,), {"__index__": lambda self: 0})
def inner():
    alerts.emit(inner=1)
    return 5
def deeper():
    alerts.emit(x=Number(inner), y=2)
    return 6
)";
  TestApp::Turn turn = app.Call("run", {define + "alerts.emit(a=1, b=Number(deeper), c=3)"});
  ASSERT_TRUE(turn.ok()) << turn.error.traceback;
  EXPECT_EQ(turn.outputs, (std::vector<string>{R"(alerts {"inner":1})", R"(alerts {"x":5,"y":2})",
                                               R"(alerts {"a":1,"b":6,"c":3})"}));
  // One that cannot be written leaves nothing in those around it.
  turn = app.Call("run", {define + R"(
def bad():
    try: alerts.emit(x=1, y={1})
    except TypeError: return 7
alerts.emit(a=1, b=Number(bad), c=3))"});
  ASSERT_TRUE(turn.ok()) << turn.error.traceback;
  EXPECT_EQ(turn.outputs, (std::vector<string>{R"(alerts {"a":1,"b":7,"c":3})"}));
}

}  // namespace
}  // namespace bettong::compute::python
