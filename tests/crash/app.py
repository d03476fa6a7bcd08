"""The app that is killed: every turn says what it did on `outs`, with the state it left.

Reads `events` (acknowledged), and `adds` and `lazy` (XADD by clients). A handler changes its
entity first and raises afterwards, so that a failed turn has something to take back.
"""

from bettong import App, Array, Event

MODULUS = (1 << 61) - 1
HOPS = 3

app = App("crash")


class Ev(Event):
    s: int  # the sender's number
    n: int  # the sender's count of events
    op: str
    key: str = ""
    to: str = ""
    q: int = 0  # the sender's count of events of this key
    amount: int = 0
    ttl: int = 0  # ms
    fail: bool = False
    pad: str = ""


class Transfer(Event):
    s: int
    n: int
    of: str
    to: str
    amount: int
    sent: int


class HopEvent(Event):
    s: int
    n: int
    key: str
    left: int


class Add(Event):
    w: int  # the writer's number
    n: int
    key: str


events = app.stream("events", Ev)
transfers = app.stream("transfers", Transfer)
hops = app.stream("hops", HopEvent)
adds = app.stream("adds", Add)
lazy = app.stream("lazy", Add)
outs = app.stream("outs")


def of(op):
    def keys(e):
        return [e.key] if e.op == op else []

    return keys


def tally_keys(e):
    if e.op != "tally":
        return []
    if e.fail:
        raise ValueError("no key, as told")
    return [e.key, e.to]


def mix(chain, s, n):
    """A digest of everything in its order."""
    return (chain * 31 + s * 1_000_003 + n) % MODULUS


def next_hop(key):
    return f"h{(int(key[1:]) * 7 + 3) % 32}"


class Ledger(app.Entity):
    count: int = 0
    chain: int = 0
    size: int = 0
    last: Array[int, 8]  # of each sender: the q of its last event

    @events.on(key=of("ledger"))
    def entry(self, e):
        was = self.last[e.s]
        self.count += 1
        self.chain = mix(self.chain, e.s, e.n)
        self.size += len(e.pad)
        self.last[e.s] = e.q
        outs.emit(
            k="ledger", key=self.key, s=e.s, n=e.n, q=e.q, was=was,
            count=self.count, chain=self.chain, pad=e.pad,
        )  # fmt: skip
        if e.fail:
            raise ValueError("told to fail")


class Account(app.Entity):
    balance: int = 0
    sent: int = 0
    received: int = 0

    @events.on(key=of("pay"))
    def pay(self, e):
        self.balance -= e.amount
        self.sent += 1
        transfers.emit(s=e.s, n=e.n, of=self.key, to=e.to, amount=e.amount, sent=self.sent)
        outs.emit(k="pay", key=self.key, s=e.s, n=e.n, count=self.sent, amount=e.amount)
        if e.fail:
            raise ValueError("told to fail")

    @transfers.on(key="to")
    def receive(self, t):
        self.balance += t.amount
        self.received += 1
        outs.emit(
            k="receipt", key=self.key, s=t.s, n=t.n, count=self.received,
            of=t.of, sent=t.sent, amount=t.amount,
        )  # fmt: skip


class Visit(app.Entity, ttl=0.4):
    count: int = 0
    renew: int = 0

    @events.on(key=of("visit"))
    def visit(self, e):
        self.count += 1
        self.renew = e.amount
        self.ttl = e.ttl / 1000
        outs.emit(
            k="visit", key=self.key, s=e.s, n=e.n, count=self.count,
            ttl=e.ttl, renew=e.amount, now=self.now,
        )  # fmt: skip
        if e.fail:
            raise ValueError("told to fail")

    @events.on(key=of("leave"))
    def leave(self, e):
        outs.emit(k="leave", key=self.key, s=e.s, n=e.n, count=self.count, now=self.now)
        self.delete()

    def on_expire(self):
        if self.renew > 0:
            self.renew -= 1
            self.touch()
            outs.emit(k="renew", key=self.key, count=self.count, renew=self.renew, now=self.now)
        else:
            outs.emit(k="gone", key=self.key, count=self.count, now=self.now)


class Tally(app.Entity):
    count: int = 0

    @events.on(key=tally_keys)
    def tally(self, e):
        self.count += 1
        outs.emit(k="tally", key=self.key, s=e.s, n=e.n, count=self.count)


class Hop(app.Entity):
    count: int = 0

    @events.on(key=of("hop"))
    def start(self, e):
        self.count += 1
        outs.emit(k="hop", key=self.key, s=e.s, n=e.n, count=self.count, left=HOPS)
        hops.emit(s=e.s, n=e.n, key=next_hop(self.key), left=HOPS - 1)
        if e.fail:
            raise ValueError("told to fail")

    @hops.on(key="key")
    def hop(self, h):
        self.count += 1
        outs.emit(k="hop", key=self.key, s=h.s, n=h.n, count=self.count, left=h.left)
        if h.left > 0:
            hops.emit(s=h.s, n=h.n, key=next_hop(self.key), left=h.left - 1)


class Adder(app.Entity):
    count: int = 0

    @adds.on(key="key")
    def add(self, a):
        self.count += 1
        outs.emit(k="add", key=self.key, w=a.w, n=a.n, count=self.count)


class Idler(app.Entity):
    count: int = 0

    @lazy.on(key="key")
    def add(self, a):
        self.count += 1
        outs.emit(k="lazy", key=self.key, w=a.w, n=a.n, count=self.count)


class Board(app.Entity):
    count: int = 0

    @app.command(create=True)
    def bump(self, w: int, n: int) -> int:
        self.count += 1
        outs.emit(k="bump", key=self.key, w=w, n=n, count=self.count)
        return self.count
