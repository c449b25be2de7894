"""What docs/your-data.md says of the worth of looking at labels is what docs/examples/worth_of_review.py measured."""

from __future__ import annotations

import csv
from pathlib import Path
from statistics import fmean, stdev

ROOT = Path(__file__).parents[2]
MEASURED = ROOT / "results" / "showcase" / "fer2013-review.csv"


def rows() -> list[dict[str, str]]:
    with MEASURED.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def seeds(row: dict[str, str]) -> list[float]:
    return [float(value) for name, value in row.items() if name.startswith("seed ")]


def table() -> str:
    """A line for each way to choose labels and number of labels looked at."""
    start = fmean(seeds(rows()[0]))
    lines = [
        "| looked at by | labels looked at | of these fixed | accuracy in % | points gained for 100 looked at |",
        "|---|---|---|---|---|",
    ]
    for row in rows():
        looked, values = int(row["labels looked at"]), seeds(row)
        gained = f"{(fmean(values) - start) / looked * 100:+.2f}".replace("-", "−") if looked else "–"
        accuracy = f"{fmean(values):.1f} ± {stdev(values):.1f}"
        lines.append(f"| {row['looked at by']} | {looked} | {row['labels fixed']} | {accuracy} | {gained} |")
    return "\n".join(lines)


def test_the_table_is_the_one_that_was_measured() -> None:
    assert table() in (ROOT / "docs" / "your-data.md").read_text(encoding="utf-8")


def test_more_labels_are_fixed_where_more_are_looked_at() -> None:
    """A table of another experiment, or one with rows mixed up, would not have it."""
    for one, other in zip(rows()[1:], rows()[2:], strict=False):
        if one["looked at by"] == other["looked at by"]:
            assert int(one["labels looked at"]) < int(other["labels looked at"])
            assert int(one["labels fixed"]) < int(other["labels fixed"])


def test_what_is_said_of_the_table() -> None:
    """About twice as many fixed as by chance; accuracies at the last number of labels within the seeds' spread."""
    most = max(int(row["labels looked at"]) for row in rows())
    last = {row["looked at by"]: row for row in rows() if int(row["labels looked at"]) == most}
    chance = int(last["at random"]["labels fixed"])
    for how, row in last.items():
        if how.endswith("in training"):
            assert 1.8 < int(row["labels fixed"]) / chance < 2.2
    means = [fmean(seeds(row)) for row in last.values()]
    assert max(means) - min(means) < max(stdev(seeds(row)) for row in last.values())
