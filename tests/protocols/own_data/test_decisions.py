"""Decisions change the labels they are about and nothing else, or are refused as a whole."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from fernoise_bench.protocols.catalog import protocol_of_file
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.own_data.decisions import Corrected, corrected, read_decisions
from fernoise_bench.protocols.own_data.labelled import read_labelled

from ..miniatures.own import changed, rows, write, write_pictures, write_table

HEAD = "path,unit,given,suggested,decision,label,suspicion\n"
VERIFIED = changed(('given = "given"', 'given = "given"\nverified = "verified"'))


def applied(file: Path, lines: str) -> Corrected:
    decisions = file.parent / "decisions.csv"
    decisions.write_text(HEAD + lines, encoding="utf-8")
    return corrected(protocol_of_file(file), read_decisions(decisions))


def table(found: Corrected) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(found.content.decode())))


def test_fixed_labels_change_and_nothing_else_does(tmp_path: Path) -> None:
    file = write(tmp_path, VERIFIED)
    found = applied(
        file, "004.png,,calm,sad,fix,sad,0.9\n003.png,,happy,sad,keep,happy,0.8\n002.png,,calm,sad,unsure,,1\n"
    )
    expected = rows()
    expected[4] |= {"given": "sad"}  # row 4 was verified already
    expected[3] |= {"verified": "1"}
    assert table(found) == expected
    assert (found.counts, found.verified, found.added) == ({"keep": 1, "fix": 1, "unsure": 1}, 1, {})
    (tmp_path / "labels.csv").write_bytes(found.content)
    again = read_labelled(protocol_of_file(file))
    assert again.given[4] == 1
    assert again.verified[3]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nothere.png,,calm,sad,fix,sad,1", "line 3: 'nothere.png' is no picture of mine"),
        ("004.png,,sad,happy,fix,happy,1", "'004.png' is given 'calm' now, not 'sad'"),
        ("004.png,,calm,sad,fix,sadd,1", "unknown label 'sadd'"),
        ("004.png,,calm,sad,fixed,sad,1", "decision 'fixed'; write keep, fix or unsure"),
        ("003.png,,happy,sad,fix,sad,1", "is decided in .* line 2 already"),
    ],
)
def test_one_decision_that_does_not_fit_refuses_all(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        applied(write(tmp_path), f"003.png,,happy,sad,keep,happy,0.8\n{line}\n")


def test_labels_are_written_as_the_table_writes_them(tmp_path: Path) -> None:
    listed = rows()
    for row in listed:
        row["given"] = {"happy": "3", "sad": "4", "calm": "6"}[row["given"]]
    toml = changed(("[split]", '[data.values]\n3 = "happy"\n33 = "happy"\n4 = "sad"\n6 = "calm"\n[split]'))
    found = applied(write(tmp_path, toml, listed), "004.png,,calm,happy,fix,happy,0.9\n")
    assert table(found)[4]["given"] == "3"


UNITS = """
[protocol]
name = "units"
kind = "action units"
labels = ["AU1", "AU12"]
[data]
table = "labels.csv"
pictures = "faces"
present_from = 2
[data.columns]
verified = "checked"
[data.columns.given]
AU1 = "one"
AU12 = "twelve"
[split]
folds = 2
"""


def test_action_units_change_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(UNITS)
    (tmp_path / "labels.csv").write_text(
        "path,one,twelve,checked\na.png,0,3,0\nb.png,5,9,0\nc.png,1,0,0\nd.png,4,4,0\n"
    )
    write_pictures(tmp_path / "faces", ["a.png", "b.png", "c.png", "d.png"])
    found = applied(
        tmp_path / "mine.toml",
        "a.png,AU1,absent,present,fix,present,1\nb.png,AU1,present,absent,fix,absent,1\n"
        "c.png,AU1,absent,present,keep,absent,1\nc.png,AU12,absent,present,keep,absent,1\n",
    )
    lines = found.content.decode().splitlines()
    # b has one known unit, which was decided; of a only one of two was
    assert lines == ["path,one,twelve,checked", "a.png,2,3,0", "b.png,0,9,1", "c.png,1,0,1", "d.png,4,4,0"]
    with pytest.raises(BadInput, match=r"b\.png' is given '' now, not 'absent'"):
        applied(tmp_path / "mine.toml", "b.png,AU12,absent,present,keep,absent,1\n")
    with pytest.raises(BadInput, match="unknown action unit 'AU2'"):
        applied(tmp_path / "mine.toml", "b.png,AU2,absent,present,keep,absent,1\n")


def test_class_folders_become_a_table(tmp_path: Path) -> None:
    names = [f"{part}/{label}/{n}.png" for part in ("train", "test") for label in ("happy", "sad") for n in (1, 2)]
    write_pictures(tmp_path / "faces", names)
    (tmp_path / "mine.toml").write_text(
        '[protocol]\nname = "mine"\nkind = "expressions"\nlabels = ["happy", "sad"]\n[data]\npictures = "faces"\n'
        '[split]\ntrain = ["train"]\ntest = ["test"]\n[pictures]\nside = 8\n'
    )
    found = applied(tmp_path / "mine.toml", "train/happy/2.png,,happy,sad,fix,sad,1\n")
    assert found.added == {"path": "path", "given": "given", "split": "split"}
    new = table(found)
    assert {row["path"] for row in new} == set(names)
    assert [row for row in new if row["path"].split("/")[1] != row["given"]] == [
        {"path": "train/happy/2.png", "given": "sad", "split": "train"}
    ]


def test_votes_get_a_column_of_labels_and_annotators_are_refused(tmp_path: Path) -> None:
    toml = changed(('given = "given"', 'votes = "v_"'))
    file = write(tmp_path, toml)
    listed = [{**row, "v_happy": "1", "v_sad": str(number % 3), "v_calm": "0"} for number, row in enumerate(rows())]
    write_table(tmp_path / "labels.csv", listed, list(listed[0]))
    found = applied(file, "002.png,,sad,happy,fix,happy,1\n")
    assert found.added == {"given": "given label"}  # the table has a column called given
    assert [row["given label"] for row in table(found)[:3]] == ["happy", "", "happy"]
    file.write_text(changed(('given = "given"', 'given = "given"\nannotator = "fold"')))
    with pytest.raises(BadInput, match="a row for each annotator"):
        applied(file, "002.png,,calm,happy,fix,happy,1\n")


def test_names_that_look_like_formulas_come_back_as_they_were(tmp_path: Path) -> None:
    """The page puts an apostrophe before them, also before one that has some."""
    listed = rows()
    names = ["=a.png", "'=b.png", "'c.png"]
    for row, name in zip(listed, names, strict=False):
        row["path"] = name
    file = write(tmp_path, listed=listed)
    found = applied(file, "'=a.png,,happy,sad,fix,sad,1\n''=b.png,,sad,happy,fix,happy,1\n'c.png,,calm,sad,fix,sad,1\n")
    assert [(row["path"], row["given"]) for row in table(found)[:3]] == list(
        zip(names, ["sad", "happy", "sad"], strict=True)
    )


@pytest.mark.parametrize(("separator", "end"), [(";", "\r\n"), ("\t", "\n"), (",", "\r\n")])
def test_the_new_table_is_written_as_the_old_one_is(tmp_path: Path, separator: str, end: str) -> None:
    file = write(tmp_path)
    old = (tmp_path / "labels.csv").read_text().replace(",", separator).replace("\n", end).encode()
    (tmp_path / "labels.csv").write_bytes(old)
    found = applied(file, "004.png,,calm,sad,fix,sad,1\n")
    pairs = list(zip(old.split(b"\n"), found.content.split(b"\n"), strict=True))
    assert [number for number, (one, other) in enumerate(pairs) if one != other] == [5]  # the header is line 0


def test_a_picture_in_an_ignored_row_too_is_changed_where_it_is_used(tmp_path: Path) -> None:
    listed = rows()
    listed.append({**listed[4], "given": "bad"})
    toml = changed(('pictures = "faces"', 'pictures = "faces"\nignore = ["bad"]'))
    found = applied(write(tmp_path, toml, listed), "004.png,,calm,sad,fix,sad,1\n")
    assert [row["given"] for row in table(found)][4::8] == ["sad", "bad"]


def test_metadata_of_folders_become_one_table_with_the_split(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_pictures(tmp_path / "faces" / part, ["1.png", "2.png"])
        more = ",note" if part == "test" else ""
        (tmp_path / "faces" / part / "metadata.csv").write_text(
            f"file_name,given{more}\n1.png,happy{more}\n2.png,sad{more}\n"
        )
    (tmp_path / "mine.toml").write_text(
        '[protocol]\nname = "mine"\nkind = "expressions"\nlabels = ["happy", "sad"]\n[data]\ntable = "faces"\n'
        'pictures = "faces"\n[data.columns]\npath = "file_name"\nsplit = "split"\n'
        '[split]\ntrain = ["train"]\ntest = ["test"]\n[pictures]\nside = 8\n'
    )
    found = applied(tmp_path / "mine.toml", "train/2.png,,sad,happy,fix,happy,1\n")
    assert found.left_out == ("note",)  # of one file alone, and not read
    assert table(found)[2:] == [
        {"file_name": "train/1.png", "given": "happy", "split": "train"},
        {"file_name": "train/2.png", "given": "happy", "split": "train"},
    ]
    (tmp_path / "new.csv").write_bytes(found.content)
    file = tmp_path / "new.toml"
    file.write_text((tmp_path / "mine.toml").read_text().replace('table = "faces"', 'table = "new.csv"'))
    assert read_labelled(protocol_of_file(file)).given.tolist() == [0, 1, 0, 0]


def test_columns_of_pictures_in_parquet_are_left_out(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {name: [row[name] for row in rows()] for name in ("path", "given", "subject", "split")}
    image = [{"bytes": b"picture", "path": name} for name in columns["path"]]
    file = write(tmp_path, changed(('"labels.csv"', '"labels.parquet"')))
    parquet.write_table(pyarrow.table({"image": image, **columns}), tmp_path / "labels.parquet")
    found = applied(file, "004.png,,calm,sad,fix,sad,1\n")
    assert found.left_out == ("image",)
    assert b"picture" not in found.content
    assert [row["given"] for row in table(found)][4] == "sad"


def test_cells_with_line_ends_stay_one_cell(tmp_path: Path) -> None:
    listed = rows()
    file = write(tmp_path, listed=listed)
    text = (tmp_path / "labels.csv").read_text().replace("s1,", '"a\rb",', 1)
    (tmp_path / "labels.csv").write_text(text, newline="")
    found = applied(file, "000.png,,happy,sad,fix,sad,1\n")
    (tmp_path / "labels.csv").write_bytes(found.content)
    again = read_labelled(protocol_of_file(file))
    assert again.given[0] == 1
    assert "a\rb" in again.subject.tolist()


def test_what_changes_nothing_fits_any_label_and_a_fix_to_the_same_is_kept(tmp_path: Path) -> None:
    file = write(tmp_path)
    found = applied(
        file, "003.png,,sad,calm,unsure,,1\n004.png,,calm,sad,fix,calm,1\n,,,,,,\n./000.png,,happy,sad,fix,sad,1\n"
    )
    assert found.counts == {"keep": 1, "fix": 1, "unsure": 1}
    assert found.verified is None
    assert [number for number, (one, row) in enumerate(zip(table(found), rows(), strict=True)) if one != row] == [0]


def test_a_column_of_verified_rows_can_be_added(tmp_path: Path) -> None:
    file = write(tmp_path)
    (tmp_path / "decisions.csv").write_text(HEAD + "003.png,,happy,sad,keep,happy,1\n004.png,,calm,sad,unsure,,1\n")
    decisions = read_decisions(tmp_path / "decisions.csv")
    found = corrected(protocol_of_file(file), decisions, "seen")
    assert (found.added, found.verified) == ({"verified": "seen"}, 1)
    assert [row["seen"] for row in table(found)] == ["0", "0", "0", "1", *["0"] * 8]
    with pytest.raises(BadInput, match="the column 'subject' is there already"):
        corrected(protocol_of_file(file), decisions, "subject")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "no CSV file of decisions"),
        ("d.json", "[]", "no CSV file of decisions"),
        ("d.csv", "path,unit,given,suggested,suspicion\na,,b,c,1\n", "no column decision; is it the list of suspects"),
        ("d.csv", "path,given\na,b\n", "no column decision; it needs: path, given, decision, label"),
    ],
)
def test_another_file_than_the_pages_is_told(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(BadInput, match=message):
        read_decisions(tmp_path / name)
