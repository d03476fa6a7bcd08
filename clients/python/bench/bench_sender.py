"""How many events a second Sender takes to durable, and what CPU that costs its process.

    python clients/python/bench/bench_sender.py [--events N] [--size BYTES]

The node is another process, which reads in large pieces and acknowledges each without looking at
the frames (all are of one size): what is measured is the Sender. Three kinds of events: bytes that
are ready, the same from 4 threads, and dicts, which become JSON. The CPU seconds are those of both, the
threads that send and the Sender's own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bettong import Sender
from bettong import _wire as wire

FOREVER = (1 << 64) - 1


def sink(listener: socket.socket, frame_bytes: int) -> None:
    """A node that only counts bytes."""
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            head = connection.recv(4, socket.MSG_WAITALL)
            if len(head) < 4:
                continue
            connection.recv(int.from_bytes(head, "little"), socket.MSG_WAITALL)
            connection.sendall(wire.welcome(0, FOREVER))
            buffer = bytearray(1 << 20)
            total = 0
            while size := connection.recv_into(buffer):
                total += size
                connection.sendall(wire.ack(total // frame_bytes, FOREVER))


def measure(
    name: str, address: str, events: int, run: Callable[[Sender], None]
) -> None:
    with Sender(address, source=name) as sender:
        sender.connect(10)
        cpu, clock = time.process_time(), time.perf_counter()
        run(sender)
        if not sender.flush(60) or sender.durable != events:
            raise SystemExit(f"{name}: {sender.durable} of {events} are durable")
        cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    print(
        f"{name:<22} {events / clock:>12,.0f} events/s   "
        f"{cpu / events * 1e6:.2f} CPU s per million"
    )


def with_threads(
    count: int, events: int, send: Callable[[Sender, int], None]
) -> Callable[[Sender], None]:
    def run(sender: Sender) -> None:
        threads = [
            threading.Thread(target=send, args=(sender, events // count))
            for _ in range(count)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=100, help="bytes of an event")
    given = parser.parse_args()
    events = given.events // 4 * 4
    sample = {"host": "web-01", "kind": "cpu", "value": 93.5, "ts": 1795427730123}
    encoded = len(json.dumps(sample, separators=(",", ":")))

    def send_bytes(sender: Sender, count: int) -> None:
        event = bytes(given.size)
        send = sender.send
        for _ in range(count):
            send(event)

    def send_dicts(sender: Sender, count: int) -> None:
        send = sender.send
        for _ in range(count):
            send(sample)

    for name, size, run in (
        (f"bytes of {given.size}", given.size, lambda s: send_bytes(s, events)),
        ("the same, 4 threads", given.size, with_threads(4, events, send_bytes)),
        (f"dicts ({encoded} as JSON)", encoded, lambda s: send_dicts(s, events)),
    ):
        listener = socket.create_server(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        node = multiprocessing.Process(
            target=sink, args=(listener, size + wire.MSG_OVERHEAD_BYTES), daemon=True
        )
        node.start()
        listener.close()
        measure(name, address, events, run)
        node.terminate()
        node.join()


if __name__ == "__main__":
    main()
