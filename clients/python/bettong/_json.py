"""Events as JSON, outside of the node (inside, the native host writes them)."""

from __future__ import annotations

import json


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
