"""One field of a trial at a time holds something odd: the trial is read, or named as damaged; no command crashes."""

from __future__ import annotations

import copy
import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.records.record import load_records
from fernoise_bench.results.records.store import trial_folder

from ..results.fabricate import Trial, fabricate
from .bench import command

CASES = 200
COMMANDS = 20  # of the cases in which the trial is read: all commands on each would take minutes
GONE = "a field that is gone"
ENDLESS = "1e999"  # written as a number, which no parser of JSON itself takes for odd
VALUES: tuple[Any, ...] = (
    None, True, "", "x", "nan", "=cmd", "<b>", "[a](b)", -1, 0, 0.5, 2**63, 10**30, 1e308, ENDLESS, GONE,
    [], ["x"], [None], [[1]], {}, {"x": 1},
)  # fmt: skip
FILES = ("identity.json", "environment.json", "status.json", "epochs.jsonl")
TRIALS = (
    Trial(rows=12, epochs=2, oracle_knowledge=("noise_rate",), unstated=("rate",), params={"rate": 0.1}),
    Trial(rows=12, epochs=2, protocol="bp4d-3fold", kind="multi", level=None, fold="fold1", copies=0),
    Trial(rows=12, epochs=4, seed=2, state="diverged", reason="the loss is not finite"),
)


@dataclass(frozen=True)
class Case:
    """A field of a file of a trial, and what it holds instead."""

    folder: Path
    protocol: str
    file: str
    path: tuple[str | int, ...]
    value: Any


def paths(value: object, before: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where fields are, the first of a list for all of it."""
    if before:
        yield before
    parts = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for name, part in parts:
        yield from paths(part, (*before, name))


def put(content: Any, path: tuple[str | int, ...], value: Any) -> None:
    for name in path[:-1]:
        content = content[name]
    if value == GONE:
        del content[path[-1]]
    else:
        content[path[-1]] = copy.deepcopy(value)


def enriched(content: Any, file: str) -> Any:
    """With the fields that trials of the harness have and made-up ones have not."""
    if file == "identity.json":
        return content | {
            "data": {"layout": "x", "digest": "x"},
            "teachers": {"supervised": "00"},
            "aux": "00",
            "annotators": "00",
        }
    if file == "environment.json":
        teacher = {"name": "supervised", "id": "00", "seconds": 1.0, "forwards": 1, "backwards": 1}
        return content | {"teachers": [teacher], "views": 2, "machine": "x86_64", "resumed": False}
    if file == "epochs.jsonl":
        width = len(content["test"]["confusion"])
        apart = {name: [9] * width for name in ("entries", "wrong", "memorised", "right", "targets_right", "damaged")}
        rates = {name: [0.1] * width for name in ("positive", "negative", "true_positive", "true_negative")}
        noise = {"transition_error": 0.1, "flip_rates": rates}
        return content | {"audit_by_class": apart, "logs": {"kept": 0.5}, **noise}
    return content


def read(folder: Path, file: str) -> list[Any]:
    """The documents of a file: one, or one a line."""
    text = (folder / file).read_text()
    return [json.loads(each) for each in (text.splitlines() if file == "epochs.jsonl" else [text])]


def write(folder: Path, file: str, documents: list[Any]) -> None:
    lines = [json.dumps(document).replace(f'"{ENDLESS}"', ENDLESS) for document in documents]
    (folder / file).write_text("\n".join(lines) + "\n")


def renamed(folder: Path) -> Path:
    """The folder under the name that its identity asks for, where it can have one."""
    root = folder.parents[2]
    try:
        named = trial_folder(root, read(folder, "identity.json")[0])
    except (BadInput, LookupError, TypeError, ValueError, AttributeError):
        return folder
    named.parent.mkdir(parents=True, exist_ok=True)
    return folder.rename(named)


def sound(root: Path, trial: Trial) -> Path:
    """A trial with every field that one of the harness may have."""
    folder = fabricate(root, trial)
    for file in FILES:
        write(folder, file, [enriched(document, file) for document in read(folder, file)])
    return renamed(folder)


def odd(root: Path, case: Case) -> None:
    """The case's trial below a folder."""
    folder = root / case.folder.relative_to(case.folder.parents[2])
    shutil.copytree(case.folder, folder)
    documents = read(folder, case.file)
    for document in documents:
        put(document, case.path, case.value)
    write(folder, case.file, documents)
    renamed(folder)


def cases(root: Path, seed: int) -> list[Case]:
    """Every field of every file with every value, in the same order each time."""
    found = [
        Case(folder, trial.protocol, file, path, value)
        for trial in TRIALS
        for folder in [sound(root, trial)]
        for file in FILES
        for path in paths(read(folder, file)[0])
        for value in VALUES
    ]
    random.Random(seed).shuffle(found)
    return found


def commands(protocol: str, base: Path, runs: Path) -> list[list[str]]:
    details = ([], ["--long"], ["--ranks"], ["--audit"], ["--long", "--format", "html"])
    typed = [["table", protocol, "--allow-mixed", *detail] for detail in details]
    typed += [["status"], ["table", protocol], ["claims"], ["report", "--out", str(runs.parent / "report.html")]]
    return [["diff", str(base), str(runs)], *([*words, "--runs", str(runs)] for words in typed)]


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sound trials beside which the odd one stands; what is remembered of trials goes with the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for trial in TRIALS:
        for method in ("gce", "supervised"):
            sound(tmp_path / "base", replace(trial, method=method, seed=1, state="done"))
    return tmp_path / "base"


def test_a_field_that_holds_something_odd(base: Path, tmp_path: Path) -> None:
    accepted = 0
    for number, case in enumerate(cases(tmp_path / "sound", seed=0)[:CASES]):
        runs = tmp_path / f"runs{number}"
        odd(runs, case)
        records, damaged = load_records(runs)
        assert len(records) + len(damaged) == 1, case
        assert all("Error" not in line for line in damaged), (case, damaged)
        accepted += len(records)
        if records and accepted <= COMMANDS:
            shutil.copytree(base, runs, dirs_exist_ok=True)
            for words in commands(case.protocol, base, runs):
                found = command(*words)
                assert found.code in ((0, 1) if words[0] == "diff" else (0, 2)), (case, words, found.err)
                assert found.code == 0 or found.refused or words[0] == "diff", (case, words, found)
        shutil.rmtree(runs)
    assert accepted >= COMMANDS
