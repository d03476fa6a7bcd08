"""What a program that uses redis-py does, printed as JSON: `client_session.py PORT PROTOCOL`.

Run as a process of its own, so that it can use another version of redis-py than the tests do. The
same session against a real Redis must print the same.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import redis

FAR_S = 33_177_117_420


def plain(value: Any) -> Any:
    """Tuples, sets and bytes in a form that JSON knows."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {str(plain(key)): plain(one) for key, one in value.items()}
    if isinstance(value, set):
        return sorted(plain(one) for one in value)
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def refused(action: Any) -> str:
    try:
        action()
    except redis.ResponseError as error:
        return f"{type(error).__name__}: {error}"
    return "not refused"


def session(port: int, protocol: int) -> dict[str, Any]:
    client: Any = redis.Redis(
        port=port, protocol=protocol, decode_responses=True, client_name="session"
    )
    seen: dict[str, Any] = {}
    seen["ping"] = client.ping()
    seen["name"] = client.client_getname()
    seen["set"] = [client.set("k", "v"), client.set("k", "w", nx=True), client.get("k")]
    seen["set get"] = client.set("k", "x", get=True)
    seen["missing"] = client.get("missing")
    seen["counters"] = [client.incr("n"), client.incr("n", 41), client.decr("n", 2)]
    seen["float"] = client.incrbyfloat("f", 1.5)
    seen["expire"] = [client.expireat("k", FAR_S), client.expiretime("k"), client.ttl("missing")]
    seen["flags"] = [client.expire("k", 5, nx=True), client.persist("k"), client.ttl("k")]
    seen["many"] = [client.mset({"{t}a": 1, "{t}b": 2}), client.mget("{t}a", "{t}b", "{t}c")]
    seen["hset"] = client.hset("h", mapping={"a": 1, "b": "two"})
    seen["hash"] = [client.hgetall("h"), client.hget("h", "a"), client.hmget("h", "a", "z")]
    seen["hash more"] = [client.hincrby("h", "a", 5), client.hexists("h", "b"), client.hlen("h")]
    seen["hash float"] = client.hincrbyfloat("h", "c", 0.5)
    seen["hash names"] = [sorted(client.hkeys("h")), sorted(client.hvals("h"))]
    seen["hscan"] = dict(client.hscan_iter("h"))
    seen["hdel"] = client.hdel("h", "a", "z")
    seen["xadd"] = client.xadd("s", {"f": "v"}, id="1-1")
    seen["xadd more"] = client.xadd("s", {"f": "w", "g": 1}, id="1-2", maxlen=10)
    seen["streams"] = [client.xlen("s"), client.xrange("s"), client.xrevrange("s", count=1)]
    seen["xread"] = client.xread({"s": "1-1"}, count=1, block=1_000)
    seen["keys"] = [sorted(client.keys("*")), client.dbsize(), client.exists("k", "h", "zz")]
    seen["scan"] = [sorted(client.scan_iter()), sorted(client.scan_iter(_type="hash"))]
    seen["type"] = [client.type(key) for key in ("k", "h", "s", "zz")]
    with client.pipeline(transaction=False) as pipe:
        pipe.set("p", 1).incr("p").get("p").hgetall("h").delete("p")
        seen["pipeline"] = pipe.execute()
    seen["wrong type"] = refused(lambda: client.hgetall("k"))
    seen["not a number"] = refused(lambda: client.incr("k"))
    seen["unknown"] = refused(lambda: client.execute_command("NOSUCH", "a"))
    with client.pubsub() as pubsub:
        pubsub.subscribe("news")
        pubsub.psubscribe("n*")
        seen["subscribed"] = [pubsub.get_message(timeout=10) for _ in range(2)]
        seen["receivers"] = client.publish("news", "hello")
        seen["messages"] = [pubsub.get_message(timeout=10) for _ in range(2)]
    seen["config"] = client.config_get("maxmemory*")["maxmemory-policy"]
    seen["select"] = client.execute_command("SELECT", 0)
    seen["flush"] = [client.delete("k", "zz"), client.unlink("h"), client.flushall()]
    seen["empty"] = client.dbsize()
    client.close()
    return {name: plain(value) for name, value in seen.items()}


if __name__ == "__main__":
    print(json.dumps(session(int(sys.argv[1]), int(sys.argv[2]))))
