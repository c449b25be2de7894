"""How well probabilities fit labels and votes: read from the epochs, printed, empty where epochs do not tell."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from msgspec.msgpack import encode

import fernoise_bench as fb
from fernoise_bench.benchmark.cli import main
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.records.bundle import expand, write_bundle
from fernoise_bench.results.records.cache import load_cached
from fernoise_bench.results.records.encoded import decode_record, encode_record
from fernoise_bench.results.records.record import Record, Score, load_records
from fernoise_bench.results.records.schema import EpochLine
from fernoise_bench.results.records.summaries import read_summary, write_summary
from fernoise_bench.results.tables.probabilities.calibration_table import calibration_table

from ...fabricate import Trial, epoch_line, fabricate, record_of

LABELS = {"nll": 1.25, "brier": 0.5, "ece": 0.1}
VOTES = {"nll": 1.5, "brier": 0.25, "ece": 0.05, "kl": 0.75}
SCORE = Score(0.5, (0.5,) * 4, 0.5)


def made(method: str = "gce", seed: int = 0, more: float = 0.0, votes: bool = True, **trial: Any) -> Record:
    """A record whose one epoch tells how its probabilities fit, each number this much higher."""
    line = {"fit": {name: value + more for name, value in LABELS.items()}}
    line |= {"fit_to_votes": {name: value + more for name, value in VOTES.items()}} if votes else {}
    return record_of(Trial(method=method, seed=seed, **trial), {"last": SCORE}, **line)


def by_heading(table: Any, row: int) -> dict[str, Any]:
    return dict(zip(table.columns, table.rows[row], strict=True))


def test_means_over_pairs_by_method_and_level() -> None:
    records = [made(seed=0), made(seed=1, more=0.5), made(level=0.4), made("elr", votes=False)]
    (table,) = calibration_table(records)
    assert table.columns == (
        *("method", "noise", "accuracy", "NLL", "Brier", "ECE"),
        *("votes: KL", "votes: NLL", "votes: Brier", "votes: ECE"),
    )
    assert [(row[0].text, row[1].value) for row in table.rows] == [
        *(("elr", 0.2), ("gce", 0.2), ("elr", 0.4), ("gce", 0.4)),
    ]
    found = by_heading(table, 1)
    assert [found[name].value for name in ("NLL", "Brier", "ECE")] == pytest.approx([1.5, 0.75, 35.0])
    assert [found[f"votes: {name}"].value for name in ("KL", "NLL", "Brier", "ECE")] == pytest.approx(
        [1.0, 1.75, 0.5, 30.0]
    )
    assert (found["NLL"].text, found["ECE"].text, found["accuracy"].value) == ("1.500", "35.0", 50.0)
    alone = by_heading(table, 0)
    assert alone["NLL"].text.startswith("1.250")
    assert alone["votes: KL"].text == "–"
    assert by_heading(table, 2)["NLL"].text == "–"
    assert any("15 bins" in note for note in table.notes)
    assert any("not a face" in note for note in table.notes)
    assert not any("did not record" in note for note in table.notes)


def test_without_votes_there_are_no_columns_for_them() -> None:
    (table,) = calibration_table([made(votes=False)])
    assert table.columns[-1] == "ECE"
    assert "votes" not in table.title
    assert not any("not a face" in note for note in table.notes)


def test_older_trials_show_that_they_do_not_tell() -> None:
    older = record_of(Trial(method="older"), {"last": SCORE})
    (table,) = calibration_table([older, made()])
    assert [cell.text for cell in table.rows[1][3:]] == ["–"] * 7
    assert table.rows[0][3].text == "1.250"
    assert any("did not record" in note for note in table.notes)
    (table,) = calibration_table([older])
    assert [cell.text for cell in table.rows[0][3:]] == ["–"] * 3


def test_methods_that_see_the_votes_stand_apart() -> None:
    records = [made("soft_labels", oracle_knowledge=("votes",), level=level) for level in (0.2, 0.4)]
    (table,) = calibration_table([*records, made("supervised"), made("supervised", level=0.4)])
    assert [row[0].text for row in table.rows] == ["supervised"] * 2 + ["soft_labels ⊕"] * 2
    assert table.apart == 2


def test_action_units_and_unknown_rules_are_refused() -> None:
    units = record_of(Trial(kind="multi", protocol="bp4d-3fold", level=None), {"last": SCORE})
    with pytest.raises(BadInput, match="bp4d-3fold has action units"):
        calibration_table([units])
    with pytest.raises(BadInput, match="selection rule"):
        calibration_table([made()], rule="first")


def on_disk(folder: Path, trial: Trial, votes: bool = True) -> Path:
    """A made-up trial whose epochs tell fits that grow by 1 each epoch."""
    made = fabricate(folder, trial)
    lines = [json.loads(line) for line in (made / "epochs.jsonl").read_text().splitlines()]
    for line in lines:
        line["fit"] = {name: value + line["epoch"] for name, value in LABELS.items()}
        if votes:
            line["fit_to_votes"] = {name: value + line["epoch"] for name, value in VOTES.items()}
    (made / "epochs.jsonl").write_text("".join(f"{json.dumps(line, sort_keys=True)}\n" for line in lines))
    return made


def test_each_selection_rule_reads_its_epochs(tmp_path: Path) -> None:
    on_disk(tmp_path, Trial(epochs=6))
    fabricate(tmp_path, Trial(epochs=6, seed=1))
    fabricate(tmp_path, Trial(epochs=6, seed=2, state="failed"))
    records = {record.identity.seed: record for record in load_records(tmp_path)[0]}
    best = records[0].status.best
    assert best.validation == 3
    assert best.oracle is not None
    expected = {"last": 5, "last_five": 3, "validation": 3, "oracle": best.oracle}
    for rule, epoch in expected.items():
        assert records[0].fit("nll", rule) == pytest.approx(1.25 + epoch)
        assert records[0].fit("kl", rule, votes=True) == pytest.approx(0.75 + epoch)
        assert records[0].fit("kl", rule) is None
        assert records[1].fit("nll", rule) is None
        assert records[2].fit("nll", rule) is None
    on_disk(tmp_path / "other", Trial(validation=False))
    (record,) = load_records(tmp_path / "other")[0]
    assert record.fit("nll", "validation") is None


def test_older_records_keep_their_bytes() -> None:
    line = epoch_line()
    assert b"fit" not in encode(line)
    assert b"fit" not in encode_record(record_of(Trial(), {"last": SCORE}))
    told = epoch_line(fit=LABELS)
    assert b"fit_to_votes" not in encode(told)
    with pytest.raises(ValueError, match="ece"):
        epoch_line(fit={"nll": 1.0, "brier": 0.5})
    assert isinstance(line, EpochLine)


def test_cache_bundle_and_summary_hand_them_on(tmp_path: Path) -> None:
    folder = on_disk(tmp_path / "runs", Trial())
    (record,) = load_records(tmp_path / "runs")[0]
    for cached in (load_cached(tmp_path / "runs", tmp_path)[0] for _ in range(2)):
        assert cached[0].fit("kl", votes=True) == record.fit("kl", votes=True) == pytest.approx(5.75)
    again = decode_record("x", encode_record(record), lambda: tuple(record.epochs), {})
    assert again.fit("ece") == record.fit("ece")
    write_bundle(tmp_path / "runs", [folder], tmp_path / "bundle.zip")
    write_summary(tmp_path / "bundle.zip")
    summarised = read_summary(tmp_path / "bundle.zip", {})
    assert summarised is not None
    assert summarised[0].fit("nll") == record.fit("nll")
    expand(tmp_path / "bundle.zip", tmp_path / "expanded")
    assert load_records(tmp_path / "expanded")[0][0].fit("nll", "oracle") == record.fit("nll", "oracle")


def test_the_command_and_the_data_frame(tmp_path: Path) -> None:
    on_disk(tmp_path, Trial())
    fabricate(tmp_path, Trial("older", seed=1))
    words = ["table", "ferplus-sym", "--calibration", "--runs", str(tmp_path), "--format", "json"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    (table,) = json.loads(done.output)
    place = table["columns"].index("votes: KL")
    assert table["rows"][1][place]["value"] == pytest.approx(5.75)
    both = CliRunner().invoke(main, [*words[:-2], "--audit", "--columns", "NLL,memorised"])
    assert both.exit_code == 0, both.output
    assert "6.250" in both.output
    refused = CliRunner().invoke(main, ["table", "recot-4", "--calibration"])
    assert refused.exit_code != 0
    frame = fb.load_records(tmp_path).to_frame().set_index("seed")
    columns = ["nll", "brier", "ece", "votes_kl", "votes_nll", "votes_brier", "votes_ece"]
    assert frame.loc[0, columns].tolist() == pytest.approx([6.25, 5.5, 5.1, 5.75, 6.5, 5.25, 5.05])
    assert all(math.isnan(value) for value in frame.loc[1, columns])
    assert np.isfinite(frame["last"]).all()
