"""`label-errors --out --page` looks for wrong labels in a user's own data, and `data apply` corrects them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from fernoise_bench.benchmark.cli import main
from fernoise_bench.protocols.catalog import protocol_of_file
from fernoise_bench.protocols.own_data.labelled import read_labelled

from ....protocols.miniatures.own import changed, rows, write

MODELS = ("--method", "supervised", "--profile", "smoke", "--workers", "1")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FERNOISE_DATA", raising=False)


def ran(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def searched(*words: str) -> Result:
    return ran("label-errors", "--protocol", "lab/mine.toml", *MODELS, *words)


def lines(file: str) -> list[dict[str, str]]:
    with Path(file).open(newline="") as opened:
        return list(csv.DictReader(opened))


def test_from_pictures_to_corrected_labels() -> None:
    write(Path("lab"), listed=rows(24, train=18))
    done = searched("--seeds", "2", "--out", "suspects.csv", "--page", "suspects.html", "--top", "5")
    assert done.exit_code == 0, done.output
    assert "2 trials (1 method, 1 cell)" in done.stderr
    assert "judged: 18 labels of 18 pictures, the training rows of profile smoke" in done.stderr
    found = lines("suspects.csv")
    assert sorted(line["path"] for line in found) == [f"{number:03d}.png" for number in range(18)]
    given = {row["path"]: row["given"] for row in rows(24)}
    assert all(line["given"] == given[line["path"]] != line["suggested"] for line in found)
    means = [float(line["mean"]) for line in found]
    assert means == sorted(means, reverse=True)
    assert {line["models"] for line in found} == {"2"}
    page = Path("suspects.html").read_text()
    assert page.count("/9j/") == 5  # five JPEG files in base64
    assert all(line["path"] in page for line in found[:5])

    first = found[0]
    decided = f"path,unit,given,decision,label\n{first['path']},,{first['given']},fix,{first['suggested']}\n"
    Path("decisions.csv").write_text(decided)
    applied = ran(
        "data", "apply", "decisions.csv", "--protocol", "lab/mine.toml", "--out", "lab/corrected.csv", "--json"
    )
    assert applied.exit_code == 0, applied.output
    assert json.loads(applied.output) == {
        "file": "lab/corrected.csv", "keep": 0, "fix": 1, "unsure": 0, "verified": 0, "added": {},
    }  # fmt: skip
    Path("lab/new.toml").write_text(changed(('"labels.csv"', '"corrected.csv"')))
    old, new = (read_labelled(protocol_of_file(Path(f"lab/{name}.toml"))) for name in ("mine", "new"))
    assert np.flatnonzero(old.given != new.given).tolist() == [int(first["path"][:3])]

    before = Path("suspects.csv").read_bytes()
    again = searched("--seeds", "2", "--out", "suspects.csv")
    assert "2 finished before, 0 to run" in again.stderr
    assert Path("suspects.csv").read_bytes() == before


def test_out_of_sample_every_row_is_judged_once_a_seed() -> None:
    write(Path("lab"), listed=rows(24, train=18))
    done = searched(
        "--seeds", "1", "--out", "suspects.csv", "--out-of-sample", "--parts", "2", "--score", "entropy-weighted"
    )
    assert done.exit_code == 0, done.output
    assert "2 trials (1 method, 2 cells)" in done.stderr
    found = lines("suspects.csv")
    assert len(found) == 18
    assert {line["models"] for line in found} == {"1"}
    scores = [float(line["entropy-weighted"]) for line in found]
    assert scores == sorted(scores, reverse=True)


def test_folds_of_the_protocol_judge_their_test_rows() -> None:
    toml = changed(('train = ["train"]\ntest = ["test"]', "folds = 2"))
    write(Path("lab"), toml, rows(24))
    done = searched("--seeds", "1", "--out", "suspects.csv", "--out-of-sample")
    assert done.exit_code == 0, done.output
    assert "the test rows of every fold" in done.stderr
    assert len(lines("suspects.csv")) == 24


def test_generated_faces_serve_to_try_it() -> None:
    flips = ("bp4d-3fold-plain:flip", "--noise", "0.2", "--synthetic", "--seeds", "1")
    done = ran("label-errors", *flips, "--fold", "1", *MODELS, "--out", "s.csv")
    assert done.exit_code == 0, done.output
    found = lines("s.csv")
    assert {line["given"] for line in found} == {"present", "absent"}
    assert len({line["unit"] for line in found}) == 12


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("lab/mine.toml", "--out", "s.txt"), "--out s.txt: name it with .csv at the end"),
        (("lab/mine.toml", "--page", "s.htm"), "--page s.htm: name it with .html at the end"),
        (("lab/mine.toml", "--page", "no/s.html"), "--page no/s.html: no is no folder"),
        (("lab/mine.toml", "--out", "lab/labels.csv"), "no table of suspicious labels is there"),
        (("lab/mine.toml", "--out", "s.csv", "--score", "men"), "--score men: one of mean, aum"),
        (("lab/mine.toml", "--out", "s.csv", "--parts", "3"), "--parts 3: goes with --out-of-sample"),
        (("--out", "s.csv"), "name one protocol"),
        (("ferplus-sym", "--synthetic", "--out", "s.csv"), "several noise levels: name one of them, as in --noise 0.1"),
        (("ferplus-sym", "--synthetic", "--noise", "0.2", "--out", "s.csv"), "drawn anew for each seed"),
        (
            ("bp4d-3fold-plain:flip", "--synthetic", "--noise", "0.2", "--seeds", "1", "--out", "s.csv"),
            "use --seeds 1 --fold part1",
        ),
        (("bp4d-3fold", "--synthetic", "--out", "s.csv"), "are those of supervised:clean's model"),
        (("bp4d-3fold", "--synthetic", "--out", "s.csv", "--out-of-sample", "--parts", "3"), "has folds of its own"),
    ],
)
def test_a_mistake_is_told_before_anything_is_trained(words: tuple[str, ...], message: str) -> None:
    write(Path("lab"))
    done = ran("label-errors", *words, *MODELS)
    assert done.exit_code != 0
    assert message in done.stderr
    assert not Path("fernoise-runs").exists()


def test_published_labels_are_not_corrected_and_no_file_that_is_read_is_replaced() -> None:
    write(Path("lab"))
    Path("d.csv").write_text("path,given,decision,label\n000.png,happy,keep,happy\n")
    for protocol, out, message in (
        ("fer2013-real", "new.csv", "labels of published data are their owners'"),
        ("lab/mine.toml", "lab/labels.csv", "this file is read, and would be replaced"),
        ("lab/mine.toml", "d.csv", "this file is read, and would be replaced"),
    ):
        done = ran("data", "apply", "d.csv", "--protocol", protocol, "--out", out)
        assert done.exit_code != 0
        assert message in done.stderr
