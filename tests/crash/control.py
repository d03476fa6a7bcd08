"""How the driver stops and starts the threads of a load, over standard input and output.

Commands are lines, each answered by one: `drain` (come to rest: `drained`), `go` (`going`). The end
of input is the end of the process.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable


class Control:
    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.working = True
        self.idle: set[str] = set()

    def pause_point(self, name: str, come_to_rest: Callable[[], None]) -> None:
        """Called by a thread between two pieces of work; returns when there is work to do."""
        if self.working:
            return
        come_to_rest()
        with self.changed:
            while not self.working:
                self.idle.add(name)
                self.changed.notify_all()
                self.changed.wait()

    def serve(self, names: set[str]) -> None:
        print("ready", flush=True)
        for line in sys.stdin:
            if line.strip() == "drain":
                with self.changed:
                    self.working = False
                    self.changed.wait_for(lambda: names <= self.idle)
                print("drained", flush=True)
            elif line.strip() == "go":
                with self.changed:
                    self.working = True
                    self.idle.clear()
                    self.changed.notify_all()
                print("going", flush=True)
