"""The table the README starts with, worked out again from the records that ship."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, stdev

import pytest
from tabulate import tabulate

from fernoise_bench.results.analysis.comparisons import Comparison, against_supervised, predeclared
from fernoise_bench.results.analysis.grouping import Block
from fernoise_bench.results.analysis.view import Expected, View, oracle_knowledge, view_of
from fernoise_bench.results.records.record import Record
from fernoise_bench.results.statistics import pairs_needed

README = Path(__file__).parents[2] / "README.md"
TIMED_ON = "CPU, AVX512"  # what the README names: seconds of other machines do not count
PROTOCOLS = ("fer2013-real", "ferplus-sym")
LEVELS = (None, 0.4)  # theirs
HEADERS = [
    "method",
    "real noise: last epoch",
    "oracle",
    "memorised",
    "40 % symmetric: last epoch",
    "oracle",
    "memorised",
    "seconds a trial",
]


def chosen(records: list[Record], protocol: str, method: str) -> list[Record]:
    return [r for r in records if (r.protocol, r.method) == (protocol, method)]


def percent(records: list[Record], rule: str) -> list[float]:
    return [100 * record.scores[rule].headline for record in records]


def measured(records: list[Record]) -> list[str]:
    """The cells of one protocol: last epoch ± over seeds, oracle, memorised share of wrong labels."""
    last = percent(records, "last")
    shares = [record.audit_share("memorised", "predicted_wrong") for record in records]
    known = [100 * share for share in shares if share is not None]
    memorised = f"{fmean(known):.0f} %" if known else "–"
    return [f"{fmean(last):.2f} ± {stdev(last):.2f}", f"{fmean(percent(records, 'oracle')):.2f}", memorised]


def rows_of(records: list[Record]) -> list[list[str]]:
    """A row a method, best first, the best last epoch of each protocol in bold."""
    rows: list[list[str]] = []
    for method in {record.method for record in records}:
        groups = [chosen(records, protocol, method) for protocol in PROTOCOLS]
        timed = [record for group in groups for record in group if record.environment.device == TIMED_ON]
        seconds = fmean(record.status.seconds for record in timed)
        name = f"{method} †" if oracle_knowledge(groups[0]) else method
        rows.append([name, *measured(groups[0]), *measured(groups[1]), f"{seconds:.0f}"])
    for column in (4, 1):  # leaves the rows in the order of the first protocol
        rows.sort(key=lambda row: -float(row[column].split()[0].strip("*")))
        rows[0][column] = f"**{rows[0][column]}**"
    return rows


@pytest.fixture
def ships(reference: tuple[list[Record], list[str]]) -> list[Record]:
    """Every record that ships."""
    found, damaged = reference
    assert not damaged
    return found


@pytest.fixture
def records(ships: list[Record]) -> list[Record]:
    """Those of both protocols of the table."""
    return [record for record in ships if record.protocol in PROTOCOLS]


def test_the_table_is_what_the_records_that_ship_say(records: list[Record]) -> None:
    align = ["left", *["right"] * (len(HEADERS) - 1)]
    table = tabulate(rows_of(records), HEADERS, tablefmt="pipe", colalign=align, disable_numparse=True)
    assert f"\n\n{table}\n\n" in README.read_text(encoding="utf-8"), f"the README's table is now\n{table}"


def test_its_seeds_and_trials_are_those_that_ship(ships: list[Record], records: list[Record]) -> None:
    text = README.read_text(encoding="utf-8")
    seeds = len({record.identity.seed for record in records})
    assert f"± over {seeds} seeds" in text
    assert text.count(f"--seeds {seeds} --all-methods --method cocuring:no-relabel") == len(PROTOCOLS)
    assert f"These {len(records)} trials ship" in text
    assert f"ship {len(ships) - len(records)} trials of every action unit method" in text


def test_the_oracle_flatters_as_much_as_it_says(records: list[Record]) -> None:
    def gap(method: str) -> float:
        trials = chosen(records, "ferplus-sym", method)
        return fmean(percent(trials, "oracle")) - fmean(percent(trials, "last"))

    text = " ".join(README.read_text(encoding="utf-8").split())
    assert f"it flatters plain training by {gap('supervised'):.0f} points and Co-curing by less than one" in text
    assert 0 <= gap("cocuring") < 1


def view(records: list[Record], protocol: str) -> View:
    return view_of(Block(tuple(r for r in records if r.protocol == protocol)), Expected())


def against_the_ensemble(found: Comparison) -> tuple[str, str]:
    side = "ahead" if found.mean > 0 else "behind"
    seeds = f"({found.wins} of {len(found.differences)} seeds, p = {found.adjusted:.3f})"
    return f"{abs(100 * found.mean):.1f} points {side}", seeds


def test_what_it_says_of_the_comparisons(records: list[Record]) -> None:
    """Those with the ensemble as they came out; those with plain training where none could be significant."""
    text = " ".join(README.read_text(encoding="utf-8").split())
    families = [predeclared(view(records, protocol)) for protocol in PROTOCOLS]
    for name, (real, made) in zip(("Co-curing", "ULC-AG without its branch"), zip(*families, strict=True), strict=True):
        (much, real_seeds), (more, made_seeds) = against_the_ensemble(real), against_the_ensemble(made)
        assert f"{name} is {much} on real noise {real_seeds} and {more} under 40 % {made_seeds}" in text
    plain = [against_supervised(view(records, name), level) for name, level in zip(PROTOCOLS, LEVELS, strict=True)]
    seeds, family = {one.asked for each in plain for one in each.values()}, {len(each) for each in plain}
    assert not any(one.can_decide for each in plain for one in each.values())
    said = f"With plain training there are {family.pop()} comparisons, for which {seeds.pop()} seeds are too few"
    assert f"{said}: {pairs_needed(len(plain[0]))} could" in text
    assert not family
    assert not seeds
