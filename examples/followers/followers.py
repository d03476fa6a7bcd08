"""A graph from files of edges, and a report on it: a batch job as a stream.

An edge says who follows whom. The entity of each user holds both sides of its edges, so that who follows
each other is known there without asking any other entity. The line `{"report": true}` behind the edges
has every user tell what it has.

    cat examples/followers/edges.jsonl > all.jsonl; echo '{"report": true}' >> all.jsonl
    bettong run examples/followers/followers.py --stream lines --input all.jsonl --output -
"""

from bettong import App, Event, Set

ALL = "all"

app = App("followers")


class Line(Event):
    """An edge, or the signal to report."""

    follower: str = ""
    followed: str = ""
    report: bool = False


class Report(Event):
    user: str


lines = app.stream("lines", Line)
reports = app.stream("reports", Report)
out = app.stream("out")


def ends(e: Line) -> list[str]:
    """The users of an edge; nobody follows themselves."""
    if e.report or e.follower == e.followed:
        return []
    return [e.follower, e.followed]


def everybody(e: Line) -> list[str]:
    return [ALL] if ends(e) or e.report else []


class Graph(app.Entity):
    """The only one knows who there is; up to 1,048,576 users."""

    members: Set[str]

    @lines.on(key=everybody)
    def line(self, e: Line) -> None:
        if e.report:
            for user in self.members:
                reports.emit(Report(user=user))
        else:
            self.members.update(ends(e))


class User(app.Entity):
    followers: Set[str]
    following: Set[str]

    @lines.on(key=ends)
    def edge(self, e: Line) -> None:
        if e.follower == self.key:
            self.following.add(e.followed)
        else:
            self.followers.add(e.follower)

    @reports.on(key="user")
    def report(self, e: Report) -> None:
        out.emit(
            user=self.key,
            followers=len(self.followers),
            following=len(self.following),
            mutual=sorted(self.followers & self.following),
        )

    @app.command
    def mutual(self) -> list[str]:
        """Who follows each other, on a node that serves: `CALL user:ann mutual`."""
        return sorted(self.followers & self.following)
