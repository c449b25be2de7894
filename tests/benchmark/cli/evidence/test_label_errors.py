"""`label-errors` reads what trials keep of their training rows and the reference labels of their protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from fernoise_bench.benchmark.cli import main
from fernoise_bench.protocols.catalog import find
from fernoise_bench.protocols.loading import open_data
from fernoise_bench.protocols.rows import Rows
from fernoise_bench.results import label_errors as le
from fernoise_bench.results.analysis.stored_findings import read_findings
from fernoise_bench.results.label_errors import cleanlab_scores
from fernoise_bench.results.records.training_scores import SUSPICIONS, TrainingScores, write_training_scores

from ....results.fabricate import Trial, fabricate

PROTOCOL, LEVEL = "ferplus-sym", 0.4
RUNS = Path("runs")


def ran(*more: str) -> Result:
    return CliRunner().invoke(main, ["label-errors", PROTOCOL, "--runs", str(RUNS), *more])


def tables_of(done: Result) -> list[dict[str, Any]]:
    """The tables printed as JSON, their rows by column: the text of what names a row, else the number."""
    found = json.loads(done.stdout)
    for table in found:
        table["rows"] = [
            {
                name: cell["text"] if cell["value"] is None else cell["value"]
                for name, cell in zip(table["columns"], row, strict=True)
            }
            for row in table["rows"]
        ]
    return found


@pytest.fixture(scope="module")
def cells() -> Mapping[int, Rows]:
    """The training rows of two seeds, generated faces at the smoke profile."""
    data = open_data(find(PROTOCOL), "smoke", "generated", Path("nowhere"))
    return {seed: data.cell(None, LEVEL, seed).train for seed in (0, 1)}


def scores_of(rows: Rows, skill: float, *, weights: bool = False) -> TrainingScores:
    """Suspicions that are higher for wrong labels by a skill."""
    generator = np.random.default_rng(0)
    wrong = rows.given != rows.reference
    suspicions = {name: generator.random(len(rows)) + skill * wrong for name in SUSPICIONS}
    seen = np.ones(len(rows), np.int64)
    weight = (generator.random((1, len(rows))) > 0.5) * 1.0 if weights else None
    last = suspicions["last"] = suspicions["last"] / suspicions["last"].max()
    p = generator.dirichlet(np.full(8, 0.1), len(rows)) * last[:, None]
    p[np.arange(len(rows)), rows.given] = 0
    p *= (last / p.sum(axis=1))[:, None]
    p[np.arange(len(rows)), rows.given] = 1 - last
    return TrainingScores(
        *(rows.sample_id, rows.given, rows.verified, seen, suspicions, rows.given, weight),
        probabilities=p,
        alternative=(rows.given + 1) % 8,
    )


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cells: Mapping[int, Rows]) -> Path:
    monkeypatch.chdir(tmp_path)
    for method, skill in (("elr", 0.8), ("supervised", 0.3), ("gce", 0.0)):
        for seed in (0, 1):
            trial = Trial(method=method, level=LEVEL, seed=seed, profile="smoke", source="generated")
            folder = fabricate(RUNS, trial)
            if method != "gce":
                write_training_scores(folder, scores_of(cells[seed], skill, weights=method == "elr"))
    return RUNS


def test_a_row_for_each_method_and_score_with_the_floor_first(runs: Path, cells: Mapping[int, Rows]) -> None:
    done = ran("--json")
    assert done.exit_code == 0, done.output
    assert "left out, trials without scores of their training rows: gce (2)" in done.stderr
    table, second = tables_of(done)
    names = [(row["method"], row["score"]) for row in table["rows"]]
    assert names[0] == ("supervised", "loss (floor)")
    assert len(names) == 9 + 10
    assert [(row["method"], row["estimate"]) for row in second["rows"]] == [
        (method, name)
        for method in ("supervised", "elr")
        for name in ("confident joint (in-sample)", "confident count (in-sample)", "mixture")
    ]
    assert ("elr", "left out") in names
    row = next(row for row in table["rows"] if (row["method"], row["score"]) == ("elr", "aum"))
    expected = []
    for rows in cells.values():
        suspicion = scores_of(rows, 0.8, weights=True).suspicions["aum"].astype(np.float32)
        wrong = rows.given != rows.reference
        budget = le.budget_of(wrong.mean(), len(wrong))
        expected.append([le.auroc(suspicion, wrong), le.average_precision(suspicion, wrong),
                         *np.array(le.at_budget(suspicion, wrong, budget))[[0, 2]], wrong.mean(), 1.0])  # fmt: skip
    columns = ("AUROC", "AUPRC", "precision †", "missed †", "error rate", "ranked")
    assert [row[name] for name in columns] == pytest.approx(100 * np.mean(expected, axis=0))


def test_tables_by_class(runs: Path, cells: Mapping[int, Rows]) -> None:
    done = ran("--method", "elr", "--by-class", "--format", "json")
    assert done.exit_code == 0, done.output
    first, _, *apart = tables_of(done)
    assert "supervised, whose loss is the floor" in " ".join(first["notes"])
    assert [table["title"].split(", ")[1] for table in apart] == [
        f"{name} by given class" for name in ("AUROC", "AUPRC", "missed", "error rate")
    ]
    suspicion = [scores_of(rows, 0.8, weights=True).suspicions["last"].astype(np.float32) for rows in cells.values()]
    row = next(row for row in apart[0]["rows"] if row["score"] == "last")
    found = [
        le.auroc(mine[rows.given == 0], (rows.given != rows.reference)[rows.given == 0])
        for mine, rows in zip(suspicion, cells.values(), strict=True)
    ]
    first_class = apart[0]["columns"][3]
    assert row[first_class] == pytest.approx(100 * np.mean(found))


def stored(rows: Rows, skill: float) -> tuple[Any, Any]:
    """The probabilities of a trial and its self-confidence, as its file has them."""
    scores = scores_of(rows, skill)
    assert scores.probabilities is not None
    p, last = scores.probabilities.astype(np.float16).astype(float), scores.suspicions["last"].astype(np.float32)
    p[np.arange(len(rows)), rows.given] = 1 - last.astype(float)
    return p, last


def test_estimates_stand_beside_what_they_find(runs: Path, cells: Mapping[int, Rows]) -> None:
    done = ran("--method", "supervised", "--json")
    assert done.exit_code == 0, done.output
    _, table = tables_of(done)
    expected: dict[str, list[list[float]]] = {"joint": [], "count": [], "mixture": []}
    for rows in cells.values():
        p, last = stored(rows, 0.3)
        wrong = rows.given != rows.reference
        mixture = le.mixture_suspicion(scores_of(rows, 0.3).suspicions["loss"].astype(np.float32))
        for name, rate, score in (
            ("joint", le.estimated_error_rate(p, rows.given), last),
            ("count", le.confident_errors(p, rows.given).mean(), last),
            ("mixture", mixture.mean(), mixture),
        ):
            budget = le.budget_of(float(rate), len(wrong))
            precision, _, missed = le.at_budget(score, wrong, budget)
            expected[name].append([100 * rate, 100 * wrong.mean(), budget, 100 * precision, 100 * missed])
    columns = ("estimated rate", "error rate", "budget", "precision", "missed")
    for row, values in zip(table["rows"], expected.values(), strict=True):
        assert min(value[2] for value in values) > 0
        assert [row[name] for name in columns] == pytest.approx(np.mean(values, axis=0))


def test_a_table_of_lifts(runs: Path, cells: Mapping[int, Rows]) -> None:
    done = ran("--method", "elr", "--lift", "--json")
    assert done.exit_code == 0, done.output
    *_, table = tables_of(done)
    row = next(row for row in table["rows"] if row["score"] == "mean")
    for name, share in (("lift at 1 %", 0.01), ("lift at 5 %", 0.05), ("lift at 10 %", 0.1)):
        kept = [scores_of(rows, 0.8).suspicions["mean"].astype(np.float32) for rows in cells.values()]
        wrong = [rows.given != rows.reference for rows in cells.values()]
        found = [le.lift_at(*both, share) for both in zip(kept, wrong, strict=True)]
        assert row[name] == pytest.approx(np.mean(found))


def test_cleanlab_s_own_scores_stand_beside_ours(runs: Path) -> None:
    pytest.importorskip("cleanlab", reason="cleanlab is not installed: pip install '.[cleanlab]'")
    done = ran("--method", "elr", "--cleanlab", "--json")
    assert done.exit_code == 0, done.output
    first, second = tables_of(done)
    rows = {row["score"]: row for row in first["rows"]}
    for theirs, ours in (("self_confidence", "self-confidence"), ("normalized_margin", "normalized margin")):
        mine = rows[f"cleanlab {theirs} (in-sample)"]
        assert mine["AUROC"] == pytest.approx(rows[f"{ours} (in-sample)"]["AUROC"])
    assert "cleanlab confidence_weighted_entropy (in-sample)" in rows
    assert second["rows"][-1]["estimate"] == "cleanlab find_label_issues (in-sample)"
    assert f"cleanlab {metadata.version('cleanlab')} itself" in " ".join(first["notes"])


def test_cleanlab_has_to_be_installed(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanlab_scores.importlib.util, "find_spec", lambda name: None)
    done = ran("--cleanlab")
    assert done.exit_code == 2
    assert "--cleanlab needs cleanlab, which is not installed: pip install 'fernoise-bench[cleanlab]'" in done.stderr


def test_trials_of_other_data_are_refused(runs: Path, cells: Mapping[int, Rows]) -> None:
    trial = Trial(method="elr", level=LEVEL, seed=0, profile="smoke", source="generated")
    other = replace(scores_of(cells[0], 0.5), given=np.roll(cells[0].given, 1))
    write_training_scores(fabricate(RUNS, trial), other)
    done = ran("--method", "elr")
    assert done.exit_code == 2
    assert "the protocol's data are not those that this trial was trained on" in done.stderr


def test_nothing_to_show_is_one_line(runs: Path) -> None:
    done = ran("--method", "gce")
    assert done.exit_code == 2
    assert "no trial of ferplus-sym has scores of its training rows" in done.stderr


def test_what_was_found_is_kept_for_the_page_which_shows_it(runs: Path) -> None:
    before = ran("--json")
    assert set(read_findings([runs]).found) == {
        path.parent.relative_to(runs).as_posix() for path in runs.rglob("training_scores.npz")
    }
    done = CliRunner().invoke(main, ["report", "--runs", str(runs), "--out", "site"])
    assert done.exit_code == 0, done.output
    page = Path("site/index.html").read_text()
    assert page.count('"wrong_labels":[{') == 1
    assert "wrong labels found" in page
    assert ran("--json").stdout == before.stdout
