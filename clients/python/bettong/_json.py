"""Events as JSON, outside of the node (inside, the native host writes them)."""

from __future__ import annotations

import json
import json.encoder
from collections.abc import Callable


def jsonable(value: object) -> object:
    """``value`` with events turned into dicts and bytes into text."""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    info = getattr(type(value), "__bettong_event__", None)
    if info is not None:
        return {
            field.name: jsonable(getattr(value, field.name)) for field in info.fields
        }
    return value


def to_json(value: object) -> str:
    """Compact JSON; NaN and infinity are refused."""
    return json.dumps(
        jsonable(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _jsonable_leaf(value: object) -> object:
    if isinstance(value, bytes) or hasattr(type(value), "__bettong_event__"):
        return jsonable(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


_encode_slowly = json.JSONEncoder(
    separators=(",", ":"),
    ensure_ascii=False,
    allow_nan=False,
    default=_jsonable_leaf,
).encode


def _make_encode() -> Callable[[object], str]:
    """JSONEncoder makes the encoder written in C anew for each value, which costs as much as using it."""
    make = getattr(json.encoder, "c_make_encoder", None)
    quote = getattr(json.encoder, "c_encode_basestring", None)
    if make is None or quote is None:  # another Python
        return _encode_slowly
    encoder = make(None, _jsonable_leaf, quote, None, ":", ",", False, False, False)
    join = "".join

    def encode(value: object) -> str:
        try:
            return join(encoder(value, 0))
        except RecursionError:
            raise ValueError(
                "an event that is nested too deeply, or in itself"
            ) from None

    return encode


_encode = _make_encode()


def encode_event(event: object) -> bytes:
    """What travels for an event: compact JSON of a dict or Event; bytes and str as they are."""
    if isinstance(event, dict) or hasattr(type(event), "__bettong_event__"):
        return _encode(event).encode()
    if isinstance(event, str):
        return event.encode()
    if isinstance(event, (bytes, bytearray, memoryview)):
        return bytes(event)
    raise TypeError(
        f"an event is a dict, an Event, bytes or str, not {type(event).__name__}"
    )
