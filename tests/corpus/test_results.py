"""Damaged result folders, packs and bundles: named, in no table, never executed; what is beside them stays."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.files import write_json
from fernoise_bench.results.records.bundle import expand, write_bundle
from fernoise_bench.results.records.record import load_records
from fernoise_bench.results.records.store import trial_folder

from ..protocols.miniatures.pack import write_pack
from ..results.fabricate import Trial, fabricate
from ..weekly import often
from .bench import command, contents, damaged, instead
from .damages import ARRAYS, JSON, MARK, Damage, array_that_lies, zipped

STEER = "\x1b]0;mine\x07\x1b[2J\u202e\x9b31m"


def changed(**fields: object) -> Damage:
    """JSON with other values; None leaves a field out."""

    def change(content: bytes) -> bytes:
        told = {**json.loads(content), **fields}
        return json.dumps({name: value for name, value in told.items() if value is not None}).encode()

    return change


def cut_lines(content: bytes) -> bytes:
    return b"".join(content.splitlines(keepends=True)[:-1])


FILES: dict[str, dict[str, Damage]] = {
    "identity.json": {
        **JSON,
        "another seed": changed(seed=7),
        "a huge seed": changed(seed=10**30),
        "a name out of the folder": changed(method={"name": "../../../etc", "params": {}, "digest": ""}),
        "a name that steers the terminal": changed(method={"name": STEER, "params": {}, "digest": ""}),
    },
    "status.json": {
        **JSON,
        "an unknown state": changed(state=STEER),
        "negative seconds": changed(seconds=-1),
        "endless seconds": lambda content: content.replace(b"10.0", b"1e999"),
        "another number of epochs": changed(epochs=10**9),
        "an epoch that is not": changed(best={"validation": 99, "oracle": 10**12}),
        "a negative epoch": changed(best={"validation": -1, "oracle": -1}),
    },
    "environment.json": {
        **JSON,
        "an unknown task": changed(task={"kind": "x", "names": [], "metric": "x"}),
        "negative rows": changed(rows={"train": -5}),
    },
    "epochs.jsonl": {
        **JSON,
        "a line lost": cut_lines,
        "a line twice": lambda content: content + content.splitlines(keepends=True)[-1],
        "half a line": lambda content: content[:-50],
        "negative counts": lambda content: content.replace(b'"confusion":[[', b'"confusion":[[-', 1),
        "huge counts": lambda content: content.replace(b'"confusion":[[', b'"confusion":[[' + b"9" * 40, 1),
        "negative compute": lambda content: content.replace(b'"forwards":', b'"forwards":-'),
    },
    "predictions.npz": {
        **ARRAYS,
        "labels alone": lambda content: zipped({}),
        "a lie": lambda c: array_that_lies("last"),
    },
}
CASES = [(file, name) for file, damages in FILES.items() for name in damages]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two finished trials; the first is damaged."""
    for seed in (0, 1):
        fabricate(tmp_path / "runs", Trial(seed=seed))
    return tmp_path / "runs"


def first(runs: Path) -> Path:
    return trial_folder(runs, Trial(seed=0).identity)


@pytest.mark.parametrize(("file", "name"), CASES)
def test_a_damaged_trial_is_named_and_in_no_table(
    file: str, name: str, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(runs.parent)
    whole = contents(runs)
    with damaged(first(runs) / file, FILES[file][name]):
        before = contents(runs)
        told = command("status", "--runs", str(runs))
        table = command("table", "ferplus-sym", "--runs", str(runs), "--format", "json")
        assert contents(runs) == before
    for found in (told, table):
        assert found.ordinary, found
        assert found.code == 0
    (line,) = [line for line in told.out.splitlines() if line.startswith("damaged: ")]
    assert first(runs).name in line
    assert table.err.count("damaged: ") == 1
    assert pairs_in(json.loads(table.out)) == {1}
    assert contents(runs) == whole
    assert not Path(MARK).exists()


def pairs_in(told: object) -> set[int]:
    """The numbers of pairs that the cells of printed tables rest on."""
    if isinstance(told, dict):
        own = {told["n_all"]} if isinstance(told.get("n_all"), int) else set()
        return own.union(*map(pairs_in, told.values()))
    return set().union(*map(pairs_in, told)) if isinstance(told, list) else set()


LINKS: dict[str, Callable[[Path], object]] = {
    "a folder": lambda path: path.mkdir(),
    "a link to itself": lambda path: path.symlink_to(path),
    "a link out of the root": lambda path: path.symlink_to("/etc/passwd"),
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a pipe": lambda path: os.mkfifo(path),
    "a huge file": lambda path: (path.touch(), os.truncate(path, 3 << 30)),
}


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("file", FILES)
def test_something_else_in_the_place_of_a_file(file: str, name: str, runs: Path) -> None:
    with instead(first(runs) / file, LINKS[name]):
        for words in (("status",), ("table", "ferplus-sym", "--long"), ("claims",)):
            told = command(*words, "--runs", str(runs))
            assert told.ordinary, told
            assert told.code == 0
            assert (told.out + told.err).count("damaged: ") == 1
            assert "root:" not in told.out + told.err


def test_a_trial_linked_from_elsewhere_is_not_counted_twice(runs: Path) -> None:
    other = runs / "ferplus-sym@1" / "other"
    other.mkdir()
    (other / first(runs).name).symlink_to(first(runs))
    records, damaged_ = load_records(runs)
    assert (len(records), len(damaged_)) == (2, 1)


def test_names_that_steer_a_terminal_are_never_printed(runs: Path) -> None:
    """In a method's name or the reason of a failure, where no run writes them: the trial counts as damaged."""
    fabricate(runs, Trial(method=f"evil{STEER}"))
    fabricate(runs, Trial(seed=2, state="failed", reason=STEER))
    typed = [("status",), ("table", "ferplus-sym"), ("table", "ferplus-sym", "--long")]
    typed += [("table", "ferplus-sym", "--format", form) for form in ("latex", "csv", "json", "html")]
    for words in typed:
        found = command(*words, "--runs", str(runs))
        assert found.code == 0
        assert found.ordinary, found.out + found.err
        assert (found.out + found.err).count("control characters") == 2


def test_names_that_are_markdown_are_printed_as_names(runs: Path) -> None:
    fabricate(runs, Trial(method="![x](http://evil/b.png)|<b>"))
    for words in (("status",), ("table", "ferplus-sym")):
        told = command(*words, "--runs", str(runs))
        assert r"![x\](http://evil/b.png)\|\<b>" in told.out


# --- packs

PACK_FILES: dict[str, dict[str, Damage]] = {
    "pack.json": {
        **JSON,
        "a newer format": changed(format=99),
        "another side": changed(side=10**9),
        "a negative side": changed(side=-8),
        "no names": changed(names=[]),
        "another table": changed(table="0" * 64),
    },
    "table.npz": dict(ARRAYS),
    "faces.npy": {
        "empty": lambda content: b"",
        "cut in half": lambda content: content[: len(content) // 2],
        "a byte short": lambda content: content[:-1],
        "random bytes": lambda content: os.urandom(500),
        "another shape": lambda content: content.replace(b"(6, 8, 8, 3)", b"(9, 8, 8, 3)"),
        "a huge shape": lambda content: content.replace(b"(6, 8, 8, 3), }", b"(600000000000, 8, 8, 3), }"),
        "objects": lambda content: content.replace(b"'|u1'", b"'|O' "),
        "a header that calls": lambda content: content.replace(b"{'descr'", b"print('x')"),
    },
}


@pytest.mark.parametrize(
    ("file", "name"), often([(file, name) for file, group in PACK_FILES.items() for name in group][::-1], 8)
)
def test_a_damaged_pack(file: str, name: str, tmp_path: Path) -> None:
    labels, group = np.arange(6) % 7, np.arange(6).astype(str)
    names = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
    folder = write_pack(tmp_path / "packs" / "rafdb-8", names, labels, group, np.array(["train"] * 6))
    typed = ("data", "fingerprint", "rafdb", "--side", "8", "--out", str(tmp_path / "packs"))
    assert command(*typed).code == 0
    with damaged(folder / file, PACK_FILES[file][name]):
        found = command(*typed)
    assert found.ordinary, found
    assert found.refused, found
    assert str(folder) in found.err


# --- bundles


def traversal(content: bytes) -> bytes:
    return zipped({"../../../tmp/x/0123456789abcdef/identity.json": b"{}"})


BUNDLES: dict[str, Damage] = {
    **{name: damage for name, damage in ARRAYS.items() if name != "no arrays"},
    "a name out of the folder": traversal,
    "an absolute name": lambda content: zipped({"/etc/a/0123456789abcdef/identity.json": b"{}"}),
    "dots as a folder": lambda content: zipped({"../b/0123456789abcdef/identity.json": b"{}"}),
    "a back slash": lambda content: zipped({"a\\..\\..\\b/c/0123456789abcdef/identity.json": b"{}"}),
}


@pytest.mark.parametrize("name", often(list(BUNDLES)[::-1], 8))
def test_a_damaged_bundle_leaves_nothing_behind(name: str, runs: Path, tmp_path: Path) -> None:
    bundle, place = tmp_path / "shipped.zip", tmp_path / "cache" / "here"
    write_bundle(runs, [path.parent for path in runs.rglob("status.json")], bundle)
    before = contents(tmp_path)
    with damaged(bundle, BUNDLES[name]), pytest.raises(BadInput, match=r"shipped\.zip is damaged"):
        expand(bundle, place)
    assert contents(tmp_path) == before
    assert not place.exists()


def test_earlier_results_are_as_they_were(runs: Path) -> None:
    """Refused runs write nothing beside finished trials."""
    before = contents(runs)
    write_json(runs / "notes.json", {"mine": 1})
    for typed in (("--method", "nothing"), ("--method", "supervised", "--noise", "9"), ("--seeds", "0")):
        found = command("run", "--protocol", "ferplus-sym", "--synthetic", "--out", str(runs), *typed)
        assert found.refused
    assert {name: content for name, content in contents(runs).items() if name != "notes.json"} == before
