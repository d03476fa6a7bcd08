"""Sends what /proc says about this machine as newline-delimited JSON, 5 times a second.

    python3 collector.py --connect 127.0.0.1:9000 --source web-01
    python3 collector.py --connect 127.0.0.1:9001   # to a source of kind tcp
    python3 collector.py                            # to standard output

One sample a line, of every CPU, the memory, the load, every disk and network interface, and
every process (not the kernel's own threads). Needs nothing but Python.

With --source the samples go to a source of kind bettong-stream, by bettong.Sender: each is an
event, kept until the node has acknowledged it, and processed exactly once. While the node is away
samples are taken until as many wait as the buffer holds. SIGTERM and Ctrl-C end it: it sends what
it has, and says how many samples were acknowledged.

Without, nothing is queued: while the receiver is slow or away, no samples are taken.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from bettong import Sender

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SECTOR_BYTES = 512  # the unit of /proc/diskstats, whatever the disk's own is

KERNEL_THREAD = 0x00200000  # PF_KTHREAD, a flag of a process

PROCESSES_MAX = 2000
STAT_BYTES_MAX = 1024
SEND_TIMEOUT_S = 5.0
BACK_OFF_FIRST_S = 0.1
BACK_OFF_MAX_S = 5.0
FLUSH_WITHIN_S = 10.0  # when told to end
SDK = Path(__file__).resolve().parents[2] / "clients" / "python"

# -- parsing -----------------------------------------------------------------------------


class CpuTimes(NamedTuple):
    """Ticks since boot."""

    total: int
    idle: int


class Traffic(NamedTuple):
    """Counters of a disk or network interface."""

    bytes_in: int
    bytes_out: int
    busy_ms: int = 0  # disks only


class ProcessStat(NamedTuple):
    name: str
    state: str
    flags: int
    ticks: int  # CPU time since its start
    started_ticks: int  # since boot
    rss_bytes: int


def parse_cpus(stat: str) -> dict[str, CpuTimes]:
    """/proc/stat: cpu0, cpu1, ...; without the sum over all."""
    cpus = {}
    for line in stat.splitlines():
        if not line.startswith("cpu"):
            break
        name, *fields = line.split()
        if name != "cpu":
            # user nice system idle iowait irq softirq steal; what follows is in user, nice.
            ticks = [int(field) for field in fields[:8]]
            cpus[name] = CpuTimes(sum(ticks), ticks[3] + ticks[4])
    return cpus


def parse_memory(meminfo: str) -> tuple[int, int]:
    """/proc/meminfo: total and available bytes."""
    kilobytes = {}
    for line in meminfo.splitlines()[:5]:
        name, _, value = line.partition(":")
        kilobytes[name] = int(value.split()[0])
    available = kilobytes.get("MemAvailable", kilobytes["MemFree"])
    return kilobytes["MemTotal"] * 1024, available * 1024


def parse_load(loadavg: str) -> float:
    """/proc/loadavg: the mean number of runnable processes, over a minute."""
    return float(loadavg.split(maxsplit=1)[0])


def parse_disks(diskstats: str) -> dict[str, Traffic]:
    """/proc/diskstats: disks and partitions that were ever used; no loop or RAM devices."""
    disks = {}
    for line in diskstats.splitlines():
        fields = line.split()
        name, read, written, busy_ms = fields[2], fields[5], fields[9], fields[12]
        if name.startswith(("loop", "ram", "zram")) or (read == "0" and written == "0"):
            continue
        disks[name] = Traffic(
            int(read) * SECTOR_BYTES, int(written) * SECTOR_BYTES, int(busy_ms)
        )
    return disks


def parse_networks(net_dev: str) -> dict[str, Traffic]:
    """/proc/net/dev: interfaces that ever received or sent anything."""
    networks = {}
    for line in net_dev.splitlines()[2:]:
        name, _, counters = line.partition(":")
        fields = counters.split()
        if fields[0] != "0" or fields[8] != "0":
            networks[name.strip()] = Traffic(int(fields[0]), int(fields[8]))
    return networks


def parse_process(stat: bytes) -> ProcessStat:
    """/proc/PID/stat. The name may hold blanks and parentheses: it ends at the last one."""
    head, _, tail = stat.rpartition(b") ")
    name = head.partition(b"(")[2].decode("utf-8", "replace")
    fields = tail.split()
    return ProcessStat(
        name,
        fields[0].decode(),
        int(fields[6]),
        int(fields[11]) + int(fields[12]),
        int(fields[19]),
        int(fields[21]) * PAGE_BYTES,
    )


# -- sampling ----------------------------------------------------------------------------


class Process:
    """A process being watched. The open file is of this very process, not of its pid."""

    __slots__ = ("fd", "name", "quoted_name", "started_ms", "ticks")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.name = ""
        self.quoted_name = ""
        self.started_ms = 0
        self.ticks = -1  # not read yet


class Collector:
    """Reads /proc; rates are those since the sample before."""

    def __init__(
        self,
        proc: Path = Path("/proc"),
        sys_block: Path = Path("/sys/block"),
        boot_ms: int | None = None,
    ) -> None:
        self._proc = str(proc)
        self._sys_block = sys_block
        self._processes: dict[int, Process] = {}
        self._ignored: set[int] = set()  # kernel threads; what we may not read
        self._crowded = False
        self._is_disk: dict[str, bool] = {}
        self._cpus: dict[str, CpuTimes] = {}
        self._traffic: dict[str, Traffic] = {}
        self._before_s: float | None = None
        # Ticks since boot become wall time. One offset for all, so that it never wavers.
        boot_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        self._boot_ms = round(boot_s * 1000) if boot_ms is None else boot_ms
        # A process costs a file descriptor.
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if limit == resource.RLIM_INFINITY:
            limit = PROCESSES_MAX + 64
        self._processes_max = max(16, min(PROCESSES_MAX, limit - 64))

    def sample(self, now_ms: int, clock_s: float) -> bytes:
        """One line for each thing; nothing at the first call, which only sets the marks."""
        elapsed_s = 0.0 if self._before_s is None else clock_s - self._before_s
        self._before_s = clock_s
        first = elapsed_s <= 0
        lines = [*self._cpu_lines(now_ms), *self._level_lines(now_ms)]
        lines += self._traffic_lines(now_ms, elapsed_s)
        lines += self._process_lines(now_ms, elapsed_s)
        return b"" if first else "".join(lines).encode()

    def close(self) -> None:
        for process in self._processes.values():
            os.close(process.fd)
        self._processes.clear()

    def _read(self, name: str) -> str:
        with open(f"{self._proc}/{name}", encoding="ascii", errors="replace") as file:
            return file.read()

    def _cpu_lines(self, now_ms: int) -> Iterator[str]:
        cpus = parse_cpus(self._read("stat"))
        for name, times in cpus.items():
            before = self._cpus.get(name, CpuTimes(0, 0))
            total = times.total - before.total
            busy = total - max(0, times.idle - before.idle)
            value = 100 * max(0, busy) / total if total > 0 else 0.0
            yield _line(now_ms, "cpu", name, value)
        self._cpus = cpus

    def _level_lines(self, now_ms: int) -> Iterator[str]:
        total, available = parse_memory(self._read("meminfo"))
        yield _line(now_ms, "memory", "memory", 100 * (total - available) / total)
        load = parse_load(self._read("loadavg"))
        yield _line(now_ms, "load", "load", load, ',"unit":"processes"')

    def _traffic_lines(self, now_ms: int, elapsed_s: float) -> Iterator[str]:
        disks = {
            name: traffic
            for name, traffic in parse_disks(self._read("diskstats")).items()
            if self._whole_disk(name)
        }
        networks = parse_networks(self._read("net/dev"))
        for kind, counters in (("disk", disks), ("network", networks)):
            for name, now in counters.items():
                before = self._traffic.get(name, now)
                self._traffic[name] = now
                if elapsed_s <= 0:
                    continue
                incoming = max(0, now.bytes_in - before.bytes_in) / elapsed_s
                outgoing = max(0, now.bytes_out - before.bytes_out) / elapsed_s
                rates = f',"incoming":{incoming:.1f},"outgoing":{outgoing:.1f}'
                if kind == "disk":
                    busy = max(0, now.busy_ms - before.busy_ms) / elapsed_s / 10
                    yield _line(now_ms, kind, name, min(100.0, busy), rates)
                else:
                    value = incoming + outgoing
                    yield _line(now_ms, kind, name, value, f',"unit":"B/s"{rates}')
        for name in self._traffic.keys() - disks.keys() - networks.keys():
            del self._traffic[name]

    def _whole_disk(self, name: str) -> bool:
        known = self._is_disk.get(name)
        if known is None:
            known = self._is_disk[name] = (
                self._sys_block / name.replace("/", "!")
            ).exists()
        return known

    def _process_lines(self, now_ms: int, elapsed_s: float) -> Iterator[str]:
        self._find_processes()
        for pid, process in list(self._processes.items()):
            try:
                stat = parse_process(os.pread(process.fd, STAT_BYTES_MAX, 0))
            except ProcessLookupError:
                self._forget(pid)
                continue
            if stat.flags & KERNEL_THREAD:
                self._ignored.add(pid)
                self._forget(pid)
                continue
            if (
                stat.state in "ZX"
            ):  # ended; its parent has not asked for its exit code yet
                continue
            before = process.ticks
            if before < 0:
                process.started_ms = (
                    self._boot_ms + stat.started_ticks * 1000 // TICKS_PER_SECOND
                )
                # Since the last sample it can have used all it has ever used, if it is new.
                is_new = process.started_ms > now_ms - elapsed_s * 1000 - 50
                before = 0 if is_new else stat.ticks
            process.ticks = stat.ticks
            if process.name != stat.name:
                process.name, process.quoted_name = stat.name, json.dumps(stat.name)
            if elapsed_s > 0:
                cpu = 100 * (stat.ticks - before) / TICKS_PER_SECOND / elapsed_s
                yield (
                    f'{{"ts":{now_ms},"kind":"process","name":{process.quoted_name},'
                    f'"value":{cpu:.1f},"pid":{pid},"started":{process.started_ms},'
                    f'"rss":{stat.rss_bytes}}}\n'
                )

    def _find_processes(self) -> None:
        pids = {int(name) for name in os.listdir(self._proc) if name.isdigit()}
        self._ignored &= pids
        crowded = False
        for pid in pids - self._processes.keys() - self._ignored:
            if len(self._processes) >= self._processes_max:
                crowded = True
                break
            try:
                fd = os.open(f"{self._proc}/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
            except PermissionError:
                self._ignored.add(pid)
            except (FileNotFoundError, ProcessLookupError):
                pass  # already gone
            else:
                self._processes[pid] = Process(fd)
        if crowded and not self._crowded:
            say(f"more than {self._processes_max} processes: some are left out")
        self._crowded = crowded

    def _forget(self, pid: int) -> None:
        os.close(self._processes.pop(pid).fd)


def _line(now_ms: int, kind: str, name: str, value: float, more: str = "") -> str:
    quoted = json.dumps(name)
    return (
        f'{{"ts":{now_ms},"kind":"{kind}","name":{quoted},"value":{value:.1f}{more}}}\n'
    )


# -- sending -----------------------------------------------------------------------------


def say(text: str) -> None:
    print(f"collector: {text}", file=sys.stderr, flush=True)


class Uplink(Protocol):
    """Where samples go, other than to standard output."""

    def connect(self) -> None:
        """Returns when there is a connection."""

    def send(self, data: bytes) -> bool: ...

    def close(self) -> None: ...


class AcknowledgedLink:
    """A Sender: what it has taken arrives, once, as long as this process lives."""

    def __init__(self, sender: Sender, *, flush_s: float = FLUSH_WITHIN_S) -> None:
        self._sender = sender
        self._flush_s = flush_s
        self._before: int | None = None  # the last id that is not ours

    def connect(self) -> None:
        """Only at the start: ids go on from what the node knows. Later the Sender keeps samples."""
        if self._before is None:
            self._sender.connect()
            self._before = self._sender.durable

    def send(self, data: bytes) -> bool:
        """Each line is an event; waits while the buffer is full."""
        for line in data.splitlines():
            self._sender.send(line)
        return True

    def close(self) -> None:
        """Says how many samples were acknowledged; ids have no gaps."""
        try:
            self._sender.close(self._flush_s)
        finally:
            if self._before is not None:
                left = self._sender.pending
                but = f", {left} not" if left else ""
                say(f"{self._sender.durable - self._before} samples acknowledged{but}")


def make_sender(address: tuple[str, int], source: str, token: str) -> Sender:
    try:
        import bettong
    except ImportError:  # not installed: the repository's
        sys.path.insert(0, str(SDK))
        import bettong
    host, port = address
    name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return bettong.Sender(name, source, token=token)


class Link:
    """One TCP connection, made anew when it breaks, ever more patiently."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        sleep: Callable[[float], None] = time.sleep,
        timeout_s: float = SEND_TIMEOUT_S,
    ) -> None:
        self._address = (host, port)
        self._sleep = sleep
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._back_off_s = BACK_OFF_FIRST_S
        self._told = ""

    def connect(self) -> None:
        """Returns when there is a connection."""
        while self._socket is None:
            try:
                connection = socket.create_connection(self._address, self._timeout_s)
            except OSError as error:
                self._wait(f"cannot connect to {self._name()}: {_reason(error)}")
            else:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._socket = connection
                self._tell(f"connected to {self._name()}")

    def send(self, data: bytes) -> bool:
        """Sends all of it; False if the connection broke: what was not received is lost."""
        assert self._socket is not None, "connect() first"
        try:
            self._socket.sendall(data)
        except OSError as error:
            self.close()
            self._wait(f"lost {self._name()}: {_reason(error)}")
            return False
        self._back_off_s = BACK_OFF_FIRST_S
        return True

    def close(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
            self._socket = None

    def _wait(self, trouble: str) -> None:
        self._tell(f"{trouble}; trying again")
        # Not all at once, should many have been cut off at the same moment.
        self._sleep(self._back_off_s * random.uniform(0.8, 1.2))
        self._back_off_s = min(2 * self._back_off_s, BACK_OFF_MAX_S)

    def _tell(self, text: str) -> None:
        if text != self._told:
            say(text)
        self._told = text

    def _name(self) -> str:
        return f"{self._address[0]}:{self._address[1]}"


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


# -- the program -------------------------------------------------------------------------


def parse_address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"not HOST:PORT: {text!r}")
    return host.strip("[]") or "127.0.0.1", int(port)


def parse_interval(text: str) -> float:
    interval_s = float(text)
    if not 0.01 <= interval_s <= 60:
        raise argparse.ArgumentTypeError("an interval is 0.01 to 60 seconds")
    return interval_s


def run(link: Uplink | None, interval_s: float) -> None:
    collector = Collector()
    due_s = time.monotonic()
    while True:
        if link is not None:
            link.connect()
        data = collector.sample(time.time_ns() // 1_000_000, time.monotonic())
        if link is None:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        elif data:
            link.send(data)
        # The grid of sampling times stays; those that were missed are left out.
        now_s = time.monotonic()
        due_s += interval_s * max(1, -(-(now_s - due_s) // interval_s))
        time.sleep(max(0.0, due_s - now_s))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--connect",
        type=parse_address,
        metavar="HOST:PORT",
        help="where to send the samples; without it, to standard output",
    )
    parser.add_argument(
        "--interval",
        type=parse_interval,
        default=0.2,
        metavar="SECONDS",
        help="time between samples (default: 0.2)",
    )
    parser.add_argument(
        "--source",
        metavar="NAME",
        help="who sends, to a source of kind bettong-stream: exactly once (default: plain TCP)",
    )
    parser.add_argument(
        "--token",
        default="",
        help="what a source of kind bettong-stream asks for (default: nothing)",
    )
    arguments = parser.parse_args()
    if arguments.source is not None and arguments.connect is None:
        parser.error("--source needs --connect")
    if arguments.source == "":
        parser.error("--source needs a name")
    link: Uplink | None = None
    refused: tuple[type[Exception], ...] = ()
    if arguments.source is not None:
        logging.basicConfig(format="collector: %(message)s")
        sender = make_sender(arguments.connect, arguments.source, arguments.token)
        link = AcknowledgedLink(sender)
        from bettong import StreamError

        refused = (StreamError,)
        # Told to end it still sends what it has.
        signal.signal(signal.SIGTERM, _on_signal)
    elif arguments.connect is not None:
        link = Link(*arguments.connect)
    try:
        try:
            run(link, arguments.interval)
        finally:
            if link is not None:
                link.close()
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Whoever read our output has had enough; keep Python from flushing into the void.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except refused as error:
        say(str(error))
        return 1
    return 0


def _on_signal(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
