"""EmotioNet: what is refused, with file, line, value and remedy."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fernoise_bench.protocols.readers.emotionet import read

from ..miniatures import emotionet as mini
from ..miniatures.emotionet import AUTOMATIC, FILE_2020, MANUAL
from .test_emotionet import check_rows, refusal, replace


def test_an_absent_data_set_says_where_to_ask(tmp_path: Path) -> None:
    for root in (tmp_path / "nowhere", tmp_path):
        message = refusal(root)
        assert message.startswith(f"emotionet: nothing usable in {root}")
        assert "Ohio State University" in message
        assert "--synthetic" in message


def test_a_spreadsheet_must_be_saved_as_csv(tmp_path: Path) -> None:
    (tmp_path / "EmotioNet_FACS_aws_2020_24600.xlsx").write_bytes(b"PK")
    assert "EmotioNet_FACS_aws_2020_24600.xlsx must be saved as CSV" in refusal(tmp_path)


def test_pictures_under_running_numbers_are_refused(tmp_path: Path) -> None:
    mini.write_2020(tmp_path, folders="imgs")
    for number, path in enumerate(sorted((tmp_path / "imgs").iterdir())):
        path.rename(path.with_name(f"000{number}.jpg"))
    assert "none of the 6 pictures in" in refusal(tmp_path)
    assert "download them again" in refusal(tmp_path)


@pytest.mark.parametrize("value", ["2", "-1", "9", "99", "0.5", "present"])
def test_values_other_than_0_1_999_are_refused(tmp_path: Path, value: str) -> None:
    mini.write_both(tmp_path)
    header, first, *rest = mini.manual_rows()
    cells = first.split(",")
    cells[2 + 12 - 1] = value
    mini.write_lines(tmp_path / FILE_2020, [header, ",".join(cells), *rest])
    assert f"{FILE_2020}, line 2: AU 12 is '{value}', not 0, 1 or 999" in refusal(tmp_path)

    mini.write_lines(tmp_path / FILE_2020, mini.manual_rows())
    text = tmp_path / mini.PACKAGE / "dataFile_0002.txt"
    fields = mini.text_rows([AUTOMATIC[6]])[0].split("\t")
    fields[2 + 43 - 1] = value
    mini.write_lines(text, [mini.text_rows([AUTOMATIC[5]])[0], "\t".join(fields)])
    assert f"{text}, line 2: AU 43 is '{value}', not 0, 1 or 999" in refusal(tmp_path)


def test_other_aus_do_not_matter(tmp_path: Path) -> None:
    mini.write_2020(tmp_path)
    header, first, *rest = mini.manual_rows()
    cells = first.split(",")
    cells[2 + 3 - 1] = "?"
    mini.write_lines(tmp_path / FILE_2020, [header, ",".join(cells), *rest])
    check_rows(read(tmp_path), "manual", MANUAL)


TABLE_FAULTS: list[tuple[Callable[[bytes], bytes], str]] = [
    (lambda text: b"", "the file is empty"),
    (lambda text: text.replace(b"'AU 26'", b"'AU 62'"), "line 1: no column AU 26 in the header"),
    (lambda text: text.replace(b"'AU 27'", b"AU26"), "line 1: two columns for AU 26 in the header"),
    (lambda text: text.replace(b"URL,", b"Link,", 1), "line 1: no column URL (or path) in the header"),
    (lambda text: text[:-30], "line 7: the file looks truncated, it stops within this line"),
    (lambda text: text.replace(b"photo", b"pho,to", 1), "line 2: 63 fields instead of 62"),
    (lambda text: text.replace(b"photo", b"pho\0to", 1), "line 2: a NUL byte"),
    (lambda text: text.decode().encode("utf-16"), "line 1: a NUL byte"),
    (lambda text: text.replace(b"photo", b"gr\xf6\xdfe", 1), "line 2: byte 0xf6, so this is no UTF-8 text"),
    (lambda text: text.replace(b"\r\n", b"\r\n\r\n", 2), "line 2: an empty line between rows"),
    (lambda text: text.replace(mini.name(0).encode(), b""), "names no picture"),
    (lambda text: text.replace(mini.name(0).encode(), b".."), "names no picture"),
]


@pytest.mark.parametrize(("damage", "message"), TABLE_FAULTS)
def test_damaged_tables_are_refused(tmp_path: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    path = mini.write_2020(tmp_path) / FILE_2020
    path.write_bytes(damage(path.read_bytes()))
    refused = refusal(tmp_path)
    assert message in refused
    assert str(path) in refused
    assert "; " in refused


TEXT_FAULTS: list[tuple[Callable[[bytes], bytes], str]] = [
    (lambda text: b"", "the file is empty"),
    (lambda text: text[:-30], "line 5: the file looks truncated, it stops within this line"),
    (lambda text: text.replace(b"\t0\t", b"\t", 1), "line 1: 61 tab-separated fields instead of 62"),
    (lambda text: text.replace(b"\t", b","), "line 1: 1 tab-separated fields instead of 62"),
    (lambda text: text.replace(b"photo", b"pho\0to", 1), "line 1: a NUL byte"),
    (lambda text: text.decode().encode("utf-16"), "line 1: a NUL byte"),
    (lambda text: text.replace(b"\n", b"\n\n", 2), "line 2: an empty line between rows"),
    (lambda text: text.replace(mini.name(100).encode(), b""), "line 1: URL"),
]


@pytest.mark.parametrize(("damage", "message"), TEXT_FAULTS)
def test_damaged_text_files_are_refused(tmp_path: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    path = mini.write_automatic(tmp_path) / mini.PACKAGE / "dataFile_0001.txt"
    path.write_bytes(damage(path.read_bytes()))
    refused = refusal(tmp_path)
    assert message in refused
    assert str(path) in refused


def test_names_cannot_leave_the_folder(tmp_path: Path) -> None:
    mini.write_image_lists(tmp_path / "root")
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"")
    listing_file = tmp_path / "root" / "image_list_00.csv"
    replace(listing_file, f"{mini.name(100)[:12]}/{mini.name(100)}", "../secret.jpg")
    replace(listing_file, f"{mini.name(101)[:12]}/{mini.name(101)}", f"/home/other/{mini.name(101)}")
    listing = read(tmp_path / "root")
    check_rows(listing, "automatic", AUTOMATIC[1:])


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    mini.write_2020(tmp_path)
    mini.write_lines(tmp_path / FILE_2020, mini.manual_rows([]))
    assert "has the base name of a URL in the label files" in refusal(tmp_path)
