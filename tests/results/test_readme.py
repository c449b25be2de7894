"""The table the README starts with, worked out again from the records that ship."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, stdev

import pytest
from tabulate import tabulate

from fernoise_bench.results import bundle
from fernoise_bench.results.records import Record
from fernoise_bench.results.shipped import shipped_records
from fernoise_bench.results.views import oracle_knowledge

README = Path(__file__).parents[2] / "README.md"
TIMED_ON = "CPU, AVX512"  # what the README names: seconds of other machines do not count
PROTOCOLS = ("fer2013-real", "ferplus-sym")


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


def measured(records: list[Record]) -> list[str]:
    """The cells of one protocol: last epoch ± over seeds, oracle, memorised share of wrong labels."""
    last = [100 * record.scores["last"].headline for record in records]
    oracle = fmean(100 * record.scores["oracle"].headline for record in records)
    audits = [record.epochs[-1]["audit"] for record in records]
    shares = [100 * audit["memorised"] / audit["predicted_wrong"] for audit in audits if "memorised" in audit]
    memorised = f"{fmean(shares):.0f} %" if shares else "–"
    return [f"{fmean(last):.2f} ± {stdev(last):.2f}", f"{oracle:.2f}", memorised]


def rows_of(records: list[Record]) -> dict[str, list[str]]:
    """Method -> its cells, the best last epoch of each protocol in bold."""
    methods = sorted({record.method for record in records if record.identity["protocol"]["name"] in PROTOCOLS})
    rows: dict[str, list[str]] = {}
    for method in methods:
        groups = [
            [r for r in records if (r.method, r.identity["protocol"]["name"]) == (method, protocol)]
            for protocol in PROTOCOLS
        ]
        timed = [record for group in groups for record in group if record.environment["device"] == TIMED_ON]
        seconds = fmean(record.status["seconds"] for record in timed)
        name = f"{method} †" if oracle_knowledge(groups[0]) else method
        rows[name] = [*measured(groups[0]), *measured(groups[1]), f"{seconds:.0f}"]
    for column in (0, 3):
        best = max(rows.values(), key=lambda cells: float(cells[column].split()[0]))
        best[column] = f"**{best[column]}**"
    return dict(sorted(rows.items(), key=lambda row: -float(row[1][0].strip("*").split()[0])))


@pytest.fixture(scope="module")
def ships(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """Every record that ships."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        found, damaged = shipped_records(Path(bundle.__file__).parent / "reference")
    assert not damaged
    return found


@pytest.fixture
def records(ships: list[Record]) -> list[Record]:
    """Those of both protocols of the table."""
    return [record for record in ships if record.identity["protocol"]["name"] in PROTOCOLS]


def test_the_table_is_what_the_records_that_ship_say(records: list[Record]) -> None:
    rows = [[method, *cells] for method, cells in rows_of(records).items()]
    align = ["left", *["right"] * (len(HEADERS) - 1)]
    table = tabulate(rows, HEADERS, tablefmt="pipe", colalign=align, disable_numparse=True)
    assert f"\n\n{table}\n\n" in README.read_text(encoding="utf-8"), f"the README's table is now\n{table}"


def test_its_seeds_and_trials_are_those_that_ship(ships: list[Record], records: list[Record]) -> None:
    text = README.read_text(encoding="utf-8")
    seeds = len({record.identity["seed"] for record in records})
    assert f"± over {seeds} seeds" in text
    assert text.count(f"--seeds {seeds} --all-methods --method cocuring:no-relabel") == len(PROTOCOLS)
    assert f"These {len(records)} trials ship" in text
    assert f"ship {len(ships) - len(records)} trials of every action unit method" in text


def test_the_oracle_flatters_as_much_as_it_says(records: list[Record]) -> None:
    def gap(method: str) -> float:
        chosen = [r for r in records if (r.identity["protocol"]["name"], r.method) == ("ferplus-sym", method)]
        return fmean(100 * (r.scores["oracle"].headline - r.scores["last"].headline) for r in chosen)

    text = " ".join(README.read_text(encoding="utf-8").split())
    assert f"it flatters plain training by {gap('supervised'):.0f} points and Co-curing by less than one" in text
    assert 0 <= gap("cocuring") < 1
