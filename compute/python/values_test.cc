// Values on their way in (events, CALL's arguments) and out (emitted JSON, replies, keys).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "compute/python/host_testing.h"
#include "compute/python/nesting.h"

namespace bettong::compute::python {
namespace {

using std::string;

EventValue Text(const char* text) { return string(text); }
EventValue Int(int64_t value) { return value; }
EventValue Null() { return std::monostate(); }

constexpr char kApp[] = R"(
from typing import Any
from bettong import App, Event
app = App("test")
class Point(Event):
    x: int
    y: float = 0.5
    tags: list[str] = ["none"]
class Sample(Event, time="ts"):
    key: str
    ts: int
    flag: bool
    raw: bytes
    note: str | None
    values: list[int]
    point: Point
    points: list[Point | None]
    table: dict[str, float]
    anything: Any
samples = app.stream("samples", Sample)
plain = app.stream("plain")
out = app.stream("out")
points = app.stream("points", Point)
seen = []
class Host(app.Entity):
    count: int = 0
    @samples.on(key="key")
    def sample(self, e):
        self.count += 1
        out.emit(text=repr(e))
    @plain.on(key="key")
    def on_plain(self, e):
        out.emit(text=repr(e), kind=type(e).__name__)
        seen.append(e)
    @samples.on(key=lambda e: e.values or e.point.x)
    def by_function(self, e):
        pass
    @samples.on(key=lambda e: eval(e.note))
    def by_code(self, e):
        pass
    @app.command
    def run(self, code: str):
        scope = {"self": self, "out": out, "points": points, "Point": Point, "Sample": Sample}
        exec(code, scope)
        return scope.get("result")
    @app.command
    def typed(self, a: int, b: float = 2.5, *rest: bool):
        return [a, b, list(rest)]
    @app.command
    def shapes(self, i: int | None, s: str | None, raw: bytes, items: list[int], p: Point):
        return [i, s, raw, items, p]
    @app.command
    def deep(self, items: list[Any]):
        return items
    @app.command(create=True)
    def untyped(self, a, b="x"):
        return a + b
)";

std::vector<EventValue> Sample(const char* values, const char* point = R"({"x":1})",
                               const char* note = nullptr) {
  return {Text("k"),
          Int(5),
          true,
          Text("\xff\x01"),
          note == nullptr ? Null() : Text(note),
          Text(values),
          Text(point),
          Text(R"([{"x":2,"y":3},null])"),
          Text(R"({"a":1,"b":2.5})"),
          Text(R"([null,{"z":[1.5,"é"]},18446744073709551615])")};
}

TEST(PythonEvents, AreInstancesOfTheirClassWithNestedValues) {
  TestApp app(kApp);
  TestApp::Turn turn = app.Event(Sample("[1, 2]"));
  ASSERT_TRUE(turn.ok()) << turn.error.traceback;
  EXPECT_EQ(turn.outputs[0],
            R"x(out {"text":"Sample(key='k', ts=5, flag=True, raw=b'\\xff\\x01', note=None, )x"
            R"x(values=[1, 2], point=Point(x=1, y=0.5, tags=['none']), )x"
            R"x(points=[Point(x=2, y=3.0, tags=['none']), None], table={'a': 1.0, 'b': 2.5}, )x"
            R"x(anything=[None, {'z': [1.5, 'é']}, 18446744073709551615])"})x");
}

TEST(PythonEvents, ThatDoNotFitTheirClassFailTheTurnAndSayWhere) {
  TestApp app(kApp);
  EXPECT_EQ(app.Event(Sample("[1, 2.5]")).error.message,
            "TypeError: Sample.values[1] must be int, not a float");
  EXPECT_EQ(app.Event(Sample("[]", R"({"y":1})")).error.message,
            "TypeError: Sample.point.x is missing");
  EXPECT_EQ(app.Event(Sample("[]", R"({"x":1,"tags":[null]})")).error.message,
            "TypeError: Sample.point.tags[0] must be str, not null");
  EXPECT_EQ(app.Field("count"), "0");
}

TEST(PythonEvents, WithoutAClassAreDictsAndMayBeKept) {
  TestApp app(kApp);
  TestApp::Turn turn = app.Event({Text(R"({"key":"a","n":1.0})")}, 1);
  EXPECT_EQ(turn.outputs[0], R"(out {"text":"{'key': 'a', 'n': 1.0}","kind":"dict"})");
  app.Event({Text(R"({"key":"b"})")}, 1);
  turn = app.Event({Text(R"({"n": 123456789012345678901234567890, "x": 1e400})")}, 1);
  EXPECT_EQ(turn.outputs[0],
            R"(out {"text":"{'n': 123456789012345678901234567890, 'x': inf}","kind":"dict"})");
}

TEST(PythonEvents, NumbersBeyond64BitsFitWhereAnythingDoes) {
  TestApp app(kApp);
  EXPECT_EQ(app.Event(Sample("[18446744073709551616]")).error.message,
            "TypeError: Sample.values has a number of more than 64 bits");
  std::vector<EventValue> event = Sample("[]");
  event.back() = Text("[1e5, -18446744073709551616]");
  EXPECT_THAT(app.Event(event).outputs[0],
              ::testing::HasSubstr("anything=[100000.0, -18446744073709551616]"));
}

TEST(PythonKeys, ComeFromFunctionsAsOneOrSeveral) {
  TestApp app(kApp);
  EXPECT_EQ(app.Keys(Sample("[3, -4]"), 2).reply, "['3', '-4']");
  EXPECT_EQ(app.Keys(Sample("[]", R"({"x":77})"), 2).reply, "['77']");
  struct Case {
    const char* code;
    const char* reply;
  } cases[] = {
      {"'a'", "['a']"},
      {"b'\\xc3\\xa9'", "['é']"},
      {"1 << 80", "['1208925819614629174706176']"},
      {"('a', 1)", "['a', '1']"},
      {"{'a'}", "['a']"},
      {"(c for c in 'xyz')", "['x', 'y', 'z']"},
      {"[]", "[]"},
  };
  for (const Case& one : cases) {
    TestApp::Turn turn = app.Keys(Sample("[]", R"({"x":1})", one.code), 3);
    EXPECT_EQ(turn.reply, one.reply) << turn.error.traceback;
  }
}

TEST(PythonKeys, OfOtherTypesAreRefused) {
  TestApp app(kApp);
  auto message = [&](const char* code) {
    TestApp::Turn turn = app.Keys(Sample("[]", R"({"x":1})", code), 3);
    EXPECT_TRUE(turn.reply.empty());
    return turn.error.message;
  };
  EXPECT_EQ(message("None"),
            "TypeError: the key function returned None; return an empty list to skip an event");
  EXPECT_EQ(message("1.5"), "TypeError: a key is str, int or bytes, not float");
  EXPECT_EQ(message("['a', None]"), "TypeError: a key is str, int or bytes, not NoneType");
  EXPECT_EQ(message("True"), "TypeError: a key is str, int or bytes, not bool");
  EXPECT_EQ(message("1/0"), "ZeroDivisionError: division by zero");
}

TEST(PythonEmit, WritesJsonAsPythonDoes) {
  TestApp app(kApp);
  struct Case {
    const char* code;
    const char* json;
  } cases[] = {
      {"out.emit(a=1, b=-2.5, c=True, d=None, e='x\"\\n\\x01é')",
       R"({"a":1,"b":-2.5,"c":true,"d":null,"e":"x\"\n\u0001é"})"},
      {"out.emit({'b': [1, (2.0, 1e22, 1e-7)], 'a': {'k': {}}, 3: []})",
       R"({"b":[1,[2.0,1e+22,1e-07]],"a":{"k":{}},"3":[]})"},
      {"out.emit(n=1 << 70, raw=b'text')", R"({"n":1180591620717411303424,"raw":"text"})"},
      {"out.emit(p=Point(x=1))", R"({"p":{"x":1,"y":0.5,"tags":["none"]}})"},
      {"points.emit(Point(x=1, tags=[]))", R"({"x":1,"y":0.5,"tags":[]})"},
      {"points.emit(y=1.0, x=2)", R"({"y":1.0,"x":2})"},
      {"out.emit()", "{}"},
      {"out.emit({})", "{}"},
  };
  for (const Case& one : cases) {
    TestApp::Turn turn = app.Call("run", {one.code});
    ASSERT_TRUE(turn.ok()) << turn.error.traceback;
    EXPECT_EQ(turn.outputs.at(0).substr(turn.outputs[0].find(' ') + 1), one.json);
  }
}

TEST(PythonEmit, RefusesWhatJsonCannotCarry) {
  TestApp app(kApp);
  struct Case {
    const char* code;
    const char* message;
  } cases[] = {
      {"out.emit(a=float('nan'))",
       "ValueError: out.emit(): field a is nan, which JSON cannot carry"},
      {"out.emit(a=[1, {'b': float('inf')}])",
       "ValueError: out.emit(): field a[1].b is inf, which JSON cannot carry"},
      {"out.emit(a=b'\\xff')",
       "ValueError: out.emit(): field a holds bytes that are not UTF-8 text, which JSON cannot "
       "carry"},
      {"out.emit(a='\\ud800')",
       "ValueError: out.emit(): field a holds text with lone surrogates, which UTF-8 cannot "
       "carry"},
      {"out.emit(a={1, 2})",
       "TypeError: out.emit(): field a is of a type that JSON cannot carry: <class 'set'>"},
      {"out.emit('text')",
       "TypeError: out.emit(): expected an event, a dict or fields by name, got str"},
      {"out.emit({}, a=1)", "TypeError: out.emit() takes one event, or its fields by name"},
      {"points.emit(x=1, z=2)", "TypeError: points.emit(): Point has no field 'z'"},
      {"points.emit(y=1)", "TypeError: points.emit(): Point needs the field 'x'"},
      {"points.emit(Sample.__new__(Sample))",
       "TypeError: points.emit(): expected Point, got Sample"},
      {"a = []; a.append(a); out.emit(a=a)", "ValueError: out.emit(): field a[0][0][0]"},
  };
  for (const Case& one : cases) {
    TestApp::Turn turn = app.Call("run", {one.code});
    EXPECT_FALSE(turn.ok()) << one.code;
    EXPECT_TRUE(turn.outputs.empty());
    EXPECT_TRUE(turn.error.message.starts_with(one.message)) << turn.error.message;
  }
}

TEST(PythonCall, ConvertsArgumentsByAnnotation) {
  TestApp app(kApp);
  EXPECT_EQ(app.Call("typed", {"7"}).reply, "[7, 2.500000f, []]");
  EXPECT_EQ(app.Call("typed", {"-7", "1e3", "1", "false"}).reply,
            "[-7, 1000.000000f, [true, false]]");
  EXPECT_EQ(app.Call("untyped", {"a"}).reply, "'ax'");
  EXPECT_EQ(app.Call("shapes", {"", "", "\xff", "[1,2]", R"({"x":5})"}).reply,
            "[nil, '', b'\xff', [1, 2], {'x': 5, 'y': 0.500000f, 'tags': ['none']}]");
}

TEST(PythonCall, RefusesArgumentsThatDoNotFitWithoutRunning) {
  TestApp app(kApp);
  TestApp::Turn turn = app.Call("typed");
  EXPECT_FALSE(turn.ok());
  EXPECT_EQ(turn.error.message,
            "Host.typed() takes a: int, [b: float], [rest: bool ...]; 0 arguments were given");
  EXPECT_EQ(turn.error.traceback, "");
  EXPECT_EQ(app.Call("typed", {"x"}).error.message,
            "Host.typed() takes a: int, [b: float], [rest: bool ...]; 'x' is not an int of 64 bits "
            "(a)");
  EXPECT_EQ(app.Call("untyped", {"1", "2", "3"}).error.message,
            "Host.untyped() takes a: str, [b: str]; 3 arguments were given");
  EXPECT_EQ(app.Call("typed", {"9223372036854775808"}).error.message,
            "Host.typed() takes a: int, [b: float], [rest: bool ...]; '9223372036854775808' is not "
            "an int of 64 bits (a)");
  EXPECT_FALSE(app.Call("typed", {"1", "2", "maybe"}).ok());
  EXPECT_FALSE(app.Call("shapes", {"", "", "", "[1,", "{}"}).ok());
  EXPECT_FALSE(app.Call("untyped", {"\xff"}).ok());
}

TEST(PythonCall, AnswersEveryKindOfValue) {
  TestApp app(kApp);
  EXPECT_EQ(
      app.Call("run", {"result = {'a': (1, None), 2: {True}, 'c': b'x', 'd': 1 << 64}"}).reply,
      "{'a': [1, nil], 2: [true], 'c': b'x', 'd': '18446744073709551616'}");
  EXPECT_EQ(app.Call("run", {"result = Point(x=1)"}).reply,
            "{'x': 1, 'y': 0.500000f, 'tags': ['none']}");
  EXPECT_EQ(app.Call("run", {""}).reply, "nil");
}

// `levels` lists around nothing.
string Lists(int levels) {
  auto count = static_cast<size_t>(levels);
  return string(count, '[') + string(count, ']');
}

// Makes `lists`, in a turn without Python's own limit.
string Nested(int levels, const string& code) {
  return "import sys\nlists = []\nfor _ in range(" + std::to_string(levels - 1) +
         "): lists = [lists]\nsys.setrecursionlimit(10**6)\ntry:\n    " + code +
         "\nfinally:\n    sys.setrecursionlimit(1000)";
}

TEST(PythonNesting, OfWhatIsEmittedIsLimited) {
  TestApp app(kApp);
  // The event is the outermost level.
  TestApp::Turn turn = app.Call("run", {Nested(kNestingMax - 1, "out.emit(a=lists)")});
  ASSERT_TRUE(turn.ok()) << turn.error.traceback;
  EXPECT_EQ(turn.outputs.at(0), "out {\"a\":" + Lists(kNestingMax - 1) + "}");
  for (int levels : {kNestingMax, 100'000}) {
    for (const char* code :
         {"out.emit(a=lists)", "out.emit({'a': lists})", "points.emit(x=1, tags=lists)",
          "points.emit(Point(x=1, tags=lists))"}) {
      turn = app.Call("run", {Nested(levels, code)});
      EXPECT_FALSE(turn.ok());
      EXPECT_TRUE(turn.error.message.ends_with("... is nested deeper than 512 levels"))
          << turn.error.message;
      EXPECT_TRUE(turn.outputs.empty());
    }
  }
}

TEST(PythonNesting, OfRepliesIsLimited) {
  TestApp app(kApp);
  EXPECT_EQ(app.Call("run", {Nested(kNestingMax, "result = lists")}).reply, Lists(kNestingMax));
  for (int levels : {kNestingMax, 100'000}) {
    for (const char* code : {"result = [lists]", "result = {'a': lists}", "result = (lists, 1)",
                             "result = Point(x=1, tags=lists)"}) {
      TestApp::Turn turn = app.Call("run", {Nested(levels, code)});
      EXPECT_FALSE(turn.ok());
      EXPECT_EQ(turn.error.message, "ValueError: the result is nested deeper than 512 levels");
    }
  }
}

TEST(PythonNesting, OfIncomingJsonIsLimited) {
  TestApp app(kApp);
  std::vector<EventValue> sample = Sample("[]");
  sample[9] = Lists(kNestingMax);
  EXPECT_TRUE(app.Event(sample).ok());
  EXPECT_TRUE(app.Event({Lists(kNestingMax)}, 1).ok());
  EXPECT_EQ(app.Call("deep", {Lists(kNestingMax)}).reply, Lists(kNestingMax));
  for (int levels : {kNestingMax + 1, 2000}) {
    sample[9] = Lists(levels);
    EXPECT_THAT(app.Event(sample).error.message,
                testing::MatchesRegex("ValueError: Sample.anything.* is nested deeper than 512 "
                                      "levels"));
    EXPECT_THAT(app.Event({Lists(levels)}, 1).error.message,
                testing::MatchesRegex("ValueError: the event.* is nested deeper than 512 levels"));
    EXPECT_THAT(app.Call("deep", {Lists(levels)}).error.message,
                testing::MatchesRegex("Host.deep.. takes .* is nested deeper than 512 levels "
                                      ".items."));
  }
}

TEST(PythonCall, KnowsNumpy) {
  TestApp app(kApp);
  if (!app.Call("run", {"import numpy"}).ok())
    GTEST_SKIP() << app.Call("run", {"import numpy"}).error.traceback;
  string code = R"(
import numpy as np
self.count = np.int64(5)
out.emit(a=np.float32(0.5), b=np.int8(3), c=np.bool_(True), d=np.eye(2), e=np.array([[], []]))
result = [np.arange(3), np.float64(1.5), np.int32(2)])";
  TestApp::Turn turn = app.Call("run", {code});
  EXPECT_EQ(turn.reply, "[[0, 1, 2], 1.500000f, 2]") << turn.error.traceback;
  EXPECT_EQ(turn.outputs.at(0),
            R"(out {"a":0.5,"b":3,"c":true,"d":[[1.0,0.0],[0.0,1.0]],"e":[[],[]]})");
  EXPECT_EQ(app.Field("count"), "5");
}

}  // namespace
}  // namespace bettong::compute::python
