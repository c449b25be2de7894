"""Tables and folders that would be read as something else: refused with a command that makes them right, or told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fernoise_bench.protocols.base import Protocol
from fernoise_bench.protocols.catalog import protocol_of_file
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.own_data.definition import protocol_of_toml
from fernoise_bench.protocols.own_data.labelled import read_labelled
from fernoise_bench.protocols.own_data.pictures import prepared
from fernoise_bench.protocols.own_data.template import write_first
from fernoise_bench.protocols.own_data.verify import verify_own

from ..miniatures.own import obey, refusal, write, write_pictures

CLASSES = ("happy", "sad", "calm")
NAMES = [f"faces/{number:02d}.png" for number in range(12)]
ROWS = [f"{name},{CLASSES[number % 3]}" for number, name in enumerate(NAMES)]
GIVEN = [number % 3 for number in range(12)]


def new(file: Path, source: Path) -> Protocol:
    write_first(file, source)
    return protocol_of_file(file)


def labels(protocol: Protocol) -> list[str]:
    return [protocol.names[number] for number in read_labelled(protocol).given.tolist()]


def test_a_table_without_names_of_columns(tmp_path: Path) -> None:
    write_pictures(tmp_path, NAMES)
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(ROWS) + "\n")
    message = refusal(table)
    assert "the first line, 'faces/00.png,happy', is a row, and none has the names of columns" in message
    obey(message)
    assert labels(new(tmp_path / "a.toml", table)) == [CLASSES[number] for number in GIVEN]


def test_a_list_with_blanks(tmp_path: Path) -> None:
    """As the lists of RAF-DB, SFEW and ExpW."""
    write_pictures(tmp_path, NAMES)
    (tmp_path / "label.txt").write_text("\n".join(row.replace(",", " ") for row in ROWS) + "\n")
    obey(refusal(tmp_path / "label.txt"))
    found = labels(new(tmp_path / "a.toml", tmp_path / "label-with-names.csv"))
    assert found == [CLASSES[number] for number in GIVEN]


def test_one_label_written_in_several_ways(tmp_path: Path) -> None:
    rows = [f"{name},{('happy', 'HAPPY', 'Sad', 'sad', 'sad', 'nan')[at % 6]}" for at, name in enumerate(NAMES)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    told = write_first(tmp_path / "a.toml", tmp_path / "labels.csv")
    assert "values: one label each: Sad and sad, HAPPY and happy" in told
    assert "ignore: rows whose label is nan are left out" in told
    protocol = protocol_of_file(tmp_path / "a.toml")
    assert protocol.names == ("happy", "sad")
    assert labels(protocol) == ["happy", "happy", "sad", "sad", "sad"] * 2
    rows = [f"{name},{('1.0', '1', '2.0')[at % 3]}" for at, name in enumerate(NAMES)]
    (tmp_path / "numbers.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    assert labels(new(tmp_path / "b.toml", tmp_path / "numbers.csv")) == ["1", "1", "2.0"] * 4


def test_a_column_of_noisy_labels_is_what_is_given(tmp_path: Path) -> None:
    rows = [f"{row},{CLASSES[(number + 1) % 3]}" for number, row in enumerate(ROWS)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,clean_label,noisy_label", *rows]) + "\n")
    found = read_labelled(protocol := new(tmp_path / "a.toml", tmp_path / "labels.csv"))
    assert protocol.option("reference") == "column"
    assert not (found.given == found.reference).any()


@pytest.mark.parametrize("column", ["success", "confidence"])
def test_faces_that_openface_did_not_find_have_no_labels(column: str, tmp_path: Path) -> None:
    """It writes zeros for their action units, which would be read as absent."""
    table = tmp_path / "of.csv"
    rows = [f"{name}, {'0.00' if at % 3 == 0 else '1'}, {min(at % 3, 1)}, {at % 2}" for at, name in enumerate(NAMES)]
    table.write_text("\n".join([f"file, {column}, AU01_c, AU12_c", *rows]) + "\n")
    message = refusal(table)
    assert f"in 4 rows OpenFace found no face ({column} is 0), and their action units are zeros" in message
    obey(message)
    (tmp_path / "people.csv").write_text(table.read_text().replace("AU01_c", "AU1").replace("AU12_c", "AU12"))
    assert len(read_labelled(new(tmp_path / "b.toml", tmp_path / "people.csv"))) == len(NAMES)
    found = read_labelled(new(tmp_path / "a.toml", tmp_path / "of-found.csv"))
    assert found.path.tolist() == [name for at, name in enumerate(NAMES) if at % 3]
    assert (found.given[:, 0] == 1).all()


def test_class_folders_one_folder_down(tmp_path: Path) -> None:
    write_pictures(tmp_path / "set", [f"data/train/{name}/1.png" for name in CLASSES])
    message = refusal(tmp_path / "set")
    assert message.endswith(
        f"set/data is the only folder with pictures in it, and has the folders train; if these are the classes or "
        f"parts: --from {tmp_path}/set/data"
    )


def test_folders_of_people_are_no_classes(tmp_path: Path) -> None:
    names = [f"actor {person}/{name}/{shot}.png" for person in "abc" for name in CLASSES for shot in range(2)]
    write_pictures(tmp_path / "set", names)
    message = refusal(tmp_path / "set")
    assert "the folders actor a, actor b, actor c hold folders of expressions, so they may be people" in message
    obey(message)
    protocol = new(tmp_path / "a.toml", tmp_path / "set/labels.csv")
    found = read_labelled(protocol)
    assert sorted(found.path.tolist()) == sorted(names)
    assert labels(protocol) == [path.split("/")[1] for path in found.path.tolist()]
    assert found.subject.tolist() == [path.split("/")[0] for path in found.path.tolist()]
    write_pictures(tmp_path / "by class", [f"{name}/actor {person}/1.png" for person in "abc" for name in CLASSES])
    assert new(tmp_path / "b.toml", tmp_path / "by class").names == tuple(sorted(CLASSES))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("faces.zip", b"PK\3\4", "faces.zip: an archive; unpack it and name what was in it: unzip "),
        ("labels.csv.gz", b"\x1f\x8b", "labels.csv.gz: an archive; unpack it and name what was in it: gunzip "),
        ("labels.csv", b"PK\3\4\x14\0\6\0[Content_Types].xml", "an Excel workbook under the name of a table"),
        ("labels.csv", b"<!DOCTYPE html><html>", "no table but a web page"),
        ("labels.csv", b"version https://git-lfs.github.com/spec/v1\n", "no table but a Git LFS stub"),
        ("labels.csv", "path,label\n".encode("utf-16"), "if it is UTF-16: iconv -f UTF-16 -t UTF-8 "),
        ("labels.csv", "path,label\na.png,müde\n".encode("cp1252"), "iconv -f WINDOWS-1252 -t UTF-8 "),
    ],
)
def test_a_file_that_is_no_table_is_told_for_what_it_is(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert says in refusal(tmp_path / name)


def test_what_lies_where_a_table_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").touch()
    assert refusal(tmp_path / "label.csv").endswith("no such folder or table; found there: labels.csv")
    assert refusal(tmp_path / "no/labels.csv").endswith(f"; there is no folder {tmp_path}/no")


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("faces/00.jpg", r"no such picture; found there: 00\.png, "),
        ("faces/00.PNG", r"no such picture; found there: 00\.png, "),
        ("face/00.png", r"no such picture; there is no folder .*/face; "),
        ("faces/Mu\u0308ller.png", r"no such picture, but one of this name in another form of Unicode: write it as"),
    ],
)
def test_a_picture_that_is_not_there(name: str, there: str, tmp_path: Path) -> None:
    write_pictures(tmp_path, [*NAMES, "faces/M\u00fcller.png"])
    rows = [*ROWS, f"{name},sad"]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows]) + "\n", encoding="utf-8")
    protocol = new(tmp_path / "a.toml", tmp_path / "labels.csv")
    with pytest.raises(BadInput, match=there):
        prepared(protocol, read_labelled(protocol), tmp_path / "data")
    quick = verify_own(protocol, workers=1, report=lambda *_: None, quick=True)
    (check,) = (check for check in quick.checks if check.what == "pictures that are there")
    assert (check.expected, check.found) == (13, 12)
    assert not quick.ok


def test_a_class_folder_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    write_pictures(tmp_path / "set", [f"{name}/1.png" for name in CLASSES])
    os.rename(tmp_path / "set/happy", os.fsencode(tmp_path / "set") + b"/h\xff")
    assert "a name that is not UTF-8 (" in refusal(tmp_path / "set")
    assert not (tmp_path / "never.toml").exists()


def test_a_file_of_dots_is_refused_at_once(tmp_path: Path) -> None:
    """Reading it would take half a minute, quadratic in the dots of a key."""
    file = tmp_path / "a.toml"
    file.write_text("a" + ".a" * 32_000 + " = 1\n")
    with pytest.raises(BadInput, match=r"more than 1,000 dots in one line"):
        protocol_of_toml(file)
    names = ", ".join(f'"{number / 7}"' for number in range(900))
    file = write(tmp_path / "b")
    file.write_text(file.read_text() + f"\n[profile.small]\n# {names}\n")
    assert len(protocol_of_toml(file).names) == 3
