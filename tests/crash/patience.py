"""Deadlines that survive a machine that stands still.

A shared or virtual machine may stop for half a minute, or one of its processors may: its timers and
the answers of its disk then come late, until somebody gives that processor work. Whoever looks at
the clock after that would find that the others took too long. So a deadline here is a number of
short looks, and now and then a child process, which the kernel puts on the idlest processor.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable

SLOWDOWN = float(os.environ.get("BETTONG_TEST_SLOWDOWN", "1"))
LOOK_S = 0.02
LOOKS_BETWEEN_CHILDREN = 25


def wait_until(done: Callable[[], bool], seconds: float) -> bool:
    """Looks until it is done, for about `seconds` of a machine that runs; whether it is."""
    for look in range(int(seconds * SLOWDOWN / LOOK_S)):
        if done():
            return True
        if look % LOOKS_BETWEEN_CHILDREN == LOOKS_BETWEEN_CHILDREN - 1:
            subprocess.run(["true"], check=True)
        time.sleep(LOOK_S)
    return done()
