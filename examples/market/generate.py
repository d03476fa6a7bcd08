"""Quotes and orders for market.py, the same for the same numbers: generate.py COUNT [SEED]"""

import json
import random
import sys
from collections.abc import Iterator
from typing import Any

START = 1_800_000_000_000
SYMBOLS = [f"S{n:02}" for n in range(50)]


def ticks(count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """One tick each 100 ms; a third are orders, and a tenth of the quotes come late."""
    chance = random.Random(seed)
    for n in range(count):
        tick: dict[str, Any] = {"symbol": chance.choice(SYMBOLS), "ts": START + 100 * n}
        if chance.random() < 1 / 3:
            tick |= {"order": f"o{n}", "quantity": chance.randint(1, 500)}
        else:
            bid = chance.randint(2_000, 50_000)
            tick |= {"bid": bid, "ask": bid + chance.randint(1, 700)}
            if chance.random() < 0.1:
                tick["ts"] -= chance.randint(1, 20_000)
        yield tick


if __name__ == "__main__":
    for tick in ticks(int(sys.argv[1]), *(int(seed) for seed in sys.argv[2:3])):
        print(json.dumps(tick))
