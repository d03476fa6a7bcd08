"""Checks orders against the market before they are sent: quotes and orders meet at their symbol.

An order is rejected

- "no quote": if there has been none of its symbol yet, or none for a minute of event time;
- "spread": if the symbol's quote is too wide: ask - bid is 5 % of the mid or more, or $0.05 or more.

Prices are whole hundredths of a cent, so that the sums are exact: $1 is 10,000. A quote older than the
one that is known is ignored. Quotes and orders share one stream, so that they are judged in the order
in which they were made: events of two streams have no order.

    python3 examples/market/generate.py 10000 > ticks.jsonl
    bettong run examples/market/market.py --input ticks.jsonl --output -
"""

from bettong import App, Event, seconds

WIDEST = 500  # $0.05
WIDEST_PERCENT = 5
QUOTE_LIFE_MS = 60_000

app = App("market")


class Tick(Event, time="ts"):
    """A quote if it has bid and ask, an order if it has an id."""

    symbol: str
    ts: int
    bid: int | None = None
    ask: int | None = None
    order: str | None = None
    quantity: int = 0


ticks = app.stream("ticks", Tick)
rejects = app.stream("rejects")


def too_wide(bid: int, ask: int) -> bool:
    """Whether ask - bid >= 5 % of (bid + ask) / 2, or >= $0.05."""
    spread = ask - bid
    return spread >= WIDEST or spread * 200 >= WIDEST_PERCENT * (bid + ask)


class Symbol(app.Entity, ttl=seconds(3600), clock="event"):
    bid: int = 0
    ask: int = 0
    quoted: int | None = None  # when

    @ticks.on(key="symbol")
    def tick(self, e: Tick) -> None:
        if e.order is not None:
            self.check(e, e.order)
        elif e.bid is None or e.ask is None or not 0 < e.bid <= e.ask:
            raise ValueError(f"neither an order nor a quote: bid {e.bid}, ask {e.ask}")
        elif self.quoted is None or e.ts >= self.quoted:
            self.bid, self.ask, self.quoted = e.bid, e.ask, e.ts

    def check(self, e: Tick, order: str) -> None:
        if self.quoted is None or e.ts - self.quoted > QUOTE_LIFE_MS:
            rejects.emit(order=order, symbol=self.key, ts=e.ts, reason="no quote")
        elif too_wide(self.bid, self.ask):
            rejects.emit(
                order=order,
                symbol=self.key,
                ts=e.ts,
                reason="spread",
                bid=self.bid,
                ask=self.ask,
            )
