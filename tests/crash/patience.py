"""Deadlines that survive a machine that stands still.

A shared or virtual machine may stop for half a minute. Whoever wakes from that, and looks at the
clock, would find that the others took too long. So a deadline here is a number of short looks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

SLOWDOWN = float(os.environ.get("BETTONG_TEST_SLOWDOWN", "1"))
LOOK_S = 0.02


def wait_until(done: Callable[[], bool], seconds: float) -> bool:
    """Looks until it is done, for about `seconds` of a machine that runs; whether it is."""
    for _ in range(int(seconds * SLOWDOWN / LOOK_S)):
        if done():
            return True
        time.sleep(LOOK_S)
    return done()
