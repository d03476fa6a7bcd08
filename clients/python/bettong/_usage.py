"""Which fields of its event a handler reads, found in its bytecode.

The host makes Python objects only for fields that a handler can see. A field is skipped only where it
is certain: the event is used for nothing but reading fields by name, so it never leaves the function.
"""

from __future__ import annotations

import dis
import types
from collections.abc import Iterable

from bettong.event import event_info

ALL = (1 << 64) - 1
# Names through which a function could see its own variables.
_REFLECTION = frozenset(
    {"locals", "vars", "eval", "exec", "dir", "breakpoint", "_getframe"}
)


def sets_timers(functions: Iterable[object]) -> bool:
    """Whether one of these methods, or a function within it, says ``.after`` or ``.at``."""
    codes = [f.__code__ for f in functions if isinstance(f, types.FunctionType)]
    while codes:
        code = codes.pop()
        if {"after", "at"} & set(code.co_names):
            return True
        codes += [each for each in code.co_consts if isinstance(each, types.CodeType)]
    return False


def does_nothing(function: object) -> bool:
    """Whether it is a function without a body: a docstring, ``...`` or ``pass`` is none."""
    if not isinstance(function, types.FunctionType):
        return False
    code = function.__code__
    steps = [(i.opname, i.argval) for i in dis.get_instructions(code)]
    return steps == [("RESUME", 0), ("LOAD_CONST", None), ("RETURN_VALUE", None)]


def fields_read(function: object, event: type | None, position: int = 1) -> int:
    """A bit for each field of the event class that the handler may read; ALL when in doubt.

    ``position``: of the event among its arguments; behind self in a method.
    """
    if event is None or not isinstance(function, types.FunctionType):
        return ALL
    code = function.__code__
    if code.co_argcount <= position or _REFLECTION & set(code.co_names):
        return ALL
    variable = code.co_varnames[position]
    if variable in code.co_cellvars:
        return ALL
    info = event_info(event)
    bits = 0
    instructions = [
        i for i in dis.get_instructions(code) if i.opname not in ("CACHE", "NOP")
    ]
    for at, instruction in enumerate(instructions):
        if instruction.argval != variable or "FAST" not in instruction.opname:
            continue
        following = instructions[at + 1]
        if instruction.opname != "LOAD_FAST" or following.opname != "LOAD_ATTR":
            return ALL
        index = info.index(following.argval)
        if index is None:  # a method or property may look at anything
            return ALL
        bits |= 1 << index
    return bits
