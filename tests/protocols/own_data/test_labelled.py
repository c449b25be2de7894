"""Rows with labels: what cells mean, and cells that mean nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols.catalog import protocol_of_file
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.own_data.labelled import Labelled, most_voted, read_labelled

from ..miniatures.own import CLASSES, TOML, changed, rows, write, write_table

UNITS = """
[protocol]
name = "units"
kind = "action units"
labels = ["AU1", "AU12"]
[data]
table = "labels.csv"
present_from = 2
[data.columns.given]
AU1 = "AU01"
AU12 = "AU12"
[split]
folds = 2
"""
Change = Callable[[list[dict[str, str]]], None]


def read(root: Path, toml: str, text: str) -> Labelled:
    """The rows of a table written as text."""
    (root / "labels.csv").write_text(text)
    (root / "mine.toml").write_text(toml)
    return read_labelled(protocol_of_file(root / "mine.toml"))


def test_rows_are_those_of_the_table(tmp_path: Path) -> None:
    toml = changed(('given = "given"', 'given = "given"\nreference = "reference"\nverified = "verified"'))
    found = read_labelled(protocol_of_file(write(tmp_path, toml)))
    assert found.path.tolist() == [f"{number:03d}.png" for number in range(12)]
    assert found.reference.tolist() == [0, 1, 2] * 4
    assert found.given.tolist() == [0, 1, 2, 0, 2, 2, 0, 1, 2, 1, 1, 2]  # rows 4 and 9 are wrong
    assert found.verified.tolist() == [True, False] * 6
    assert found.part.tolist() == ["train"] * 9 + ["test"] * 3
    assert found.group.tolist() == [f"s{number // 3}" for number in range(12)]
    assert np.isnan(found.box).all()


def test_the_digest_is_of_labels_and_pictures_and_not_of_names(tmp_path: Path) -> None:
    def digest(change: Change = lambda listed: None, toml: str = TOML) -> str:
        listed = rows()
        change(listed)
        write_table(tmp_path / "labels.csv", listed)
        (tmp_path / "mine.toml").write_text(toml)
        return read_labelled(protocol_of_file(tmp_path / "mine.toml")).digest(CLASSES, "pixels")

    first = digest()
    assert digest(lambda listed: listed[0].update(path="renamed.png")) == first
    assert digest(lambda listed: listed[0].update(given="sad")) != first
    assert digest(lambda listed: listed[0].update(subject="s9")) != first
    assert digest(lambda listed: listed[0].update(split="")) != first
    write_table(tmp_path / "labels.csv", rows())
    assert read_labelled(protocol_of_file(tmp_path / "mine.toml")).digest(CLASSES, "others") != first


def test_labels_can_be_written_as_numbers_and_some_left_out(tmp_path: Path) -> None:
    toml = changed(
        ("[data.columns]", 'ignore = ["9"]\n[data.values]\n0 = "happy"\n1 = "sad"\n2 = "calm"\n[data.columns]'),
        ('subject = "subject"', ""),
    )
    found = read(tmp_path, toml, "path,given,split\na.png,1,train\nb.png,9,train\nc.png,,test\nd.png,calm,\n")
    assert found.path.tolist() == ["a.png", "c.png", "d.png"]
    assert found.given.tolist() == [1, -1, 2]
    assert found.part.tolist() == ["train", "test", ""]
    assert found.place(1).endswith("labels.csv, line 4")
    assert not found.has_subjects
    assert found.group.tolist() == ["0", "1", "2"]


def test_action_units_are_present_absent_or_unknown(tmp_path: Path) -> None:
    text = "path,AU01,AU12\na.png,0,5\nb.png,9,1\nc.png,,2\nd.png,999,2.0\ne.png,9.0,0.0\n"
    found = read(tmp_path, UNITS, text)
    assert found.given.tolist() == [[-1, 1], [0, -1], [0, 1], [0, 1], [0, -1]]
    assert found.given.dtype == np.int8
    assert not found.reference.any()
    assert found.known(found.given).all()
    for cell in ("-1", "x", "1e9", "nan", "²"):
        with pytest.raises(BadInput, match=r"labels.csv, line 2: AU1 is .*; write 0, 1 or an intensity"):
            read(tmp_path, UNITS, f"path,AU01,AU12\na.png,{cell},0\n")


def test_paths_are_below_the_folder_of_pictures(tmp_path: Path) -> None:
    toml = changed(('subject = "subject"', ""))
    inside = tmp_path.absolute() / "faces/x/b.png"
    found = read(tmp_path, toml, f"path,given,split\n./x//a.png,sad,train\n{inside},sad,train\nx\\c.png,sad,test\n")
    assert found.path.tolist() == ["x/a.png", "x/b.png", "x/c.png"]
    for path in ("../a.png", "x/../../a.png", "/etc/passwd", "C:\\a.png", "..\\a.png", f"{tmp_path}/faces2/a.png"):
        with pytest.raises(BadInput, match=r"line 2: .* leaves the folder of pictures, faces; write paths below"):
            read(tmp_path, toml, f"path,given,split\n{path},sad,train\n")
    with pytest.raises(BadInput, match="line 2: no path of a picture"):
        read(tmp_path, toml, "path,given,split\n,sad,train\n")


WRONG: list[tuple[Change, str]] = [
    (lambda listed: listed[3].update(given="hapy"), r"line 5: given label 'hapy' is no class \(did you mean happy\?\)"),
    (lambda listed: listed[4].update(path="001.png"), r"line 6: '001.png' is already in line 3; leave one row"),
    (lambda listed: listed[4].update(split="trian"), r"line 6: split 'trian' is none of train, test; list it in"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_a_cell_that_means_nothing_is_told_with_its_line(tmp_path: Path, change: Change, message: str) -> None:
    listed = rows()
    change(listed)
    write_table(tmp_path / "labels.csv", listed)
    (tmp_path / "mine.toml").write_text(TOML)
    with pytest.raises(BadInput, match=message):
        read_labelled(protocol_of_file(tmp_path / "mine.toml"))


def test_what_is_verified_is_written_as_people_do(tmp_path: Path) -> None:
    toml = changed(('subject = "subject"', 'verified = "ok"'))
    cells = ["1", "TRUE", "yes", "0", "False", ""]
    lines = "".join(f"{number}.png,sad,train,{cell}\n" for number, cell in enumerate(cells))
    assert read(tmp_path, toml, f"path,given,split,ok\n{lines}").verified.tolist() == [True] * 3 + [False] * 3
    with pytest.raises(BadInput, match="line 2: verified is 'perhaps'; write 1 or 0"):
        read(tmp_path, toml, "path,given,split,ok\na.png,sad,train,perhaps\n")


def test_crop_boxes_are_in_pixels_or_empty(tmp_path: Path) -> None:
    toml = changed(('subject = "subject"', 'box = ["x", "y", "w", "h"]'))
    head = "path,given,split,x,y,w,h\n"
    found = read(tmp_path, toml, f"{head}a.png,sad,train,1,2,3.5,4\nb.png,sad,test,,,,\n")
    assert found.box[0].tolist() == [1, 2, 3.5, 4]
    assert np.isnan(found.box[1]).all()
    for box in ("1,2,0,4", "1,2,x,4", "1,,3,4", "1,2,inf,4"):
        with pytest.raises(BadInput, match=r"line 2: the crop box .*; write left, top, width, height in pixels"):
            read(tmp_path, toml, f"{head}a.png,sad,train,{box}\n")


def test_votes_give_the_class_with_most_of_them(tmp_path: Path) -> None:
    assert most_voted(np.array([[3, 1, 0], [2, 2, 0], [0, 0, 0], [0, 1, 5]])).tolist() == [0, -1, -1, 2]
    toml = changed(('given = "given"', 'votes = "v_"'), ('subject = "subject"', ""))
    text = "path,split,v_happy,v_sad,v_calm\na.png,train,3,1,0\nb.png,train,2,2,\nc.png,test,0,1,5\n"
    found = read(tmp_path, toml, text)
    assert found.votes is not None
    assert found.votes.tolist() == [[3, 1, 0], [2, 2, 0], [0, 1, 5]]
    assert found.given.tolist() == found.reference.tolist() == [0, -1, 2]
    with pytest.raises(BadInput, match="line 2: '-1' votes for happy; write a whole number"):
        read(tmp_path, toml, text.replace("3,1,0", "-1,1,0"))


def test_several_annotators_of_a_picture_are_votes(tmp_path: Path) -> None:
    toml = changed(('given = "given"', 'given = "given"\nannotator = "who"'), ('subject = "subject"', ""))
    text = "path,given,who,split\na.png,sad,x,train\nb.png,calm,x,test\na.png,sad,y,train\na.png,calm,z,train\n"
    found = read(tmp_path, toml, text)
    assert found.path.tolist() == ["a.png", "b.png"]
    assert found.votes is not None
    assert found.votes.tolist() == [[0, 2, 1], [0, 0, 1]]
    assert found.given.tolist() == [1, 2]
    with pytest.raises(BadInput, match=r"line 4: 'x' labelled 'a.png' in line 2 too; leave one of the rows"):
        read(tmp_path, toml, text.replace("sad,y", "sad,x"))
    with pytest.raises(BadInput, match=r"line 4: split 'test' of a picture that has 'train' in line 2"):
        read(tmp_path, toml, text.replace("sad,y,train", "sad,y,test"))


@pytest.mark.parametrize(
    ("column", "texts", "says"),
    [
        ("subject", ("s0", "S0"), r"line 3: subject 'S0', but 's0' in line 2; write one in one way"),
        ("subject", ("3", "3.0"), r"line 3: subject '3\.0', but '3' in line 2"),
        ("subject", ("01", "1"), r"line 3: subject '1', but '01' in line 2"),
        ("annotator", ("Ann", "ann"), r"line 3: annotator 'ann', but 'Ann' in line 2"),
        ("fold", ("a", "A"), r"line 3: fold 'A', but 'a' in line 2"),
    ],
)
def test_one_identifier_written_in_two_ways(column: str, texts: tuple[str, str], says: str, tmp_path: Path) -> None:
    listed = rows()
    for number, row in enumerate(listed):
        row |= {"annotator": "x", "fold": "a", column: texts[min(number, 1)]}
    toml = {
        "subject": TOML,
        "annotator": changed(('given = "given"', 'given = "given"\nannotator = "annotator"')),
        "fold": changed(
            ('split = "split"', 'fold = "fold"'), ('train = ["train"]\ntest = ["test"]', 'folds = ["a", "A"]')
        ),
    }[column]
    write_table(tmp_path / "labels.csv", listed, ["path", "given", "subject", "split", "fold", "annotator"])
    (tmp_path / "mine.toml").write_text(toml)
    with pytest.raises(BadInput, match=says):
        read_labelled(protocol_of_file(tmp_path / "mine.toml"))


def test_without_a_threshold_whole_numbers_count_from_one(tmp_path: Path) -> None:
    toml = UNITS.replace("present_from = 2\n", "")
    assert read(tmp_path, toml, "path,AU01,AU12\na.png,0,1.0\nb.png,9,3\n").given.tolist() == [[-1, 1], [0, 1]]
    with pytest.raises(BadInput, match=r"line 2: AU12 is '0\.37', which says nothing of presence without data"):
        read(tmp_path, toml, "path,AU01,AU12\na.png,0,0.37\n")
    toml = UNITS.replace("present_from = 2", "present_from = 0.5")
    assert read(tmp_path, toml, "path,AU01,AU12\na.png,0.49,0.5\n").given.tolist() == [[-1, 1]]


def test_votes_and_marks_as_pandas_writes_them(tmp_path: Path) -> None:
    toml = changed(
        ('given = "given"', 'votes = "votes_"\nverified = "verified"'), ('split = "split"\nsubject = "subject"\n', ""),
        ('train = ["train"]\ntest = ["test"]', "folds = 2"),
    )  # fmt: skip
    header = "path,verified,votes_happy,votes_sad,votes_calm\n"
    found = read(tmp_path, toml, f"{header}a.png,1.0,3.0,0.0,1\nb.png,0.0,,2.0,\n")
    assert found.votes is not None
    assert found.votes.tolist() == [[3, 0, 1], [0, 2, 0]]
    assert found.verified.tolist() == [True, False]
    with pytest.raises(BadInput, match=r"'2\.5' votes for sad"):
        read(tmp_path, toml, f"{header}a.png,1,3,2.5,1\n")
