"""Makes JSON events of an auth.log's lines: python3 lines.py HOST < /var/log/auth.log

A line begins with the time as rsyslog writes it: RFC 3339 (Debian 12, Ubuntu 24.04), or the
traditional "Nov 29 07:00:00", which knows no year (the current one is taken, or the one before where
that would be in the future) and is in this machine's time zone. Other lines are told of and left out.
"""

import json
import sys
from datetime import datetime, timedelta


def time_of(line: str, now: datetime) -> int:
    """When a line was written, ms since the epoch; ValueError if it does not say."""
    word = line.split(" ", 1)[0]
    if word[:1].isdigit():
        return round(datetime.fromisoformat(word).timestamp() * 1000)
    # Parsed with the year: 29 February is none of 1900, strptime's own.
    at = datetime.strptime(f"{now.year} {line[:15]}", "%Y %b %d %H:%M:%S")
    if at > now + timedelta(days=1):
        at = at.replace(year=now.year - 1)
    return round(at.timestamp() * 1000)


def main() -> None:
    host = sys.argv[1]
    for line in sys.stdin:
        try:
            ts = time_of(line, datetime.now())
        except ValueError as error:
            print(f"lines: no time in {line!r}: {error}", file=sys.stderr)
            continue
        event = {"host": host, "ts": ts, "line": line.rstrip("\n")}
        print(json.dumps(event), flush=True)


if __name__ == "__main__":
    main()
