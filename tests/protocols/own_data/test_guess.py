"""`data new`: what lies there is written as a file that can be read, and the guesses are right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fernoise_bench.protocols.base import Protocol
from fernoise_bench.protocols.catalog import protocol_of_file
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.own_data.labelled import read_labelled
from fernoise_bench.protocols.own_data.parts import parts_of
from fernoise_bench.protocols.own_data.template import write_first

from ..miniatures.own import HEADER, rows, write_pictures, write_table

Layout = Callable[[Path], Path]


def table(root: Path) -> Path:
    write_pictures(root / "faces", [row["path"] for row in rows()])
    write_table(root / "labels.csv", rows(), HEADER[:-1])
    return root / "labels.csv"


def folder_with_a_table(root: Path) -> Path:
    return table(root).parent


def usage_columns(root: Path) -> Path:
    """As Kaggle writes them, with pictures beside the table."""
    listed = [{**row, "Usage": {"train": "Training", "test": "PublicTest"}[row["split"]]} for row in rows()]
    write_pictures(root, [row["path"] for row in rows()])
    lines = [f"{row['Usage']};{row['path']};{row['given']};{row['subject']}" for row in listed]
    (root / "all.csv").write_text("Usage;Image;Emotion;Person\n" + "\n".join(lines) + "\n")
    return root / "all.csv"


def class_folders(root: Path) -> Path:
    write_pictures(root / "set", [f"{row['split']}/{row['given']}/{row['path']}" for row in rows()])
    return root / "set"


def validation_folders(root: Path) -> Path:
    names = {"train": "train", "test": "valid"}
    write_pictures(root / "set", [f"{names[row['split']]}/{row['given']}/{row['path']}" for row in rows()])
    return root / "set"


def one_tree(root: Path) -> Path:
    write_pictures(root / "set", [f"{row['given']}/{row['path']}" for row in rows()])
    return root / "set"


def imagefolder(root: Path) -> Path:
    for part in ("train", "test"):
        mine = [row for row in rows() if row["split"] == part]
        write_pictures(root / "set" / part, [row["path"] for row in mine])
        text = "".join(f'{{"file_name": "{row["path"]}", "label": "{row["given"]}"}}\n' for row in mine)
        (root / "set" / part / "metadata.jsonl").write_text(text)
    return root / "set"


def guessed(root: Path, source: Path) -> Protocol:
    file = root / "protocols/mine.toml"
    assert write_first(file, source)
    return protocol_of_file(file)


@pytest.mark.parametrize(
    "layout", [table, folder_with_a_table, usage_columns, class_folders, validation_folders, imagefolder]
)
def test_a_split_that_is_there_is_found(tmp_path: Path, layout: Layout) -> None:
    protocol = guessed(tmp_path, layout(tmp_path))
    listed = read_labelled(protocol)
    (found,) = parts_of(protocol, listed).values()
    assert (len(found.train) + len(found.validation), len(found.test)) == (9, 3)
    assert len(found.validation) >= 1
    assert sorted(protocol.names) == ["calm", "happy", "sad"]
    assert dict(protocol.options)["side"] == "8"
    assert protocol.own is not None
    assert all((protocol.own.root / path).is_file() for path in listed.path.tolist())
    right = {row["path"]: row["given"] for row in rows()}
    names = [protocol.names[number] for number in listed.given.tolist()]
    assert names == [right[path.rpartition("/")[2]] for path in listed.path.tolist()]


def test_what_a_table_knows_besides_is_found(tmp_path: Path) -> None:
    protocol = guessed(tmp_path, table(tmp_path))
    assert protocol.offers == {"verified", "noise_rate"}
    assert protocol.option("reference") == "column"
    assert protocol.own is not None
    assert protocol.own.column("subject") == "subject"


def test_without_a_split_there_are_folds(tmp_path: Path) -> None:
    protocol = guessed(tmp_path, one_tree(tmp_path))
    assert protocol.folds == ("fold1", "fold2", "fold3", "fold4", "fold5")
    assert protocol.option("split") == "folds by row"
    write_table(tmp_path / "set/labels.csv", rows(), ["path", "given", "subject", "fold"])
    by_column = protocol_of_file(_new(tmp_path / "b.toml", tmp_path / "set/labels.csv"))
    assert by_column.folds == ("a", "b")
    write_table(tmp_path / "set/labels.csv", rows(), ["path", "given", "subject"])
    assert (
        protocol_of_file(_new(tmp_path / "c.toml", tmp_path / "set/labels.csv")).option("split") == "folds by subject"
    )


def _new(file: Path, source: Path) -> Path:
    write_first(file, source)
    return file


def test_columns_of_action_units_are_found(tmp_path: Path) -> None:
    lines = [f"{number}.jpg,p{number % 3},{number % 2},{number % 3}" for number in range(9)]
    (tmp_path / "aus.csv").write_text("image,subject,AU01,AU12_c\n" + "\n".join(lines) + "\n")
    protocol = guessed(tmp_path, tmp_path / "aus.csv")
    assert (protocol.kind, protocol.names, protocol.option("split")) == ("multi", ("AU1", "AU12"), "folds by subject")
    found = read_labelled(protocol)
    assert found.given[:, 0].tolist() == [-1, 1] * 4 + [-1]
    assert found.given[:, 1].tolist() == [-1, 1, 1] * 3


def test_intensities_of_all_units_are_noticed(tmp_path: Path) -> None:
    lines = [f"{number}.jpg,{number % 4},{number % 3}" for number in range(12)]
    (tmp_path / "aus.csv").write_text("image,AU01,AU12\n" + "\n".join(lines) + "\n")
    found = read_labelled(guessed(tmp_path, tmp_path / "aus.csv"))
    assert found.given[:, 0].tolist() == [-1, -1, 1, 1] * 3  # an intensity of 1 is a trace, which does not count
    assert found.given[:, 1].tolist() == [-1, -1, 1] * 4
    assert "present_from = 2  # the smallest" in (tmp_path / "protocols/mine.toml").read_text()


def units(root: Path, cells: list[str]) -> Path:
    lines = [f"{number}.jpg,{cell},{number % 2}" for number, cell in enumerate(cells)]
    (root / "aus.csv").write_text("image,AU01,AU12\n" + "\n".join(lines) + "\n")
    return root / "aus.csv"


@pytest.mark.parametrize(
    ("cells", "present_from", "signs"),
    [
        (["0.00", "0.49", "0.50", "1.00"], 0.5, [-1, -1, 1, 1]),  # probabilities
        (["0", "1", "2", "0.4"], 1, [-1, 1, 1, -1]),  # intensities beside 0 and 1
        (["0", "1.0", "9", "999"], None, [-1, 1, 0, 0]),
    ],
)
def test_from_what_value_on_a_unit_is_present(
    cells: list[str], present_from: float | None, signs: list[int], tmp_path: Path
) -> None:
    protocol = guessed(tmp_path, units(tmp_path, cells))
    assert protocol.own is not None
    assert protocol.own.present_from == present_from
    assert read_labelled(protocol).given[:, 0].tolist() == signs


def test_percentages_are_no_intensities(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"numbers up to 87 in column AU01: neither 0 and 1, nor probabilities"):
        guessed(tmp_path, units(tmp_path, ["0", "9", "87"]))


def labelled_rows(root: Path, header: str, lines: list[str]) -> Path:
    (root / "t.csv").write_text("\n".join([header, *lines]) + "\n")
    return root / "t.csv"


def test_the_whole_table_is_read_for_its_parts_and_labels(tmp_path: Path) -> None:
    lines = [f"{n}.png,sad,train" for n in range(21_000)] + [f"t{n}.png,happy,test" for n in range(30)]
    protocol = guessed(tmp_path, labelled_rows(tmp_path, "path,label,split", lines))
    assert protocol.own is not None
    assert dict(protocol.own.parts) == {"train": "train", "test": "test"}
    assert protocol.names == ("happy", "sad")


def test_rows_for_evaluation_are_for_validation_or_test(tmp_path: Path) -> None:
    lines = [f"{n}.png,{n % 2},{'train' if n else 'eval'}" for n in range(9)]
    protocol = guessed(tmp_path, labelled_rows(tmp_path, "path,label,split", lines))
    assert protocol.own is not None
    assert dict(protocol.own.parts) == {"train": "train", "eval": "test"}


def test_parts_of_which_one_has_a_name_that_is_not_known_are_asked_about(tmp_path: Path) -> None:
    for other in ("unlabeled", "query"):
        lines = [f"{n}.png,{n % 2},{'train' if n else other}" for n in range(9)]
        with pytest.raises(BadInput, match=rf"column split has .*{other}.*, of which only train is known; which"):
            guessed(tmp_path, labelled_rows(tmp_path, "path,label,split", lines))


def test_a_split_that_names_no_part_is_told(tmp_path: Path) -> None:
    for names, says in ((("train",), "column split has train alone"), (("a", "b"), "has a, b, which name no part")):
        lines = [f"{n}.png,{n // 4},{names[n % len(names)]}" for n in range(9)]
        source = labelled_rows(tmp_path, "path,label,split", lines)
        (tmp_path / "m.toml").unlink(missing_ok=True)
        told = write_first(tmp_path / "m.toml", source)
        (split,) = (line for line in told if line.startswith("split: "))
        assert split.startswith("split: 5 folds by row, since subjects are not known: column split has ")
        assert says in split
        assert "not used: the columns split" in told


def test_folders_of_training_rows_alone(tmp_path: Path) -> None:
    write_pictures(tmp_path / "set", [f"train/{row['given']}/{row['path']}" for row in rows()])
    protocol = guessed(tmp_path, tmp_path / "set")
    assert protocol.names == ("calm", "happy", "sad")
    assert len(read_labelled(protocol)) == 12


@pytest.mark.parametrize(
    ("folds", "says"),
    [
        (("1", "2", "-1"), "fold -1 in column fold, which rows have that are never tested"),
        (("1", "1.0", "2"), "column fold has the folds 1 and 1.0; write one in one way"),
    ],
)
def test_folds_that_are_none(folds: tuple[str, ...], says: str, tmp_path: Path) -> None:
    lines = [f"{n}.png,{n % 2},{folds[n % 3]}" for n in range(9)]
    with pytest.raises(BadInput, match=says):
        guessed(tmp_path, labelled_rows(tmp_path, "path,label,fold", lines))


def test_words_for_no_label_are_no_classes(tmp_path: Path) -> None:
    cells = ["0", "1", "2", "-1", "None", "unknown", "-", "Non-Face"]
    lines = [f"{n}.png,{cells[n % len(cells)]}" for n in range(24)]
    protocol = guessed(tmp_path, labelled_rows(tmp_path, "path,label", lines))
    assert protocol.names == ("0", "1", "2")
    assert len(read_labelled(protocol)) == 9
    lines = [f"{n}.png,{n % 3 - 1}" for n in range(9)]  # negative, neutral, positive
    (tmp_path / "b").mkdir()
    assert set(guessed(tmp_path / "b", labelled_rows(tmp_path, "path,label", lines)).names) == {"-1", "0", "1"}


def test_columns_about_votes_are_no_classes(tmp_path: Path) -> None:
    lines = [f"{n}.png,2,1,1,4,0.5" for n in range(9)]
    header = "path,votes_happy,votes_sad,votes_unknown,votes_total,votes_agreement"
    protocol = guessed(tmp_path, labelled_rows(tmp_path, header, lines))
    assert protocol.names == ("happy", "sad")
    (tmp_path / "b").mkdir()
    source = labelled_rows(
        tmp_path, "path,label,vote_count,vote_agreement", [f"{n}.png,{n % 2},3,0.8" for n in range(9)]
    )
    protocol = guessed(tmp_path / "b", source)
    assert protocol.names == ("0", "1")
    assert protocol.own is not None
    assert not protocol.own.column("votes")


def test_a_column_of_pixels_holds_no_paths(tmp_path: Path) -> None:
    pixels = " ".join(["128"] * 2304)
    source = labelled_rows(tmp_path, "image,label,file", [f"{pixels},{n % 2},{n}.png" for n in range(3)])
    protocol = guessed(tmp_path, source)
    assert protocol.own is not None
    assert protocol.own.column("path") == "file"
    (tmp_path / "protocols/mine.toml").unlink()
    source.write_text(f"image,label\n{pixels},sad\n")
    with pytest.raises(BadInput, match="no column has names of pictures") as caught:
        guessed(tmp_path, source)
    assert len(str(caught.value)) < 500


def test_metadata_of_one_folder_and_a_nested_column(tmp_path: Path) -> None:
    write_pictures(tmp_path / "set/train", [row["path"] for row in rows()])
    text = "".join(f'{{"image": "{r["path"]}", "label": "{r["given"]}", "objects": {{"bbox": []}}}}\n' for r in rows())
    (tmp_path / "set/train/metadata.jsonl").write_text(text)
    protocol = guessed(tmp_path, tmp_path / "set")
    assert protocol.own is not None
    assert all((protocol.own.root / path).is_file() for path in read_labelled(protocol).path.tolist())


def test_folders_with_pictures_of_the_same_names_are_told(tmp_path: Path) -> None:
    source = table(tmp_path)
    write_pictures(tmp_path / "a_blurred", [row["path"] for row in rows()])
    told = write_first(tmp_path / "m.toml", source)
    assert "pictures: 12 of 12 paths lead to a file there, and as many in faces" in told


def test_what_is_not_used_and_how_rows_are_split_is_told(tmp_path: Path) -> None:
    (tmp_path / "aus.csv").write_text("image,AU01,AU12,age,note\n" + "".join(f"{n}.jpg,1,0,3,x\n" for n in range(9)))
    told = write_first(tmp_path / "a.toml", tmp_path / "aus.csv")
    assert "split: 5 folds by row, since subjects are not known: no column or folder gives a split" in told
    assert "not used: the columns age, note" in told
    assert "# present_from = 1" in (tmp_path / "a.toml").read_text()


def test_a_published_name_is_not_taken(tmp_path: Path) -> None:
    for stem, name in (("FER2013-real", "my-FER2013-real"), ("mine", "mine")):
        write_first(tmp_path / f"{stem}.toml", one_tree(tmp_path / stem), {"fer2013-real"})
        assert protocol_of_file(tmp_path / f"{stem}.toml").name == name


def test_pictures_are_prepared_at_their_usual_size_and_none_too_large(tmp_path: Path) -> None:
    for folder, side in (("happy", 300), ("sad", 300), ("calm", 500)):
        (tmp_path / "set" / folder).mkdir(parents=True)
        Image.fromarray(np.zeros((side, side), np.uint8)).save(tmp_path / "set" / folder / "1.png")
    assert guessed(tmp_path, tmp_path / "set").option("side") == "224"


def test_labels_are_written_as_toml(tmp_path: Path) -> None:
    names = ('a "b" \\ c', "#x", "ü")
    write_pictures(tmp_path / "set", [f"{name}/1.png" for name in ("#x", "ü")])
    (tmp_path / "labels.csv").write_text(
        "path,label\n"
        + "".join(f'{number}.png,"{name.replace(chr(34), chr(34) * 2)}"\n' for number, name in enumerate(names))
    )
    assert sorted(guessed(tmp_path, tmp_path / "labels.csv").names) == sorted(names)


def test_names_of_columns_and_labels_cannot_add_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('file,"Label\n[recipe]\nepochs = 1"\na.png,x\nb.png,y\n')
    with pytest.raises(BadInput, match="no column of labels"):
        write_first(tmp_path / "mine.toml", tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text('file,label\na.png,"x\n[recipe]"\nb.png,y\n')
    with pytest.raises(BadInput, match=r"its names do not fit into a protocol .*; rename them") as caught:
        write_first(tmp_path / "mine.toml", tmp_path / "t.csv")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "mine.toml").exists()


def test_what_is_no_data_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    with pytest.raises(BadInput, match="no such folder or table"):
        write_first(file, tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no class folders, no metadata and no table"):
        write_first(file, tmp_path / "empty")
    (tmp_path / "t.csv").write_text("path,age\na.png,3\n")
    with pytest.raises(BadInput, match="no column of labels, as label or emotion, among path, age"):
        write_first(file, tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("name,label\nx,3\n")
    with pytest.raises(BadInput, match="no column has names of pictures"):
        write_first(file, tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("path,label\n" + "".join(f"{n}.png,{n}\n" for n in range(60)))
    with pytest.raises(BadInput, match="60 different labels in column label"):
        write_first(file, tmp_path / "t.csv")
    with pytest.raises(BadInput, match=r"name a file that ends in \.toml"):
        write_first(tmp_path / "mine", tmp_path / "t.csv")
    assert not file.exists()
    file.write_text("mine")
    with pytest.raises(BadInput, match="is there already"):
        write_first(file, tmp_path / "t.csv")
    assert file.read_text() == "mine"
