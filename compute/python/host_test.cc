// Loading apps, and keeping user code within its bounds: time limits, threads, several loads.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include "compute/python/host_testing.h"

namespace bettong::compute::python {
namespace {

using std::string;

constexpr char kApp[] = R"(
import threading, time
from bettong import App, Event, minutes
app = App("test")
class Sample(Event, time="ts"):
    host: str
    ts: int
    tags: list[str] = []
samples = app.stream("samples", Sample)
out = app.stream("out")
ticks = 0
class Host(app.Entity, ttl=minutes(1), prefix="h"):
    count: int = 3
    name: str | None = None
    @samples.on(key="host")
    def sample(self, e: Sample):
        self.count += 1
    def on_create(self):
        self.name = self.key
    def on_expire(self):
        out.emit(host=self.key, gone=True)
    @app.command
    def run(self, code: str) -> str:
        scope = {"self": self, "out": out, "threading": threading, "time": time}
        exec(code, scope)
        return scope.get("result")
)";

PythonOptions ShortTimeout(int64_t ms = 50) {
  PythonOptions options;
  options.handler_timeout_ms = ms;
  options.handler_hard_limit_ms = 60'000;
  return options;
}

TEST(PythonLoad, DescribesTheAppInTheCatalog) {
  TestApp app(kApp);
  const grid::ClassSchema& host = app.schema();
  EXPECT_EQ(host.name, "Host");
  EXPECT_EQ(host.prefix, "h");
  EXPECT_EQ(host.ttl_ms, 60'000);
  EXPECT_TRUE(host.has_on_create);
  EXPECT_TRUE(host.has_on_expire);
  ASSERT_EQ(host.handlers.size(), 1u);
  EXPECT_EQ(host.handlers[0].method, "sample");
  EXPECT_EQ(host.handlers[0].key.field, 0u);
  ASSERT_EQ(host.commands.size(), 1u);
  EXPECT_EQ(host.commands[0].name, "run");
  EXPECT_EQ(host.commands[0].parameters.at(0).type, "str");
  EXPECT_EQ(host.commands[0].returns, "str");
  const grid::StreamSchema& samples = app.catalog().streams.at(0);
  EXPECT_EQ(samples.name, "samples");
  EXPECT_EQ(samples.event.name, "Sample");
  EXPECT_EQ(samples.event.time_field, 1u);
  EXPECT_EQ(samples.event.fields.at(2).default_json, "[]");
  EXPECT_FALSE(samples.event.fields.at(2).required);
  EXPECT_EQ(samples.subscriptions.size(), 1u);
  EXPECT_EQ(app.Field("count"), "3");
}

TEST(PythonLoad, RunsOnCreateAndOnExpire) {
  TestApp app(kApp);
  ASSERT_TRUE(app.Method(grid::TurnKind::kCreate).ok());
  EXPECT_EQ(app.Field("name"), "key");
  EXPECT_EQ(app.Method(grid::TurnKind::kExpire).outputs.at(0), R"(out {"host":"key","gone":true})");
}

TEST(PythonLoad, FailureCarriesTheTraceback) {
  string error = TestApp::LoadError("import bettong\n\ndef f():\n    1 / 0\n\nf()\n");
  EXPECT_NE(error.find("app.py\", line 4, in f"), string::npos) << error;
  EXPECT_NE(error.find("ZeroDivisionError: division by zero"), string::npos) << error;
  error = TestApp::LoadError("def broken(:\n");
  EXPECT_NE(error.find("SyntaxError"), string::npos) << error;
  error = TestApp::LoadError("import no_such_module\n");
  EXPECT_NE(error.find("No module named 'no_such_module'"), string::npos) << error;
  error = TestApp::LoadError("raise SystemExit(3)\n");
  EXPECT_NE(error.find("SystemExit"), string::npos) << error;
}

TEST(PythonLoad, StreamsOfOneNameAreOneStreamAcrossApps) {
  constexpr char kFirst[] = R"(
from bettong import App, Event
app = App("first")
class Sample(Event):
    host: str
samples = app.stream("samples", Sample)
class Host(app.Entity):
    @samples.on(key="host")
    def sample(self, e): pass
)";
  constexpr char kSecond[] = R"(
from bettong import App
app = App("second")
samples = app.stream("samples")
class Watch(app.Entity):
    @samples.on(key="host")
    def sample(self, e): pass
)";
  absl::StatusOr<PythonApps> apps =
      TestApp::LoadSources({{"first.py", kFirst}, {"second.py", kSecond}});
  ASSERT_TRUE(apps.ok()) << apps.status().message();
  ASSERT_EQ(apps->catalog.streams.size(), 3u);  // and the dead letters, and messages
  EXPECT_EQ(apps->catalog.streams[0].event.name, "Sample");
  EXPECT_EQ(apps->catalog.streams[0].subscriptions.size(), 2u);
}

TEST(PythonLoad, RefusesTwoClassesWithOnePrefix) {
  string error = TestApp::LoadError(R"(
from bettong import App
app = App("test")
class Host(app.Entity): pass
class Other(app.Entity, prefix="host"): pass
)");
  EXPECT_NE(error.find("two entity classes have the prefix 'host': app.Host and app.Other"),
            string::npos)
      << error;
}

TEST(PythonLoad, RefusesTheEventClockOnStreamsWithoutTime) {
  string error = TestApp::LoadError(R"(
from bettong import App
app = App("test")
samples = app.stream("samples")
class Host(app.Entity, ttl=5, clock="event"):
    @samples.on(key="host")
    def sample(self, e): pass
)");
  EXPECT_NE(error.find("carry no time"), string::npos) << error;
}

TEST(PythonLimits, EndlessLoopIsInterruptedAndRolledBack) {
  TestApp app(kApp, ShortTimeout());
  // What a first call loads must not take the time of the one below.
  EXPECT_EQ(app.Call("run", {"result = 1"}).reply, "1");
  auto begun = std::chrono::steady_clock::now();
  TestApp::Turn turn = app.Call("run", {"self.count = 9\nwhile True:\n    pass"});
  EXPECT_FALSE(turn.ok());
  EXPECT_EQ(turn.error.message, "HandlerTimeout: Host.run ran longer than 50 ms");
  EXPECT_NE(turn.error.traceback.find(", in <module>"), string::npos) << turn.error.traceback;
  EXPECT_EQ(app.Field("count"), "3");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
  EXPECT_EQ(app.Call("run", {"result = sum(range(1000))"}).reply, "499500");
}

TEST(PythonLimits, CannotBeSwallowed) {
  TestApp app(kApp, ShortTimeout());
  string code = R"(
caught = 0
while True:
    try:
        while True: pass
    except Exception:
        pass)";
  EXPECT_FALSE(app.Call("run", {code}).ok());
  code = R"(
caught = 0
while True:
    try:
        while True: pass
    except BaseException:
        caught += 1
        if caught == 3: raise)";
  TestApp::Turn turn = app.Call("run", {code});
  EXPECT_EQ(turn.error.message, "HandlerTimeout: Host.run ran longer than 50 ms");
}

TEST(PythonLimits, LateInterruptDoesNotHitTheNextTurn) {
  TestApp app(kApp, ShortTimeout(20));
  for (int i = 0; i < 20; ++i) {
    // Blocks in C until just about the limit; the interrupt arrives when the turn is over, or not.
    app.Call("run", {"time.sleep(0.0" + std::to_string(15 + i) + ")"});
    ASSERT_EQ(app.Call("run", {"result = sum(range(2000))"}).reply, "1999000");
  }
}

TEST(PythonLimits, StuckInCEndsTheProcess) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        PythonOptions options = ShortTimeout(20);
        options.handler_hard_limit_ms = 100;
        TestApp app(kApp, options);
        app.Call("run", {"time.sleep(30)"});
      },
      testing::ExitedWithCode(70), "Host.run has been running for .* ms and cannot be interrupted");
}

TEST(PythonLimits, ExceptionWhoseTextNeverEndsIsInterrupted) {
  TestApp app(kApp, ShortTimeout());
  string code = R"(
class Bad(Exception):
    def __str__(self):
        while True: pass
raise Bad())";
  TestApp::Turn turn = app.Call("run", {code});
  EXPECT_FALSE(turn.ok());
  EXPECT_EQ(turn.error.message, "Bad: <str() of the exception failed>");
}

TEST(PythonLimits, SystemExitIsAFailureLikeAnyOther) {
  TestApp app(kApp);
  EXPECT_EQ(app.Call("run", {"raise SystemExit(1)"}).error.message, "SystemExit: 1");
}

TEST(PythonThreads, OfUsersRunBetweenTurnsButMayNotEmit) {
  TestApp app(kApp);
  string code = R"(
import app
def work():
    try:
        app.out.emit(a=1)
    except Exception as error:
        app.caught = type(error).__name__
    while app.ticks < 1000:
        app.ticks += 1
thread = app.thread = threading.Thread(target=work)
thread.start())";
  ASSERT_TRUE(app.Call("run", {code}).ok());
  // The lane is outside of turns: the thread gets the GIL.
  for (int i = 0; i < 200; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (app.Call("run", {"import app; result = app.thread.is_alive()"}).reply == "false") break;
  }
  EXPECT_EQ(app.Call("run", {"import app; result = [app.caught, app.ticks]"}).reply,
            "['OutsideTurnError', 1000]");
}

TEST(PythonThreads, HostMayBeLoadedOnAnotherThreadLater) {
  { TestApp app(kApp); }
  std::thread([] {
    TestApp app(kApp, ShortTimeout());
    EXPECT_EQ(app.Call("run", {"result = self.count"}).reply, "3");
    EXPECT_FALSE(app.Call("run", {"while True: pass"}).ok());
  }).join();
}

TEST(PythonOutput, OfUsersGoesToStderr) {
  TestApp app(kApp);
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  ASSERT_TRUE(app.Call("run", {"print('hello from a handler')"}).ok());
  string err = testing::internal::GetCapturedStderr();
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(err, "hello from a handler\n");
}

}  // namespace
}  // namespace bettong::compute::python
