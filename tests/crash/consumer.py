"""A consumer of stream sinks: a bettong.Receiver that keeps every output in its store.

    python consumer.py 127.0.0.1:PORT STORE

Ends when its standard input does; it may as well be killed.
"""

from __future__ import annotations

import sys
import threading

import bettong

TABLE = """
CREATE TABLE IF NOT EXISTS outputs (
  id INTEGER PRIMARY KEY, sink TEXT, node TEXT, part INTEGER, sequence INTEGER, event BLOB
)
"""


def main() -> None:
    address, store = sys.argv[1:]
    with bettong.Receiver(address, store=store, raw=True, commit_after=0.05) as receiver:

        def wait() -> None:
            sys.stdin.read()
            receiver.close()

        receiver.connection.execute(TABLE)
        threading.Thread(target=wait, daemon=True).start()
        print("ready", flush=True)
        for output in receiver:
            receiver.connection.execute(
                "INSERT INTO outputs (sink, node, part, sequence, event) VALUES (?, ?, ?, ?, ?)",
                (output.sink, output.node, output.partition, output.sequence, output.event),
            )


if __name__ == "__main__":
    main()
