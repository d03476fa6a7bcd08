"""Handlers that misbehave: what becomes of the turn, of other entities, and of the node.

docs/python.md has the table. Time limits are in test_watchdog.py, memory in test_memory_limit.py,
turns that the process dies of in test_poison.py.
"""

from __future__ import annotations

import json
import os
import signal

import bettong
import pytest
from bettong.testing import TestGrid

from apps import with_prelude
from datanode import DataNode, settle
from harness import BINARY, DEADLINE_S, Launcher, Server, eventually, free_port, source_table

APP = with_prelude(
    """
    import ctypes, gc, json, os, pickle, signal, sys, threading, time
    from bettong import Counter, List, Map, Ring, Set, Sliding

    kept = []

    class Thing(app.Entity):
        n: int = 0
        label: str = ""
        a: Array[int, 4]
        ring: Ring[int] = Ring(10)
        names: List[str]
        by_name: Map[str, int]
        seen: Set[str]
        hits: Counter
        load: Sliding = Sliding(60, pane=10)

        @events.on(key="key")
        def take(self, e: In):
            self.n += 1
            exec(e.s, {**globals(), "self": self, "e": e})
            out.emit(key=self.key, n=self.n)

        @app.command
        def run(self, code: str) -> str:
            scope = {**globals(), "self": self}
            exec(code, scope)
            return scope.get("result", "")
    """
)


# No test is about time but those that say so.
PATIENT = source_table("events", "events") + "[python]\nhandler_timeout = 60\n"


@pytest.fixture(scope="module")
def server(launch_shared: Launcher) -> Server:
    return launch_shared(APP, config=PATIENT)


def feed(server: Server, key: str, *codes: str) -> None:
    """One event after the other; each is done before the next is sent."""
    for code in codes:
        server.feed({"key": key, "s": code})


def label(server: Server, key: str) -> str:
    return str(server.redis().hget(f"thing:{key}", "label"))


def errors(server: Server, key: str) -> list[str]:
    return [letter["error"] for letter in server.dead_letters(key)]


def assert_others_go_on(server: Server, key: str) -> None:
    """A neighbour that was there before has its data, takes events, calls and time."""
    client = server.redis()
    before = int(client.hget("thing:neighbour", "n") or 0)
    server.feed({"key": "neighbour"}, {"key": key})
    assert int(client.hget("thing:neighbour", "n")) == before + 1
    assert client.execute_command("CALL", "thing:neighbour", "run", "result = 'fine'") == "fine"
    assert errors(server, "neighbour") == []


# -- what fails the turn, and nothing else ----------------------------------------------------

FAILING = {
    "raise SystemExit(3)": "SystemExit: 3",
    "sys.exit('enough')": "SystemExit: enough",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise BaseException('base')": "BaseException: base",
    "raise GeneratorExit": "GeneratorExit",
    "def f(): f()\nf()": "RecursionError: maximum recursion depth exceeded",
    "a = []\nfor _ in range(100_000): a = [a]\nrepr(a)": "RecursionError",
    "json.loads('[' * 100_000 + ']' * 100_000)": "RecursionError",
    "del self.n": "AttributeError",
    "del self.a": "TypeError: Thing.a must be a list of 4 elements, not deleted",
    "del self.names": "TypeError",
    "del self.key": "AttributeError",
    "self.nosuch = 1": "AttributeError: 'Thing' object has no attribute 'nosuch'",
    "self.n = 'many'": "TypeError: Thing.n must be int, not str",
    "self.n = 1 << 63": "OverflowError: Thing.n: the int does not fit into 64 bits",
    "self.label = '\\ud800'": "ValueError: Thing.label holds text with lone surrogates",
    "class Other: pass\nself.__class__ = Other": "TypeError: __class__ assignment",
    "out.emit(a=object())": "TypeError: out.emit(): field a is of a type that JSON cannot carry",
    "out.emit(a=float('nan'))": "ValueError: out.emit(): field a is nan",
    "a = []; a.append(a); out.emit(a=a)": "ValueError: out.emit(): field a[0]",
    "out.emit(5)": "TypeError: out.emit(): expected an event, a dict or fields by name, got int",
    "ctypes.pythonapi.PyThreadState_SetAsyncExc("
    "ctypes.c_ulong(threading.get_ident()), ctypes.py_object(KeyError))\nself.n": "KeyError",
}


@pytest.mark.parametrize("code", FAILING)
def test_what_fails_the_turn_and_nothing_else(server: Server, key: str, code: str) -> None:
    feed(server, key, "self.names.append('before'); self.label = 'before'")
    spoil = "self.names.append('after'); self.a[0] = 9; self.label = 'after'; out.emit(x=1)\n"
    feed(server, key, spoil + code)
    (letter,) = server.dead_letters(key)
    assert letter["error"].startswith(FAILING[code])
    assert FAILING[code] in letter["traceback"]
    assert json.loads(letter["event"])["key"] == key
    assert json.loads(letter["state"])["names"] == ["before"]
    assert server.redis().hmget(f"thing:{key}", "names", "a", "label") == [
        '["before"]',
        "[0,0,0,0]",
        "before",
    ]
    assert_others_go_on(server, key)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("result = object()", "TypeError"),
        ("result = [set()] * 3 + [object()]", "TypeError"),
        ("result = lambda: 1", "TypeError"),
        ("result = '\\ud800'", "UnicodeEncodeError"),
        ("result = a = []; a.append(a)", "ValueError"),
        ("sys.exit()", "SystemExit"),
    ],
)
def test_a_command_that_returns_what_cannot_be_sent(
    server: Server, key: str, code: str, error: str
) -> None:
    feed(server, key, "")
    answer = server.connect().reply("CALL", f"thing:{key}", "run", f"self.label = 'x'\n{code}")
    assert answer.is_error
    assert answer.words().startswith(f"ERR {error}")
    assert label(server, key) == ""
    assert_others_go_on(server, key)


# -- recursion that sys.setrecursionlimit allows ----------------------------------------------

DEEP = {
    "python": "def f(): f()\nf()",
    "repr": "a = []\nfor _ in range(1_000_000): a = [a]\nrepr(a)",
    "json": "json.loads('[' * 1_000_000 + ']' * 1_000_000)",
    "pickle": "a = []\nfor _ in range(100_000): a = [a]\npickle.dumps(a)",
    "getattr": "class A:\n    def __getattr__(self, name): return getattr(self, name)\nA().x",
    "operator": "class A:\n    def __add__(self, other): return self + other\nA() + 1",
    "sorted": "def f(n): return sorted([n], key=f)\nf(1)",
    "eval": "def f(): return eval('f()', {'f': f})\nf()",
    "re": "import re\ndef f(m=0): return re.sub('a', f, 'a')\nf()",
    "format": "class A:\n    def __format__(self, spec): return '{}'.format(self)\nf'{A()}'",
}


@pytest.mark.parametrize("how", DEEP)
def test_recursion_ends_before_the_stack_does(server: Server, key: str, how: str) -> None:
    limit = "sys.setrecursionlimit(1_000_000)\nfrom contextlib import ExitStack\n"
    limit += "stack = ExitStack(); stack.callback(sys.setrecursionlimit, 1000)\nwith stack:\n"
    code = limit + "".join(f"    {line}\n" for line in DEEP[how].splitlines())
    feed(server, key, "", code)
    (error,) = errors(server, key)
    assert error.startswith("RecursionError: maximum recursion depth exceeded")
    assert any("the stack has room for 30000" in line for line in server.stderr)
    assert_others_go_on(server, key)


def test_recursion_that_has_an_end_may_be_deep(server: Server, key: str) -> None:
    code = (
        "sys.setrecursionlimit(30_000)\n"
        "def f(n): return 1 + max([n], key=lambda n: f(n - 1)) if n > 0 else 0\n"
        "f(9_000); self.label = str(sys.getrecursionlimit())\n"
        "sys.setrecursionlimit(1000)"
    )
    feed(server, key, code)
    assert label(server, key) == "30000"


def test_recursion_of_other_threads_has_as_much_room(server: Server, key: str) -> None:
    code = f"""
sys.setrecursionlimit(1_000_000)
def work():
    try: exec({DEEP["getattr"]!r})
    except RecursionError as error: kept.append(str(error))
thread = threading.Thread(target=work)
thread.start()
thread.join()
sys.setrecursionlimit(1000)
self.label = kept.pop()
"""
    feed(server, key, code)
    assert label(server, key) == "maximum recursion depth exceeded"


def test_tests_of_apps_may_recurse_as_deeply(
    launch: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BETTONG_BINARY", str(BINARY))
    code = "sys.setrecursionlimit(30_000)\n"
    code += "def f(n): return 1 + sorted([n], key=lambda n: f(n - 1))[0] if n > 0 else 0\n"
    code += "f(9_000); self.label = str(sys.getrecursionlimit())"
    with TestGrid(launch.write_app(APP)) as grid:
        grid.send("events", {"key": "a", "s": code})
        thing = grid.entity("thing:a")
        assert thing is not None
        assert thing.label == "30000"


# -- what is kept after its turn --------------------------------------------------------------

FIELDS = ["a", "ring", "names", "by_name", "seen", "hits", "load"]
STALE = {
    "an entity": ("self", "kept[-1].n"),
    "an entity, written": ("self", "kept[-1].n = 5"),
    "an entity's key": ("self", "kept[-1].key"),
    "its method": ("self.touch", "kept[-1]()"),
    "its method delete": ("self.delete", "kept[-1]()"),
    "its property": ("self", "type(self).key.__get__(kept[-1])"),
    "its own method": ("self.take", "kept[-1](e)"),
    "a frame": ("sys._getframe()", "kept[-1].f_globals['self'].n"),
    "a closure": ("lambda: self.n", "kept[-1]()"),
    "a generator": ("lambda: (self.n for _ in (1,))", "next(kept[-1]())"),
    "an iterator": ("iter(self.names)", "next(kept[-1])"),
    "a view": ("self.by_name.items()", "list(kept[-1])"),
    "a field's method": ("self.names.append", "kept[-1]('x')"),
    "a window's method": ("self.load.add", "kept[-1](1)"),
    **{f"the field {name}": (f"self.{name}", "str(list(kept[-1]))") for name in FIELDS[:-1]},
    "the field load": ("self.load", "kept[-1].count"),
}


@pytest.mark.parametrize("what", STALE)
def test_what_is_kept_after_its_turn_is_stale(server: Server, key: str, what: str) -> None:
    keep, use = STALE[what]
    fill = "self.names.append('x'); self.by_name['x'] = 1\n"
    feed(server, key, f"{fill}kept.append({keep})")
    # In the turn of another entity: nothing must be read from that, or done to it.
    feed(server, f"{key}-other", "self.names.append('mine')", use)
    (error,) = errors(server, f"{key}-other")
    assert error.startswith("StaleEntityError: ")
    # And in another turn of its own.
    feed(server, key, use)
    assert errors(server, key)[-1].startswith("StaleEntityError: ")
    names = [server.redis().hget(f"thing:{each}", "names") for each in (key, f"{key}-other")]
    assert names == ['["x"]', '["mine"]']
    assert_others_go_on(server, key)


def test_an_event_and_values_may_be_kept(server: Server, key: str) -> None:
    feed(server, key, "self.names.append('x'); kept[:] = [e, self.n, self.names.copy()]")
    feed(server, key, "event, n, names = kept; self.label = f'{event.key} {n} {names}'")
    assert label(server, key) == f"{key} 1 ['x']"


# -- threads ----------------------------------------------------------------------------------

TRY = """
def tell(*uses):
    told = []
    for use in uses:
        try: told.append(str(use()))
        except Exception as error: told.append(type(error).__name__)
    return told
"""
USES = ["self.key", "self.touch()", "self.ttl", "self.timers", "out.emit(x=1)"] + [
    f"list(self.{name})" for name in FIELDS[:-1]
]
USES += ["self.load.add(1)", "self.a.fill(3)", "self.names.append('x')", "self.hits.update('x')"]


def test_a_thread_beside_its_own_turn(server: Server, key: str) -> None:
    uses = ", ".join(f"lambda: {use}" for use in USES)
    code = f"""{TRY}
thread = threading.Thread(target=lambda: kept.append(tell({uses})))
thread.start()
thread.join()
self.label = json.dumps(kept.pop())
"""
    outputs = server.subscribe("out")
    feed(server, key, code)
    assert set(json.loads(label(server, key))) == {"OutsideTurnError"}
    assert outputs.json() == {"key": key, "n": 1}
    assert server.redis().hget(f"thing:{key}", "names") == "[]"


@pytest.mark.parametrize("during", ["another turn", "no turn"])
def test_a_thread_that_uses_an_entity_later(server: Server, key: str, during: str) -> None:
    uses = ", ".join(f"lambda: {use}" for use in ["self.n", "setattr(self, 'n', 9)", *USES])
    start = f"""{TRY}
go, done = threading.Event(), threading.Event()
def work():
    go.wait()
    kept.append(tell({uses}))
    done.set()
threading.Thread(target=work).start()
kept[:] = [go, done]
"""
    feed(server, key, start)
    if during == "another turn":
        feed(server, f"{key}-other", "kept[0].set(); kept[1].wait()")
    else:
        feed(server, key, "kept[0].set()")
        look = "result = str(kept[1].is_set())"
        connection = server.connect()
        eventually(lambda: connection.call("CALL", f"thing:{key}", "run", look) == "True")
    feed(server, key, "self.label = json.dumps(kept[2]); kept.clear()")
    told = json.loads(label(server, key))
    assert len(told) == 2 + len(USES)
    assert set(told) == {"StaleEntityError", "OutsideTurnError"}
    assert told.count("OutsideTurnError") == 1  # out.emit, which is no entity's
    assert errors(server, key) == []
    assert_others_go_on(server, key)


def test_a_thread_that_is_in_the_middle_of_a_field_when_its_turn_ends(
    server: Server, key: str
) -> None:
    # What a method of a field asks of its arguments runs code, which may wait.
    code = """
go, there = threading.Event(), threading.Event()
class Late:
    def __index__(self): there.set(); go.wait(); return 1
    def __iter__(self): there.set(); go.wait(); return iter(['x'])
    def __eq__(self, other): there.set(); go.wait(); return True
    __hash__ = object.__hash__
    __float__ = __index__
def work():
    for use in (lambda: self.names.extend(Late()), lambda: self.a.__setitem__(0, Late())):
        try: use()
        except Exception as error: kept.append(type(error).__name__)
thread = threading.Thread(target=work)
thread.start()
thread.join()
self.label = json.dumps(kept)
kept.clear()
"""
    feed(server, key, code)
    # They do not get that far.
    assert json.loads(label(server, key)) == ["OutsideTurnError"] * 2


def test_threads_that_compute_are_fine(server: Server, key: str) -> None:
    code = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool:
    self.n += sum(pool.map(lambda n: sum(range(n)), [1000] * 8))
"""
    feed(server, key, code)
    assert server.redis().hget(f"thing:{key}", "n") == str(1 + 8 * 499_500)


THREADS = {
    "waits": "threading.Event().wait()",
    "waits as a daemon": "threading.Event().wait()",
    "computes": "while True: pass",
    "computes as a daemon": "while True: pass",
    "allocates as a daemon": "while True: list(range(1000))",
    "prints as a daemon": "while True: print('.'); time.sleep(0.001)",
    "raises": "1 / 0",
}


@pytest.mark.parametrize("what", THREADS)
def test_the_node_stops_whatever_threads_do(launch: Launcher, what: str) -> None:
    server = launch(APP, config=PATIENT)
    code = f"""
def work():
    kept.append(1)
    {THREADS[what]}
for _ in range(3):
    threading.Thread(target=work, daemon={"daemon" in what}).start()
while len(kept) < 3: time.sleep(0.001)
"""
    feed(server, "a", code, "")
    assert server.redis().hget("thing:a", "n") == "2"
    assert server.terminate() == 0


# -- what is not the turn's but the process's -------------------------------------------------


def test_a_child_that_comes_back_from_the_handler_ends(launch: Launcher) -> None:
    server = launch(APP, config=PATIENT)
    code = "pid = os.fork()\nif pid: self.label = str(os.waitpid(pid, 0)[1] >> 8)"
    feed(server, "a", code, "")
    assert label(server, "a") == "70"
    assert server.redis().hget("thing:a", "n") == "2"
    assert sum("Thing.take has forked" in line for line in server.stderr) == 1


def test_a_child_that_raises_ends_as_well(launch: Launcher) -> None:
    server = launch(APP, config=PATIENT)
    code = "pid = os.fork()\nif pid == 0: raise ValueError\nos.waitpid(pid, 0)"
    feed(server, "a", code)
    assert server.dead_letters() == []
    assert server.redis().hget("thing:a", "n") == "1"


def test_children_that_end_by_themselves(server: Server, key: str) -> None:
    code = """
import multiprocessing, subprocess
pid = os.fork()
if pid == 0: os._exit(0)
os.waitpid(pid, 0)
process = multiprocessing.Process(target=int)
process.start(); process.join()
said = subprocess.run(["echo", "hello"], capture_output=True, text=True).stdout
self.label = f"{process.exitcode} {said}"
"""
    feed(server, key, code)
    assert label(server, key) == "0 hello\n"


def test_closed_standard_streams_are_nobody_elses(launch: Launcher) -> None:
    server = launch(APP, config=PATIENT)
    feed(server, "a", "for fd in 0, 1, 2: os.close(fd)")
    # The next connections do not get the numbers: what is printed would go to them.
    connections = [server.connect() for _ in range(5)]
    feed(server, "a", "print('printed'); os.write(1, b'written'); os.write(2, b'written')")
    assert [each.call("PING") for each in connections] == ["PONG"] * 5
    assert server.redis().hget("thing:a", "n") == "2"
    assert server.dead_letters() == []


def test_a_changed_directory_does_not_move_the_log(launch: Launcher) -> None:
    node = DataNode(launch)
    node.data = type(node.data)("data")  # relative to where the node is started
    server = node(APP, config=PATIENT)
    feed(server, "a", "os.chdir('/')")
    for letter in "abcdefgh":  # several segments of a megabyte
        code = f"self.label = {letter * 4096!r}"
        server.feed(*({"key": f"k{n}", "s": code} for n in range(200)))
    settle(server.redis())
    assert server.terminate() == 0
    server = node(APP, config=PATIENT)
    assert server.entities() == 201
    assert server.redis().hget("thing:k7", "n") == "8"


def test_signals_that_the_node_handles_stay_its_own(launch: Launcher) -> None:
    server = launch(APP, config=PATIENT)
    feed(server, "a", "for n in (signal.SIGTERM, signal.SIGINT): signal.signal(n, signal.SIG_IGN)")
    server.signal(signal.SIGTERM)
    assert server.wait_exit() == 0


def test_a_handler_of_another_signal_runs_in_a_turn(server: Server, key: str) -> None:
    feed(server, key, "signal.signal(signal.SIGUSR1, lambda *_: kept.append('usr1'))")
    os.kill(server.pid, signal.SIGUSR1)
    connection = server.connect()
    look = "result = str('usr1' in kept)"
    eventually(lambda: connection.call("CALL", f"thing:{key}", "run", look) == "True")
    assert_others_go_on(server, key)


BROKEN = {
    "gc.disable()": [],
    "sys.stdout = sys.stderr = None": [],
    "sys.stdout = 5": [],
    "sys.excepthook = threading.excepthook = None": [],
    "import traceback; traceback.format_exception = None; 1 / 0": ["ZeroDivisionError"],
    "os.environ.clear(); os.umask(0o077)": [],
    "for name in list(sys.modules):\n    if name.startswith('bettong'): del sys.modules[name]": [],
    "import bettong; del bettong.errors.HandlerTimeout, bettong.HandlerTimeout": [],
    "import _bettong\nfor name in list(vars(_bettong)): delattr(_bettong, name)": [],
    "sys.settrace(lambda *_: 1 / 0)": [],
    "kept += [each for each in gc.get_objects() if type(each) is type(self)]": [],
    "import atexit; atexit.register(lambda: 1 / 0)": [],
    "class A:\n    def __del__(self): raise ValueError\nA()": [],
    "sys.setswitchinterval(100)": [],
}


@pytest.mark.parametrize("code", BROKEN)
def test_what_the_app_breaks_of_python_is_not_the_nodes(launch: Launcher, code: str) -> None:
    server = launch(APP, config=PATIENT)
    feed(server, "b", "self.label = 'kept'")
    feed(server, "a", code)
    sys_state = "sys.settrace(None)" if "settrace" in code else ""
    server.redis().execute_command("SET", "k", "v")
    feed(server, "b", sys_state, "self.n += 1", "raise KeyError('told')")
    assert [error.split(":")[0] for error in errors(server, "a")] == BROKEN[code]
    if not sys_state:
        assert errors(server, "b") == ["KeyError: 'told'"]
        assert server.redis().hmget("thing:b", "n", "label") == ["4", "kept"]
    assert server.redis().get("k") == "v"
    assert server.terminate() == 0


# -- what ends the process ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "end"),
    [
        ("os._exit(3)", 3),
        ("os.abort()", -signal.SIGABRT),
        ("ctypes.string_at(0)", -signal.SIGSEGV),
        ("os.execv('/bin/true', ['true'])", 0),
        ("signal.alarm(1); time.sleep(60)", -signal.SIGALRM),
        ("sys.setswitchinterval(1000)\nwhile True: pass", 70),
    ],
)
def test_what_ends_the_process_is_recovered_and_then_dead_lettered(
    launch: Launcher, code: str, end: int
) -> None:
    node = DataNode(launch)
    port = free_port()
    config = f"""
[source.in]
kind = "bettong-stream"
listen = "127.0.0.1:{port}"
stream = "events"
[python]
handler_timeout = "1500ms"
handler_hard_limit = "2s"
"""
    server = node(APP, config=config)
    sender = bettong.Sender(f"127.0.0.1:{port}", source="s", reconnect_max=0.05)
    with sender:
        for n in range(20):
            sender.send({"key": f"k{n % 4}", "s": code if n == 10 else "self.names.append('x')"})
        assert server.wait_exit(DEADLINE_S) == end
        assert node.dies(APP, config=config) == end
        server = node(APP, config=config)
        assert sender.flush(DEADLINE_S)
    (letter,) = server.wait_dead_letters(1)
    assert "the process has died twice during this turn" in letter["error"]
    assert json.loads(letter["event"])["s"] == code
    client = server.redis()
    assert [client.hget(f"thing:k{k}", "n") for k in range(4)] == ["5", "5", "4", "5"]
    assert client.hget("thing:k2", "names") == json.dumps(["x"] * 4).replace(" ", "")
