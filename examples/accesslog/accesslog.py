"""Reads a web server's access log: requests by page, and errors as they come.

Lines are the events, as JSON `{"line": ...}`. Functions make requests of them and pick out errors; what is
counted is counted by an entity for each page. A line that is none of an access log becomes a dead letter.

    jq -Rc '{line: .}' < access.log > lines.jsonl
    bettong run examples/accesslog/accesslog.py --stream lines --input lines.jsonl --output -

On a node that serves: `bettong tap errors`, and `redis-cli CALL page:/index.html summary`.
"""

import re
from datetime import datetime

from bettong import App, Event

app = App("accesslog")

# The combined format of Apache and nginx, as far as it is needed.
LINE = re.compile(
    r'(?P<address>\S+) \S+ \S+ \[(?P<time>[^]]+)\] "(?P<method>\S+) (?P<path>[^ ?"]+)[^"]*" '
    r"(?P<status>\d{3}) (?P<bytes>\d+|-)"
)


class Line(Event):
    line: str


class Request(Event, time="ts"):
    address: str
    ts: int
    method: str
    path: str
    status: int
    bytes: int


class Failure(Event):
    path: str
    status: int
    address: str


lines = app.stream("lines", Line)
requests = app.stream("requests", Request)
errors = app.stream("errors", Failure)


def request(e: Line) -> Request:
    found = LINE.match(e.line)
    if found is None:
        raise ValueError("not a line of an access log")
    at = datetime.strptime(found["time"], "%d/%b/%Y:%H:%M:%S %z")
    return Request(
        address=found["address"],
        ts=round(at.timestamp() * 1000),
        method=found["method"],
        path=found["path"],
        status=int(found["status"]),
        bytes=0 if found["bytes"] == "-" else int(found["bytes"]),
    )


def failed(e: Request) -> bool:
    return e.status >= 500


def failure(e: Request) -> Failure:
    return Failure(path=e.path, status=e.status, address=e.address)


by_path = (
    lines.filter(lambda e: e.line.strip()).map(request).to(requests).key_by("path")
)
requests.filter(failed).map(failure).to(errors)


class Page(app.Entity):
    requests: int
    errors: int
    bytes: int

    @by_path.on()
    def request(self, e: Request) -> None:
        self.requests += 1
        self.bytes += e.bytes
        if failed(e):
            self.errors += 1

    @app.command
    def summary(self) -> str:
        return f"{self.requests} requests, {self.errors} errors, {self.bytes} bytes"
