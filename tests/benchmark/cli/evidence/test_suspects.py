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
        "file": "lab/corrected.csv", "keep": 0, "fix": 1, "unsure": 0, "verified": None, "added": {}, "left_out": [],
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
    assert "the test rows of fold1, fold2" in done.stderr
    assert len(lines("suspects.csv")) == 24


def test_generated_faces_serve_to_try_it() -> None:
    flips = ("bp4d-3fold-plain:flip", "--noise", "0.2", "--synthetic", "--seeds", "1")
    done = ran("label-errors", *flips, "--fold", "1", *MODELS, "--out", "s.csv")
    assert done.exit_code == 0, done.output
    found = lines("s.csv")
    assert {line["given"] for line in found} == {"present", "absent"}
    assert len({line["unit"] for line in found}) == 12


VOTES = '[noise]\nkind = "votes"\n'


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("lab/mine.toml", "--out", "s.txt"), "--out s.txt: name it with .csv at the end"),
        (("lab/mine.toml", "--page", "s.htm"), "--page s.htm: name it with .html at the end"),
        (("lab/mine.toml", "--page", "no/s.html"), "--page no/s.html: no is no folder"),
        (
            ("lab/mine.toml", "--out", "lab/labels.csv"),
            "a file that is no table of suspicious labels, or has been added to, is there",
        ),
        (("lab/mine.toml", "--out", "s.csv", "--score", "men"), "--score men: one of mean, aum"),
        (("lab/mine.toml", "--out", "s.csv", "--parts", "3"), "--parts 3: goes with --out-of-sample"),
        (("--out", "s.csv"), "name one protocol"),
        (("lab/mine.toml", "--out", "s.csv", "--json"), "--json prints tables, which --out and --page do not"),
        (("lab/mine.toml", "--out", "s.csv", "--by-class"), "--by-class prints tables"),
        (("lab/mine.toml", "--out", "s.csv", "--runs", "a", "--runs", "b"), "trials are trained into one folder"),
        (("lab/mine.toml", "--page", "lab/other.html"), "a page that is no list of suspicious labels is there"),
        (
            ("lab/votes.toml", "--out", "s.csv"),
            "the labels trained on have noise added, and are not those of the table",
        ),
        (("lab/added.toml", "--noise", "0.2", "--out", "s.csv"), "the labels trained on have noise added"),
        (
            ("lab/mine.toml", "--out-of-sample"),
            "--out-of-sample goes with --out or --page; leave it out, or name a file",
        ),
        (("ferplus-sym", "--synthetic", "--out", "s.csv"), "several noise levels: name one of them, as in --noise 0"),
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
    Path("lab/other.html").write_text("<!doctype html><p>mine")
    Path("lab/votes.toml").write_text(changed(('given = "given"', 'given = "given"\nannotator = "fold"')) + VOTES)
    Path("lab/added.toml").write_text(changed() + '[noise]\nkind = "symmetric"\nlevels = [0.0, 0.2]\n')
    done = ran("label-errors", *words, *(MODELS if "--out-of-sample" not in words or "--out" in words else ()))
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


@pytest.mark.weekly
def test_drawn_noise_of_held_out_parts_is_one_for_all_parts() -> None:
    words = ("ferplus-sym", "--synthetic", "--noise", "0.4", "--out-of-sample", "--parts", "2", "--seeds", "1", *MODELS)
    done = ran("label-errors", *words, "--out", "s.csv")
    assert done.exit_code == 0, done.output
    assert len(lines("s.csv")) == 320


def test_a_fold_without_a_model_is_named_and_the_command_fails() -> None:
    """The method fails on the part where it finds no verified row."""
    toml = changed(('given = "given"', 'given = "given"\nverified = "verified"'))
    listed = rows(24, train=18)
    for row in listed:
        row["verified"] = str(int(row["subject"] == "s0"))
    write(Path("lab"), toml, listed)
    done = searched("--seeds", "1", "--out", "s.csv", "--page", "s.html", "--out-of-sample", "--parts", "3")
    assert done.exit_code == 1
    (part,) = {word for word in ("part1", "part2", "part3") if f"no finished model for {word}" in done.stderr}
    assert f"all verified training rows are in {part}" in done.stderr
    assert "supervised: 2 models" in done.stderr
    assert len(lines("s.csv")) == 12
    assert f"no finished model for {part}, whose labels are not judged" in Path("s.html").read_text()


def test_a_copy_of_a_picture_that_was_trained_on_is_not_judged() -> None:
    toml = changed(('train = ["train"]\ntest = ["test"]', "folds = 2"), ('subject = "subject"', ""))
    write(Path("lab"), toml, rows(24))
    picture = Path("lab/faces/000.png").read_bytes()
    for number in range(1, 6):
        Path(f"lab/faces/{number:03d}.png").write_bytes(picture)
    done = searched("--seeds", "1", "--out", "s.csv", "--out-of-sample")
    assert done.exit_code == 0, done.output
    assert "are no copies of pictures trained on" in done.stderr
    judged = {line["path"] for line in lines("s.csv")}
    assert {f"{number:03d}.png" for number in range(6, 24)} <= judged
    assert len(judged) < 24  # the six pictures are in both folds


def test_the_other_recipe_is_the_one_that_is_trained() -> None:
    write(Path("lab"))
    done = searched("--seeds", "1", "--out", "s.csv", "--recipe", "native")
    assert done.exit_code == 2
    assert "has no native recipe" in done.stderr
