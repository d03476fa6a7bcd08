"""Count, sum and highest value of each metric, from columns of numpy."""

from bettong import App, Columns, Event

app = App("columns")


class Sample(Event, time="ts"):
    key: str
    ts: int
    metric: str
    value: float


events = app.stream("events", Sample)


class Metric(app.Entity):
    count: int
    sum: float
    max: float = float("-inf")

    @events.on(key="metric", columns=True)
    def sample(self, c: Columns[Sample]) -> None:
        self.count += len(c)
        self.sum += float(c.value.sum())
        self.max = max(self.max, float(c.value.max()))

    @app.command
    def read(self) -> list[float]:
        return [self.count, self.sum, self.max]
