"""Why a trial failed: the method's own line, the traceback beside it, and no path of the machine in the record."""

from __future__ import annotations

from pathlib import Path

import pytest

from fernoise_bench.benchmark.training.failures import reason_of, without_folders
from fernoise_bench.benchmark.training.runner import run_trial
from fernoise_bench.benchmark.trial_state import outcome, state_of
from fernoise_bench.protocols.files import read_json
from fernoise_bench.results.records.record import load_records

from ...toy import ToyContext, ignore, toy_trial

MINE = """import torch
from fernoise_bench.baselines.supervised import Supervised


class Mine(Supervised):
    '''Supervised training.'''

    def loss(self, batch):
        open("/no/such place/labels.csv") if batch.epoch else None
        torch.nn.functional.linear(batch.images[0], torch.zeros(3, 3))
"""


def test_the_last_line_of_the_methods_own_file_is_named_and_the_traceback_kept(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    trial = toy_trial(f"{file}:Mine", tmp_path, kind="single")
    status = run_trial(trial, ToyContext(), ignore)
    assert status["reason"].startswith("RuntimeError: ")
    assert status["reason"].endswith("(mine.py:10)")
    lines = (trial.folder / "traceback.txt").read_text().splitlines()
    assert any(line.strip().startswith(f'File "{file}", line 10') for line in lines)
    assert lines[-1].startswith("RuntimeError: ")
    records, damaged = load_records(tmp_path)
    assert ([record.state for record in records], damaged) == (["failed"], [])
    file.write_text(
        MINE.replace(
            "torch.nn.functional.linear(batch.images[0], torch.zeros(3, 3))", "return super().loss(batch)"
        ).replace("if batch.epoch", "if False")
    )
    again = toy_trial(f"{file}:Mine", tmp_path, kind="single", epochs=1)
    (again.folder).mkdir(parents=True)
    (again.folder / "traceback.txt").write_text("of an earlier attempt")
    assert run_trial(again, ToyContext(), ignore)["state"] == "done"
    assert not (again.folder / "traceback.txt").exists()


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("/home/me/data/rafdb/labels.csv: damaged", "labels.csv: damaged"),
        (
            "[Errno 2] No such file or directory: '/a/b/c.npy' (x.py:3)",
            "[Errno 2] No such file or directory: 'c.npy' (x.py:3)",
        ),
        ("see https://example.org/a/b or train/test", "see https://example.org/a/b or train/test"),
        ("OUT/artifacts/0123/.lock is a folder", "artifacts/0123/.lock is a folder"),
    ],
)
def test_a_record_has_no_folder_of_the_machine(reason: str, kept: str, tmp_path: Path) -> None:
    trial = toy_trial("supervised", tmp_path)
    assert without_folders(reason.replace("OUT", str(tmp_path)), trial) == kept


def test_what_is_printed_has_the_path_and_what_is_recorded_has_not(tmp_path: Path) -> None:
    trial = toy_trial("supervised", tmp_path)

    class Missing(ToyContext):
        def cell(self, trial: object) -> object:  # type: ignore[override]
            raise FileNotFoundError(2, "No such file", "/mnt/faces/a.png")

    assert "/mnt/faces/a.png" in run_trial(trial, Missing(), ignore)["reason"]
    assert "'a.png'" in outcome(trial)["reason"]
    assert "/mnt" not in (trial.folder / "status.json").read_text()
    assert read_json(trial.folder / "status.json")["state"] == state_of(trial) == "failed"


def test_bad_input_speaks_for_itself(tmp_path: Path) -> None:
    from fernoise_bench.protocols.errors import BadInput

    assert reason_of(BadInput("a.csv: no rows"), toy_trial("supervised", tmp_path)) == "a.csv: no rows"
