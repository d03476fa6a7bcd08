"""A strict reader of Prometheus's text format 0.0.4: what it does not allow is an error here."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
TYPES = ("counter", "gauge", "histogram", "summary", "untyped")

Labels = tuple[tuple[str, str], ...]


@dataclass
class Family:
    name: str
    help: str
    type: str = ""
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)

    def value(self, suffix: str = "", **labels: str) -> float:
        """The one sample with these labels."""
        return self.samples[(self.name + suffix, tuple(labels.items()))]

    def total(self, suffix: str = "", **labels: str) -> float:
        """The sum of the samples that have these labels, and maybe others."""
        return sum(
            value
            for (name, theirs), value in self.samples.items()
            if name == self.name + suffix and set(labels.items()) <= set(theirs)
        )


def number(text: str) -> float:
    words = {"+Inf": math.inf, "-Inf": -math.inf, "NaN": math.nan}
    if text in words:
        return words[text]
    assert re.fullmatch(r"-?\d+(\.\d+)?(e[+-]\d+)?", text), f"not a number: {text}"
    return float(text)


def labels_of(text: str | None) -> Labels:
    pairs: list[tuple[str, str]] = []
    at = 0
    while text is not None and at < len(text):
        match = LABEL.match(text, at)
        assert match is not None, f"bad labels: {text}"
        pairs.append((match[1], re.sub(r"\\.", lambda m: ESCAPES[m[0]], match[2])))
        at = match.end()
        assert match[3] == "," if at < len(text) else match[3] == "", f"bad labels: {text}"
    names = [name for name, _ in pairs]
    assert len(set(names)) == len(names), f"a label twice: {text}"
    return tuple(pairs)


def check_histogram(family: Family) -> None:
    """Buckets of each series rise, in bounds and counts, up to +Inf, which is the count."""
    series: dict[Labels, list[tuple[float, float]]] = {}
    for (name, labels), value in family.samples.items():
        if name == family.name + "_bucket":
            assert labels[-1][0] == "le", labels
            series.setdefault(labels[:-1], []).append((number(labels[-1][1]), value))
    for labels, buckets in series.items():
        bounds, counts = zip(*buckets, strict=True)
        assert list(bounds) == sorted(set(bounds)), (family.name, labels)
        assert list(counts) == sorted(counts), (family.name, labels)
        assert bounds[-1] == math.inf
        assert counts[-1] == family.samples[(family.name + "_count", labels)]
        assert (family.name + "_sum", labels) in family.samples
    assert len(family.samples) == sum(len(buckets) + 2 for buckets in series.values())


def parse(text: str) -> dict[str, Family]:
    """The families of a page, by name."""
    families: dict[str, Family] = {}
    family: Family | None = None
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if match := re.fullmatch(rf"# HELP ({NAME}) (.+)", line):
            assert family is None or family.type, f"no TYPE: {family}"
            assert match[1] not in families, f"a family twice: {line}"
            family = families[match[1]] = Family(match[1], match[2])
        elif match := re.fullmatch(rf"# TYPE ({NAME}) (\w+)", line):
            assert family is not None, line
            assert family.name == match[1], line
            assert not family.type, line
            assert match[2] in TYPES, line
            family.type = match[2]
        else:
            match = SAMPLE.fullmatch(line)
            assert match is not None, f"not a line of the format: {line!r}"
            assert family is not None, line
            assert family.type, line
            suffixes = ("_bucket", "_sum", "_count") if family.type == "histogram" else ("",)
            assert match[1] in {family.name + suffix for suffix in suffixes}, line
            key = (match[1], labels_of(match[2]))
            assert key not in family.samples, f"a sample twice: {line}"
            family.samples[key] = number(match[3])
            if family.type != "gauge":
                assert family.samples[key] >= 0, line
    for one in families.values():
        # Conventions: counters, and they alone, are totals; times in seconds, sizes in bytes.
        assert (one.type == "counter") == one.name.endswith("_total"), one.name
        assert not re.search(r"_(ms|ns|us|kb|mb|percent)(_|$)", one.name), one.name
        if one.type == "histogram":
            check_histogram(one)
    return families
