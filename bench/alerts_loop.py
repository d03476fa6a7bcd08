"""The plain Python peer of examples/alerts: one loop over the file, orjson, lists in a dict.

python bench/alerts_loop.py EVENTS OUTPUT
"""

from __future__ import annotations

import sys

from orjson import loads

TTL, WINDOW, MINUTE, PANES = 600_000, 300_000, 60_000, 5


def main() -> None:
    # State: last, window, n, sum, top, alerted, minute, alerted minute, panes of n, sum, top.
    state: dict[str, list] = {}
    with open(sys.argv[1], "rb") as events, open(sys.argv[2], "w") as output:
        for line in events:
            event = loads(line)
            key, ts = event["key"], event["ts"]
            value = int(event["value"] * 10 + 0.5)
            s = state.get(key)
            if s is None or ts - s[0] > TTL:
                s = [
                    0,
                    -1,
                    0,
                    0,
                    0,
                    False,
                    -1,
                    -1,
                    [0] * PANES,
                    [0] * PANES,
                    [0] * PANES,
                ]
                state[key] = s
            s[0] = ts
            window = ts - ts % WINDOW
            if window != s[1]:
                s[1:6] = [window, 0, 0, 0, False]
            s[2] += 1
            s[3] += value
            if value > s[4]:  # noqa: PLR1730 (max() is slower)
                s[4] = value
            minute = ts // MINUTE
            counts, sums, tops = s[8], s[9], s[10]
            if minute != s[6]:
                for skipped in range(max(s[6] + 1, minute - PANES + 1), minute + 1):
                    pane = skipped % PANES
                    counts[pane] = sums[pane] = tops[pane] = 0
                s[6] = minute
            pane = minute % PANES
            counts[pane] += 1
            sums[pane] += value
            if value > tops[pane]:  # noqa: PLR1730
                tops[pane] = value
            text = '{"key":"%s","t":"%s","w":%d,"ts":%d,"n":%d,"sum":%d,"max":%d}\n'
            if not s[5] and s[2] >= 10 and s[3] > 700 * s[2]:
                s[5] = True
                output.write(text % (key, "T", window, ts, s[2], s[3], s[4]))
            if s[7] != minute:
                n = sum(counts)
                if n >= 10 and (total := sum(sums)) > 700 * n:
                    s[7] = minute
                    first = (minute - PANES + 1) * MINUTE
                    output.write(text % (key, "S", first, ts, n, total, max(tops)))


main()
