"""Counts words: an entity per word. One line of text goes to as many entities as it has words.

    echo '{"text": "to be or not to be"}' | bettong run wordcount.py --input - --output -

Then, on a node that serves: `redis-cli HGETALL word:be`.
"""

import re

from bettong import App, Event

app = App("wordcount")

WORD = re.compile(r"\w+")


class Line(Event):
    text: str


class Count(Event):
    word: str
    count: int


lines = app.stream("lines", Line)
counts = app.stream("counts", Count)


def words(line: Line) -> list[str]:
    """The keys of a line: each of its words, as often as it occurs."""
    return WORD.findall(line.text.lower())


class Word(app.Entity):
    count: int = 0

    @lines.on(key=words)
    def seen(self, line: Line) -> None:
        self.count += 1
        counts.emit(Count(word=self.key, count=self.count))

    @app.command
    def reset(self) -> int:
        """Starts again from zero; answers what the count was."""
        count, self.count = self.count, 0
        return count
