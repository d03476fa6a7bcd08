// What a turn does to the row, and what it leaves alone.
#include <gtest/gtest.h>

#include <string>

#include "compute/python/host_testing.h"

namespace bettong::compute::python {
namespace {

using std::string;

constexpr char kCounter[] = R"(
from bettong import App, Event, Array
app = App("test")
class Sample(Event, time="ts"):
    host: str
    value: float
    ts: int
samples = app.stream("samples", Sample)
alerts = app.stream("alerts")
kept = []
class Host(app.Entity, ttl=60):
    count: int = 0
    total: float = 0.0
    last: str = ""
    raw: bytes = b""
    alerting: bool = False
    note: str | None
    limit: int | None = 7
    panes: Array[int, 5]
    means: Array[float, 2] = [0.5, 1.5]

    @samples.on(key="host")
    def sample(self, e: Sample):
        self.count += 1
        self.total += e.value
        self.last = e.host
        self.panes[e.ts % 5] += 1
        if e.value > 90:
            self.alerting = True
            alerts.emit(host=self.key, n=self.count, at=self.now)

    @app.command
    def run(self, code: str):
        scope = {"self": self, "kept": kept, "alerts": alerts}
        exec(code, scope)
        return scope.get("result")
)";

EventValue Text(const char* text) { return string(text); }
EventValue Int(int64_t value) { return value; }

TEST(PythonTurn, WritesOnlyChangedFieldsIntoTheDelta) {
  TestApp app(kCounter);
  TestApp::Turn turn = app.Event({Text("web-1"), 5.5, Int(7)});
  ASSERT_TRUE(turn.ok()) << turn.error.traceback;
  EXPECT_EQ(app.Field("count"), "1");
  EXPECT_EQ(app.Field("total"), "5.5");
  EXPECT_EQ(app.Field("last"), "web-1");
  EXPECT_EQ(app.Field("panes"), "[0,0,1,0,0]");
  EXPECT_EQ(app.Field("means"), "[0.5,1.5]");
  EXPECT_EQ(turn.delta[0], 4);  // count, total, last, panes
  turn = app.Event({Text("web-1"), 0.0, Int(7)});
  EXPECT_EQ(turn.delta[0], 2);  // count and panes: total and last were assigned what they were
}

TEST(PythonTurn, EmitsCompactJsonInOrderOfArguments) {
  TestApp app(kCounter);
  TestApp::Turn turn = app.Event({Text("web-1"), 91.0, Int(7)});
  ASSERT_EQ(turn.outputs.size(), 1u);
  EXPECT_EQ(turn.outputs[0], R"(alerts {"host":"key","n":1,"at":1700000000000})");
  EXPECT_EQ(app.Field("alerting"), "1");
}

TEST(PythonTurn, ThatRaisesLeavesTheRowAsItWas) {
  TestApp app(kCounter);
  app.Event({Text("web-1"), 5.5, Int(7)});
  TestApp::Turn turn = app.Call("run", {R"(
self.count = 99
self.last = "changed"
self.panes[0] = 9
self.means = [7.0, 8.0]
self.note = "x"
self.touch()
1 / 0)"});
  EXPECT_FALSE(turn.ok());
  EXPECT_EQ(turn.error.message, "ZeroDivisionError: division by zero");
  EXPECT_NE(turn.error.traceback.find("line 8, in <module>"), string::npos) << turn.error.traceback;
  EXPECT_FALSE(turn.requests.touch);
  EXPECT_EQ(app.Field("count"), "1");
  EXPECT_EQ(app.Field("last"), "web-1");
  EXPECT_EQ(app.Field("panes"), "[0,0,1,0,0]");
  EXPECT_EQ(app.Field("means"), "[0.5,1.5]");
  // The next turn sees the state before it.
  turn = app.Call("run", {"result = [self.count, self.last, self.panes[2], self.note]"});
  EXPECT_EQ(turn.reply, "[1, 'web-1', 1, nil]");
}

TEST(PythonTurn, ThatAssignsAWrongTypeFailsAndNamesTheField) {
  TestApp app(kCounter);
  struct Case {
    const char* code;
    const char* message;
  } cases[] = {
      {"self.count = 'x'", "TypeError: Host.count must be int, not str"},
      {"self.count = 1.5", "TypeError: Host.count must be int, not float"},
      {"self.count = None", "TypeError: Host.count must be int, not None"},
      {"self.count = 1 << 63", "OverflowError: Host.count: the int does not fit into 64 bits"},
      {"self.total = 'x'", "TypeError: Host.total must be float, not str"},
      {"self.total = 10 ** 400", "OverflowError: Host.total: the int is too large for a float"},
      {"self.last = b'x'", "TypeError: Host.last must be str, not bytes"},
      {"self.last = '\\ud800'", "ValueError: Host.last holds text with lone surrogates"},
      {"self.raw = 'x'", "TypeError: Host.raw must be bytes, not str"},
      {"self.alerting = 1", "TypeError: Host.alerting must be bool, not int"},
      {"self.limit = 'x'", "TypeError: Host.limit must be int or None, not str"},
      {"del self.count", "AttributeError: Host.count was deleted"},
      {"self.panes = [1, 2]", "ValueError: Host.panes takes 5 elements, not 2"},
      {"self.panes = 'abcde'", "TypeError: Host.panes must be a list of 5 elements, not str"},
      {"self.panes = [1, 2, 3, 4, 'x']", "TypeError: Host.panes: an element must be int, not str"},
      {"self.panes[0] = 1 << 63", "OverflowError: an element does not fit into 64 bits"},
      {"self.panes[5] = 1", "IndexError: array assignment index out of range"},
      {"self.cuont = 1", "AttributeError: 'Host' object has no attribute 'cuont'"},
  };
  string before = app.Call("run", {"result = [self.count, self.total, self.limit]"}).reply;
  for (const Case& one : cases) {
    TestApp::Turn turn = app.Call("run", {one.code});
    EXPECT_FALSE(turn.ok()) << one.code;
    EXPECT_EQ(turn.error.message, one.message);
    EXPECT_EQ(app.Call("run", {"result = [self.count, self.total, self.limit]"}).reply, before);
  }
}

TEST(PythonTurn, TakesIntsForFloatsAndReadsThemBackAsFloats) {
  TestApp app(kCounter);
  ASSERT_TRUE(app.Call("run", {"self.total = 3"}).ok());
  EXPECT_EQ(app.Call("run", {"result = [type(self.total).__name__, self.total]"}).reply,
            "['float', 3.000000f]");
  ASSERT_TRUE(app.Call("run", {"self.count = True"}).ok());
  EXPECT_EQ(app.Call("run", {"result = type(self.count).__name__"}).reply, "'int'");
}

TEST(PythonTurn, KeepsExtremesOfEveryType) {
  TestApp app(kCounter);
  string code = R"(
self.count = -(1 << 63)
self.total = 1e-320
self.last = "gr\u00fc\u00df \U0001f998 " * 20
self.raw = bytes(range(256))
self.limit = None
self.note = ""
self.panes = (1 << 62, -1, 0, 255, 256)
self.means = [float("inf"), -0.0])";
  ASSERT_TRUE(app.Call("run", {code}).ok());
  string check = R"py(
assert self.count == -(1 << 63) and self.total == 1e-320
assert self.last == "gr\u00fc\u00df \U0001f998 " * 20 and self.raw == bytes(range(256))
assert self.limit is None and self.note == ""
assert self.panes == [1 << 62, -1, 0, 255, 256]
assert repr(self.means) == "Array([inf, -0.0])", repr(self.means)
result = "same")py";
  TestApp::Turn turn = app.Call("run", {check});
  EXPECT_EQ(turn.reply, "'same'") << turn.error.traceback;
  EXPECT_EQ(turn.delta, "");
}

TEST(PythonTurn, FailingWhileTheReplyIsMadeRollsBack) {
  TestApp app(kCounter);
  TestApp::Turn turn = app.Call("run", {"self.count = 5\nresult = object()"});
  EXPECT_FALSE(turn.ok());
  EXPECT_TRUE(turn.error.message.starts_with("TypeError: a command cannot return object"))
      << turn.error.message;
  EXPECT_EQ(app.Field("count"), "0");
}

TEST(PythonTurn, ReportsRequests) {
  TestApp app(kCounter);
  TestApp::Turn turn = app.Call("run", {"self.touch(); self.ttl = 2.5; result = self.ttl"});
  EXPECT_TRUE(turn.requests.touch);
  EXPECT_TRUE(turn.requests.ttl_assigned);
  EXPECT_EQ(turn.requests.ttl_ms, 2500);
  EXPECT_EQ(turn.reply, "2.500000f");
  EXPECT_FALSE(turn.requests.remove);
  turn = app.Call("run", {"self.delete()"});
  EXPECT_TRUE(turn.requests.remove);
  EXPECT_EQ(app.Call("run", {"result = self.ttl"}).reply, "60.000000f");
  turn = app.Call("run", {"import datetime; self.ttl = datetime.timedelta(minutes=1)"});
  EXPECT_EQ(turn.requests.ttl_ms, 60000);
  EXPECT_EQ(app.Call("run", {"self.ttl = 'x'"}).error.message,
            "TypeError: self.ttl must be a timedelta or seconds, not str");
  EXPECT_FALSE(app.Call("run", {"self.ttl = -1"}).ok());
}

TEST(PythonTurn, KeptEntityIsStaleInTheNextTurn) {
  TestApp app(kCounter);
  ASSERT_TRUE(app.Call("run", {"kept.append(self); self.count = 3"}).ok());
  EXPECT_EQ(app.Field("count"), "3");
  for (const char* code : {"kept[0].count", "kept[0].count = 5", "kept[0].key", "kept[0].sample",
                           "kept[0].touch()", "del kept[0].count"}) {
    TestApp::Turn turn = app.Call("run", {code});
    EXPECT_FALSE(turn.ok()) << code;
    EXPECT_TRUE(turn.error.message.starts_with("StaleEntityError: this Host was kept"))
        << turn.error.message;
  }
  EXPECT_EQ(app.Call("run", {"self.count += 1; result = self.count"}).reply, "4");
}

TEST(PythonTurn, KeptArrayIsStaleInTheNextTurn) {
  TestApp app(kCounter);
  ASSERT_TRUE(app.Call("run", {"kept.append(self.panes); self.panes[1] = 3"}).ok());
  for (const char* code : {"kept[0][1]", "kept[0][1] = 5", "len(kept[0])", "list(kept[0])",
                           "kept[0].sum()", "kept[0].fill(1)", "3 in kept[0]"}) {
    TestApp::Turn turn = app.Call("run", {code});
    EXPECT_FALSE(turn.ok()) << code;
    EXPECT_TRUE(turn.error.message.starts_with("StaleEntityError")) << turn.error.message;
  }
  EXPECT_EQ(app.Call("run", {"result = self.panes.tolist()"}).reply, "[0, 3, 0, 0, 0]");
}

TEST(PythonTurn, ArraysBehaveAsSequences) {
  TestApp app(kCounter);
  string code = R"(
p = self.panes
for i in range(5): p[i] = i * i
p[-1] = 100
assert len(p) == 5 and p[-1] == 100 and list(p) == [0, 1, 4, 9, 100] and p[1:4] == [1, 4, 9]
assert p[::-1] == [100, 9, 4, 1, 0] and 9 in p and 7 not in p and max(p) == p.max() == 100
assert p.min() == 0 and sum(p) == p.sum() == 114 and p.tolist() == list(p)
assert p == [0, 1, 4, 9, 100] and p != [0] and p == (0, 1, 4, 9, 100)
a, *rest = p
self.means.fill(2)
assert self.means.sum() == 4.0 and self.means == [2.0, 2.0]
p.fill((1 << 63) - 1)
assert p.sum() == 5 * ((1 << 63) - 1)
self.panes = [5, 4, 3, 2, 1]
self.panes = self.panes[::-1]
result = rest)";
  TestApp::Turn turn = app.Call("run", {code});
  EXPECT_EQ(turn.reply, "[1, 4, 9, 100]") << turn.error.traceback;
  EXPECT_EQ(app.Field("panes"), "[1,2,3,4,5]");
  EXPECT_EQ(app.Call("run", {"result = type(self.panes).__name__"}).reply, "'Array'");
  // Elements that did not change are not in the delta.
  turn = app.Call("run", {"self.panes = [1, 2, 3, 4, 6]"});
  EXPECT_EQ(turn.delta.size(), 1 + 1 + 1 + 1 + 1 + 1u);
}

TEST(PythonTurn, HandlersSeeTheSameFlyweightWithEachRow) {
  TestApp app(kCounter);
  app.Event({Text("a"), 1.0, Int(0)});
  grid::WorkingRow& row = app.row();
  // The row changed behind the host's back, as when another entity is lent.
  app.schema().row.Destroy(row.row.get());
  app.schema().row.InitDefaults(row.row.get(), ClassId(0));
  TurnCall call{.kind = grid::TurnKind::kCall};
  string arguments, reply, delta;
  grid::TaggedWriter writer(arguments);
  writer.List(1);
  writer.Text("assert self.count == 0 and self.panes.sum() == 0 and self.last == ''");
  call.arguments = arguments, call.row = &row, call.delta = &delta, call.reply = &reply;
  app.host().Enter();
  EXPECT_EQ(app.host().Run(call), TurnStatus::kOk) << call.error.traceback;
  app.host().Leave();
}

}  // namespace
}  // namespace bettong::compute::python
