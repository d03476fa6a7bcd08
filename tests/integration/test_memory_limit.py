"""`python.memory_limit`: handlers that ask for more fail, everything else goes on."""

from __future__ import annotations

import json
import re

import pytest

from apps import with_prelude
from exposition import parse
from harness import Launcher, Server, eventually, get_page, run_bettong, source_table

LIMIT = 64 << 20

APP = with_prelude(
    """
    kept = []

    class Thing(app.Entity):
        n: int = 0
        label: str = ""

        @events.on(key="key")
        def take(self, e: In):
            self.n += 1
            exec(e.s, {"self": self, "out": out, "e": e, "kept": kept})
            out.emit(key=self.key, n=self.n)

        @app.command
        def run(self, code: str) -> int:
            self.n += 1
            exec(code, {"self": self, "out": out, "kept": kept})
            return self.n

        def on_expire(self):
            kept.append(bytearray(100 << 20))

    def keys(e: In):
        return [e.key, str(len("x" * e.n))]

    class Many(app.Entity):
        n: int = 0

        @events.on(key=keys)
        def take(self, e: In):
            self.n += 1
    """
)

CONFIG = source_table("events", "events") + (
    f"[python]\nmemory_limit = {LIMIT}\nhandler_timeout = 60\n"
)

# Small objects, large ones, ones that grow, cycles, text, in the interpreter and from C.
BOMBS = {
    "ints": "a = []\nwhile True: a.append(len(a) + 1000)",
    "floats": "a = []\nwhile True: a.append(len(a) * 1.5)",
    "list": "[0] * (1 << 40)",
    "doubling": "a = [0]\nwhile True: a = a + a",
    "bytes": "bytearray(100 << 20)",
    "blocks": "a = []\nwhile True: a.append(bytes(1 << 20))",
    "text": "a = 'x'\nwhile True: a += a",
    "dict": "a = {}\nwhile True: a[len(a)] = str(len(a))",
    "set": "a = set()\nwhile True: a.add(len(a))",
    "cycles": "a = None\nwhile True: a = [a]; a.append(a)",
    "objects": "class A: pass\na = []\nwhile True: a.append(A()); a[-1].x = a[-1]",
    "range": "list(range(1 << 40))",
    "comprehension": "[str(n) for n in range(1 << 40)]",
    "power": "1 << (1 << 33)",
    "format": "'%2000000000d' % 1",
    "deep": "a = ()\nwhile True: a = (a,)",
    "closures": "a = []\nwhile True: a.append(lambda n=len(a): n)",
    "exceptions": "a = []\nwhile True: a.append(ValueError(len(a)))",
    "generators": "a = []\nwhile True: a.append(x for x in a)",
    "attribute": "while True: self.label += 'x' * (16 << 20)",
    "finally": "a = []\ntry:\n    while True: a.append(len(a) + 1000)\nfinally: str(a)",
}


@pytest.fixture(scope="module")
def limited(launch_shared: Launcher) -> Server:
    return launch_shared(APP, config=CONFIG)


def held(server: Server) -> float:
    return parse(get_page(server, "/metrics"))["bettong_python_memory_bytes"].value()


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_handler_that_allocates_without_end_is_dead_lettered(
    limited: Server, key: str, bomb: str
) -> None:
    code = BOMBS[bomb]
    good = {"key": key}
    limited.feed(good, {"key": key, "s": code}, good, {"key": key, "s": code}, good)
    letters = limited.dead_letters(key)
    assert len(letters) == 2
    for letter in letters:
        assert letter["error"].startswith("MemoryError")
        assert letter["error"].endswith(
            f"python.memory_limit, {LIMIT} bytes, has no room for what Thing.take asks for; "
            "set it to more, or hold less"
        )
        assert "in take" in letter["traceback"]
        assert json.loads(letter["state"])["n"] in (1, 2)
    assert limited.redis().hget(f"thing:{key}", "n") == "3"
    # Nothing of it is held.
    assert held(limited) < LIMIT / 2


# Fills memory to the brim, so that whatever comes next fails, wherever in Python that is.
BRIM = """
full = []
for size in (1 << 20, 1 << 16, 1 << 12, 600, 400, 200, 100, 50, 20, 10, 1):
    try:
        while True: full.append(bytes(size))
    except MemoryError: pass
"""

AT_THE_BRIM = [
    "import colorsys, wave, sndhdr, tabnanny",
    "import decimal, fractions; decimal.Decimal(1) / 7",
    "class A:\n    def __init__(self): self.a = [self]\nfor i in range(1000): A()",
    "def f(n): return f(n + 1)\nf(0)",
    "def g():\n    yield from g()\nlist(g())",
    "import json; json.loads('[' * 500 + ']' * 500); json.dumps({str(n): n for n in range(1000)})",
    "import re; [re.compile('(a|b)*' + str(n)) for n in range(100)]",
    "eval('+'.join(['1'] * 1000))",
    "exec('x = 1\\n' * 1000)",
    "import threading\nt = [threading.Thread(target=len, args=('',)) for _ in range(20)]\n"
    "for each in t: each.start()",
    "import asyncio; asyncio.run(asyncio.sleep(0))",
    "import traceback\ntry: 1 / 0\nexcept Exception: traceback.format_exc()",
    "try: raise ValueError\nexcept ValueError as a:\n    raise KeyError(1000) from a",
    "[out.emit(a='x' * n) for n in range(1000)]",
    "self.label = 'x' * 10000; self.label += 'y'",
    "e.key, e.s, e.op, e.x, str(e), repr(e), self.key, self.now",
    "sorted(range(1000), key=str); dict.fromkeys(range(1000)); {n: n for n in range(100)}",
    "import weakref\nclass A: pass\nw = [weakref.ref(A(), id) for _ in range(1000)]",
    "import datetime, time; [datetime.datetime.now().isoformat() for _ in range(1000)]",
    "import numpy; numpy.arange(1000).sum(); numpy.linalg.inv(numpy.eye(50))",
]


def test_at_the_brim_everything_fails_and_nothing_breaks(limited: Server, key: str) -> None:
    for code in AT_THE_BRIM:
        # A margin for the code to get further, each time.
        for margin in (0, 100, 1000, 5000):
            cut = f"del full[len(full) - {margin}:]\n"
            limited.feed({"key": key, "s": BRIM + cut + code})
    limited.feed({"key": key})
    assert int(limited.redis().hget(f"thing:{key}", "n")) >= 1


# -- other code than handlers, and what stays -------------------------------------------------


def test_a_call(limited: Server, key: str) -> None:
    limited.feed({"key": key})
    connection = limited.connect()
    answer = connection.reply("CALL", f"thing:{key}", "run", BOMBS["ints"])
    assert answer.is_error
    assert answer.words().startswith("ERR MemoryError: python.memory_limit")
    assert "Thing.run" in answer.words()
    assert connection.call("CALL", f"thing:{key}", "run", "pass") == 2


def test_a_key_function(limited: Server, key: str) -> None:
    limited.feed({"key": key, "n": 1}, {"key": key, "n": 1 << 30}, {"key": key, "n": 2})
    (letter,) = [each for each in limited.dead_letters() if each["class"] == "Many"]
    assert "has no room for what Many.take asks for" in letter["error"]
    assert limited.redis().hget(f"many:{key}", "n") == "2"
    assert limited.redis().hget(f"thing:{key}", "n") == "3"


def test_an_expiry_and_the_entity_goes(limited: Server, key: str) -> None:
    limited.feed({"key": key, "s": "self.ttl = 0.01"})
    eventually(lambda: limited.dead_letters(key), "the dead letter of the expiry")
    (letter,) = limited.dead_letters(key)
    assert letter["handler"] == "on_expire"
    assert "has no room for what Thing.on_expire asks for" in letter["error"]
    assert limited.redis().exists(f"thing:{key}") == 0


def test_a_handler_that_does_with_less_is_none_the_worse(limited: Server, key: str) -> None:
    code = "try: bytearray(100 << 20)\nexcept MemoryError: self.label = 'less'"
    limited.feed({"key": key, "s": code})
    assert limited.dead_letters(key) == []
    assert limited.redis().hget(f"thing:{key}", "label") == "less"


def test_an_error_that_the_limit_has_not_made_says_nothing_of_it(limited: Server, key: str) -> None:
    limited.feed({"key": key, "s": "raise MemoryError('mine')"})
    (letter,) = limited.dead_letters(key)
    assert letter["error"] == "MemoryError: mine"


def test_what_is_kept_is_missing_to_others_until_it_is_let_go(limited: Server, key: str) -> None:
    keep = "while True: kept.append(bytes(1 << 20))"
    want = "bytearray(20 << 20)"
    client = limited.redis()
    client.set(key, "a Redis value")
    limited.feed({"key": key}, {"key": key, "s": keep})
    limited.feed({"key": "other" + key, "s": want})
    assert "memory_limit" in limited.dead_letters("other" + key)[0]["error"]
    # Turns that ask for little go on, and so does what is not Python.
    limited.feed({"key": key})
    assert client.hget(f"thing:{key}", "n") == "2"
    assert client.get(key) == "a Redis value"
    limited.feed({"key": key, "s": "kept.clear()"})
    limited.feed({"key": "other" + key, "s": want})
    assert client.hget(f"thing:other{key}", "n") == "1"


def test_a_thread_that_allocates_without_end_fails_alone(limited: Server, key: str) -> None:
    code = """
import threading
def work():
    a = []
    try:
        while True: a.append(bytes(1 << 20))
    except MemoryError as error:
        kept.append(type(error).__name__)
thread = threading.Thread(target=work)
thread.start()
thread.join()
self.label = str(kept)
kept.clear()
"""
    limited.feed({"key": key, "s": code})
    assert limited.redis().hget(f"thing:{key}", "label") == "['MemoryError']"


def test_a_new_thread_can_still_call_python_at_the_brim(limited: Server, key: str) -> None:
    # A thread that is not Python's own takes the GIL, as those of native packages do.
    code = f"""
import ctypes, threading
libc = ctypes.CDLL(None)
HOOK = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
seen = []
hook = HOOK(lambda _: seen.append(1))
handle = ctypes.c_ulong()
{BRIM}
libc.pthread_create(ctypes.byref(handle), None, hook, None)
libc.pthread_join(handle, None)
full.clear()
"""
    limited.feed({"key": key, "s": code}, {"key": key})
    assert int(limited.redis().hget(f"thing:{key}", "n")) >= 1


@pytest.mark.parametrize(
    "code",
    [
        "numpy.ones(100 << 20)",
        "[numpy.ones(1 << 17) for _ in range(1000)]",
        "numpy.arange(10).resize(100 << 20)",
        "numpy.zeros((1 << 14, 1 << 14))",
    ],
)
def test_the_data_of_numpy_arrays_counts(limited: Server, key: str, code: str) -> None:
    limited.feed({"key": key, "s": "import numpy"})
    before = held(limited)
    limited.feed({"key": key, "s": f"import numpy; {code}"})
    (letter,) = limited.dead_letters(key)
    assert "MemoryError" in letter["error"]
    assert "python.memory_limit" in letter["error"]
    assert held(limited) < before + (4 << 20)
    keep = "import numpy; kept.append(numpy.ones(1 << 20))"
    limited.feed({"key": key, "s": keep})
    assert (8 << 20) <= held(limited) - before < (12 << 20)
    limited.feed({"key": key, "s": "kept.clear()"})
    assert held(limited) < before + (4 << 20)


def test_metrics(limited: Server, key: str) -> None:
    page = parse(get_page(limited, "/metrics"))
    assert page["bettong_python_memory_limit_bytes"].value() == LIMIT
    assert 4 << 20 < page["bettong_python_memory_bytes"].value() < LIMIT
    refused = page["bettong_python_memory_refused_total"].value()
    limited.feed({"key": key, "s": "bytearray(100 << 20)"})
    page = parse(get_page(limited, "/metrics"))
    assert page["bettong_python_memory_refused_total"].value() == refused + 1


# -- the start ------------------------------------------------------------------------------


def check(launch: Launcher, app: str, limit: str, **environment: str) -> tuple[int, str]:
    path = launch.write_app(app)
    done = run_bettong(
        *("serve", path, "--resp-port", "0", "--http-port", "0", "--no-data"),
        *("--set", f"python.memory_limit={limit}"),
        environment=environment,
        timeout_s=30,
    )
    return done.returncode, done.stderr


def test_an_app_that_needs_more_to_be_imported(launch: Launcher) -> None:
    code, said = check(launch, "kept = bytearray(100 << 20)\n" + APP, "64mb")
    assert code != 0
    assert "app.py" in said
    assert "MemoryError" in said
    assert "python.memory_limit, 67108864 bytes" in said


def test_a_limit_that_python_itself_is_beyond(launch: Launcher) -> None:
    code, said = check(launch, APP, "1mb")
    assert code != 0
    assert re.search(r"memory_limit is 1048576 bytes, but Python holds \d+ before", said)


def test_no_limit(launch: Launcher) -> None:
    server = launch(APP, "--set", "python.memory_limit=0")
    server.feed({"key": "a", "s": "bytearray(100 << 20)"})
    assert server.redis().hget("thing:a", "n") == "1"
    page = parse(get_page(server, "/metrics"))
    assert page["bettong_python_memory_limit_bytes"].value() == 0


def test_the_default_is_half_of_the_memory(launch: Launcher) -> None:
    server = launch(APP)
    limit = parse(get_page(server, "/metrics"))["bettong_python_memory_limit_bytes"].value()
    shown = run_bettong("config", "show").stdout
    assert f"memory_limit = {limit:.0f} " in shown
    server.feed({"key": "a", "s": f"bytearray({limit:.0f})"})
    assert "python.memory_limit" in server.dead_letters()[0]["error"]


def test_with_malloc_for_everything(launch: Launcher) -> None:
    server = launch(APP, config=CONFIG, environment={"PYTHONMALLOC": "malloc"})
    server.feed(*({"key": "a", "s": BOMBS[bomb]} for bomb in ("ints", "blocks", "deep")))
    assert [letter["error"][:20] for letter in server.dead_letters()] == [
        "MemoryError: python."
    ] * 3
    assert held(server) < LIMIT / 2


def test_with_pythons_checking_allocators_there_is_no_limit(launch: Launcher) -> None:
    code, said = check(launch, APP, "64mb", PYTHONMALLOC="debug")
    assert code != 0
    assert "memory_limit cannot be kept with PYTHONMALLOC=debug" in said
    server = launch(APP, "--set", "python.memory_limit=0", environment={"PYTHONMALLOC": "debug"})
    server.feed({"key": "a"})
    assert server.redis().hget("thing:a", "n") == "1"
    assert "bettong_python_memory_bytes" not in parse(get_page(server, "/metrics"))
