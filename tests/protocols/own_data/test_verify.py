"""The report on a user's own data, counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from fernoise_bench.protocols.catalog import protocol_of_file
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.own_data.labelled import read_labelled
from fernoise_bench.protocols.own_data.pictures import prepared
from fernoise_bench.protocols.own_data.suspects import as_csv
from fernoise_bench.protocols.own_data.verify import Report, verify_own
from fernoise_bench.protocols.readers.listing import Check

from ..miniatures.own import HEADER, changed, picture, rows, write, write_table

JUDGED = changed(("subject =", 'reference = "reference"\nverified = "verified"\nsubject ='))


def report(file: Path, *, quick: bool = False) -> Report:
    return verify_own(protocol_of_file(file), workers=1, report=lambda done, total: None, quick=quick)


def test_clean_data_have_nothing_to_report(tmp_path: Path) -> None:
    found = report(write(tmp_path))
    assert found.ok
    assert not found.bad
    assert found.sizes == ("8 x 8: 12",)
    assert found.parts == (
        {"part": "train", "pictures": 9, "given": 9, "reference": 0, "verified": 0, "subjects": 3},
        {"part": "test", "pictures": 3, "given": 3, "reference": 0, "verified": 0, "subjects": 1},
    )


def test_labels_are_counted_and_compared(tmp_path: Path) -> None:
    """Wrong: row 4 is sad and given as calm, row 9 is happy and given as sad."""
    found = report(write(tmp_path, JUDGED), quick=True)
    assert [list(line.values()) for line in found.labels] == [
        ["happy", 3, "25.0%", 4, 3, "100.0%"],
        ["sad", 4, "33.3%", 4, 4, "75.0%"],
        ["calm", 5, "41.7%", 4, 5, "80.0%"],
    ]
    wrong = {check.what: check for check in found.checks}["verified rows whose given label is not the reference"]
    assert (wrong.found, wrong.where) == (1, f"{tmp_path / 'labels.csv'}, line 6: 004.png")
    assert not found.ok


def test_copies_and_near_copies_within_and_across_parts(tmp_path: Path) -> None:
    file = write(tmp_path, side=64)
    large = {
        number: Image.fromarray(picture(number, 8)).resize((64, 64), Image.Resampling.BICUBIC) for number in range(12)
    }
    for number, one in large.items():
        one.save(tmp_path / f"faces/{number:03d}.png")
    large[0].save(tmp_path / "faces/001.png")  # the same pixels within train
    large[2].resize((60, 60)).save(tmp_path / "faces/003.png")  # nearly the same within train
    large[5].convert("RGB").save(tmp_path / "faces/009.png", compress_level=0)  # the same pixels in train and test
    large[6].resize((70, 70)).save(tmp_path / "faces/010.png")  # nearly the same in train and test
    (tmp_path / "faces/007.png").write_bytes(b"")
    found = report(file)
    assert [tuple(line.values()) for line in found.copies] == [
        ("train", "train", 1, 1, 2, "001.png is 000.png", "003.png is like 002.png"),
        ("test", "test", 0, 0, 0, "", ""),
        ("test", "train", 1, 1, 2, "009.png is 005.png", "010.png is like 006.png"),
    ]
    assert {check.what: (check.found, check.where) for check in found.checks if not check.ok} == {
        "pictures that can be decoded": (11, "007.png: the file is empty; unpack or fetch the file again"),
        "pictures in two parts": (1, "009.png is 005.png"),
        "pictures that look like one of another part": (1, "010.png is like 006.png"),
    }
    assert found.bad == ("007.png: the file is empty; unpack or fetch the file again",)
    damaged = "damaged: the file is empty; unpack or fetch the file again"
    assert as_csv(found.suspects).decode().splitlines() == [
        "path,problem,other,given,other label,parts",
        f"007.png,{damaged},,sad,,train",
        "001.png,copy with another label,000.png,sad,happy,train",
        "003.png,near copy with another label,002.png,happy,calm,train",
        '009.png,copy with another label,005.png,sad,calm,"test, train"',
        '010.png,near copy with another label,006.png,sad,happy,"test, train"',
    ]


def test_doubtful_labels_and_subjects_are_listed_without_decoding(tmp_path: Path) -> None:
    listed = rows()
    listed[9]["subject"] = "s0"
    found = report(write(tmp_path, JUDGED, listed), quick=True)
    assert [(one.path, one.problem, one.given, one.other_label, one.parts) for one in found.suspects] == [
        ("000.png", "subject s0 in more than one part", "happy", "", "test, train"),
        ("001.png", "subject s0 in more than one part", "sad", "", "test, train"),
        ("002.png", "subject s0 in more than one part", "calm", "", "test, train"),
        ("009.png", "subject s0 in more than one part", "sad", "", "test, train"),
        ("004.png", "verified label differs from the reference", "calm", "sad", "train"),
    ]


def test_folds_are_compared_together(tmp_path: Path) -> None:
    toml = changed(('train = ["train"]\ntest = ["test"]', 'folds = ["a", "b"]'), ('split = "split"', 'fold = "fold"'))
    file = write(tmp_path, toml)
    for number, of in ((1, 0), (9, 0), (10, 0)):  # 0 and 1 are in fold a, 9 and 10 in b
        (tmp_path / f"faces/{number:03d}.png").write_bytes((tmp_path / f"faces/{of:03d}.png").read_bytes())
    found = report(file)
    assert [tuple(line.values()) for line in found.copies] == [
        ("a fold", "the same fold", 2, 0, 1, "001.png is 000.png", ""),
        ("a fold", "another fold", 2, 0, 2, "009.png is 000.png", ""),
    ]
    assert [line["part"] for line in found.parts] == ["a", "b"]


def test_what_cannot_be_trained_on_is_a_check_that_fails(tmp_path: Path) -> None:
    listed = rows()
    listed[9]["subject"] = "s0"
    found = report(write(tmp_path, listed=listed), quick=True)
    failed = {check.what: check.where for check in found.checks if not check.ok}
    assert failed["subjects in more than one part"] == "s0 is in test and train"
    assert "subject s0 is in two parts" in failed["parts that can be trained and tested on"]


def test_boxes_of_pictures_of_another_size(tmp_path: Path) -> None:
    """Written for pictures of twice the side, or with the right and lower edge for width and height."""
    toml = changed(('subject = "subject"', 'subject = "subject"\nbox = ["x", "y", "w", "h"]'))
    header = [*HEADER, "x", "y", "w", "h"]

    def check(box: tuple[int, ...]) -> Check:
        listed = [{**row, **dict(zip("xywh", map(str, box), strict=True))} for row in rows()]
        file = write(tmp_path, toml, listed)
        write_table(tmp_path / "labels.csv", listed, header)
        found = {each.what: each for each in report(file).checks}
        return found["crop boxes that are in their picture, nine tenths or more"]

    assert check((0, 0, 8, 8)).ok
    assert check((2, 2, 6, 6)).ok
    assert not check((2, 2, 8, 8)).ok
    for box in ((4, 4, 8, 8), (2, 2, 8, 8)):
        assert check(box).where.endswith("labels.csv, line 2: 000.png")
        protocol = protocol_of_file(tmp_path / "mine.toml")
        with pytest.raises(BadInput, match=r"12 of 12 crop boxes reach out of their pictures by more than a tenth"):
            prepared(protocol, read_labelled(protocol), tmp_path / "data")


def test_classes_in_another_order_in_the_reference(tmp_path: Path) -> None:
    toml = changed(('given = "given"', 'given = "given"\nreference = "reference"'))
    turned = {"happy": "sad", "sad": "happy", "calm": "calm"}

    def check(name: Callable[[str], str]) -> Check:
        listed = [{**row, "reference": name(row["reference"])} for row in rows(count=90, train=60)]
        (found,) = (
            each for each in report(write(tmp_path, toml, listed), quick=True).checks if "exchanged" in each.what
        )
        return found

    assert check(str).ok
    wrong = check(lambda name: turned[name])
    assert (wrong.found, wrong.where) == (2, "most of happy is given as sad")
    assert check(lambda name: "sad").ok  # which many may be taken for


def test_units_that_are_present_nowhere(tmp_path: Path) -> None:
    toml = changed(
        ('kind = "expressions"\nlabels = ["happy", "sad", "calm"]', 'kind = "action units"\nlabels = ["AU1", "AU2"]'),
        ('given = "given"\n', ""), ("[split]", '[data.columns.given]\nAU1 = "one"\nAU2 = "two"\n[split]'),
        ('pictures = "faces"', 'pictures = "faces"\npresent_from = 1'),
    )  # fmt: skip
    listed = [{**row, "one": str(n % 2), "two": "0.4"} for n, row in enumerate(rows())]
    write_table(tmp_path / "labels.csv", listed, [*HEADER, "one", "two"])
    (tmp_path / "mine.toml").write_text(toml)
    found = report(tmp_path / "mine.toml", quick=True)
    (check,) = (each for each in found.checks if each.what == "action units that are present in no row")
    assert (check.found, check.where) == (1, "AU2")
    write_table(tmp_path / "labels.csv", [{**row, "one": "0.4"} for row in listed], [*HEADER, "one", "two"])
    (usable,) = (
        each for each in report(tmp_path / "mine.toml", quick=True).checks if "trained and tested" in each.what
    )
    assert "no action unit is present in a training row; check data.present_from" in usable.where
