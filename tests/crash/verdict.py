"""What the oracle finds."""

from __future__ import annotations

from dataclasses import dataclass, field

KINDS = ("lost", "duplicated", "wrong")


@dataclass(frozen=True)
class Violation:
    kind: str  # one of KINDS
    what: str


@dataclass
class Verdict:
    violations: list[Violation] = field(default_factory=list)

    def lost(self, what: str) -> None:
        self.violations.append(Violation("lost", what))

    def duplicated(self, what: str) -> None:
        self.violations.append(Violation("duplicated", what))

    def wrong(self, what: str) -> None:
        self.violations.append(Violation("wrong", what))

    def equal(self, got: object, expected: object, what: str) -> None:
        if got != expected:
            self.wrong(f"{what}: {got!r} instead of {expected!r}")

    def counts(self) -> dict[str, int]:
        return {kind: sum(v.kind == kind for v in self.violations) for kind in KINDS}
