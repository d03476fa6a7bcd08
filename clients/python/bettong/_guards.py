"""What a node changes in Python's own modules, so that user code cannot break it by accident."""

from __future__ import annotations

import _thread
import os
import sys

STACK_BYTES_PER_LEVEL = 8192
"""Of recursion, at most; as the native host has it."""

_set_recursion_limit = sys.setrecursionlimit
_close = os.close


def limit_recursion(levels: int) -> None:
    """Holds ``sys.setrecursionlimit`` to what the stack of the lane has room for.

    Beyond that, recursion would end the process instead of raising RecursionError. Threads that are
    started later get as much stack.
    """

    def setrecursionlimit(limit: int, /) -> None:
        """Sets the maximum depth of recursion, at most what the stack has room for."""
        if isinstance(limit, int) and limit > levels:
            print(
                f"sys.setrecursionlimit({limit}): the stack has room for {levels}, "
                "which is set instead",
                file=sys.stderr,
            )
            limit = levels
        _set_recursion_limit(limit)
        if limit * STACK_BYTES_PER_LEVEL > _thread.stack_size():
            _thread.stack_size(limit * STACK_BYTES_PER_LEVEL)

    sys.setrecursionlimit = setrecursionlimit


def keep_standard_streams() -> None:
    """Lets closed descriptors 0, 1 and 2 be /dev/null, as a daemon's should.

    Otherwise the next connection or file would get the number, and what is printed or logged would
    go there.
    """

    def close(fd: int) -> None:
        """Closes a file descriptor; 0, 1 and 2 lead to /dev/null from then on."""
        if fd not in (0, 1, 2):
            return _close(fd)
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(null, fd)
        _close(null)
        return None

    os.close = close
