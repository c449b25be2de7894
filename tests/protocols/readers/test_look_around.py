"""What a message says of an absent data set that lies near: each a miniature, its exact line, and its command run."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.readers import affectnet, bp4d, disfa, emotionet, fer2013, openface, rafdb
from fernoise_bench.protocols.readers.archives import ending_of, unpack
from fernoise_bench.protocols.readers.look_around import Signs, first_picture, look_around

from ..miniatures import affectnet as mini_affectnet
from ..miniatures import bp4d as mini_bp4d
from ..miniatures import disfa as mini_disfa
from ..miniatures import emotionet as mini_emotionet
from ..miniatures import ferplus as mini_ferplus
from ..miniatures import openface as mini_openface
from ..miniatures import rafdb as mini_rafdb

Read = Callable[[Path], object]

RAFDB = (
    "rafdb: nothing usable in {root} (EmoLabel/list_patition_label.txt with Image/aligned/, or folders train/1 to "
    "train/7), but "
)
FERPLUS = (
    "FER2013 and FER+: no fer2013.csv (nor icml_face_data.csv, nor FER2013Train, FER2013Valid, FER2013Test) in {root}, "
    "but "
)
AFFECTNET = "affectnet: nothing usable in {root} (no train, validation, automatic: neither training.csv and the like "
AFFECTNET += "nor train_set/), but "
BP4D = "BP4D: nothing usable in {root} (no label file such as F001_T1.csv in AUCoding/AU_OCC or AUCoding/AUCoding or "
BP4D += "AUCoding), but "
DISFA = "DISFA: nothing usable in {root} (no label file such as ActionUnit_Labels/SN001/SN001_au1.txt), but "
EMOTIONET = "emotionet: nothing usable in {root} (EmotioNet_FACS_aws_2020_24600.csv, dataFile_NNNN.txt, pictures), but "


def refusal(read: Read, root: Path) -> str:
    """The line that a reader refuses a folder with."""
    with pytest.raises(BadInput) as caught:
        read(root)
    message = str(caught.value)
    assert message.isprintable()
    return message


def ferplus(root: Path) -> object:
    return fer2013.read(root, partial=True)


def obey(message: str) -> None:
    """Runs the command at the end of a message."""
    subprocess.run(message[message.rindex(": ") + 2 :], shell=True, check=True, capture_output=True)


# --- one folder down, doubled, in another case: the command makes it readable


@pytest.mark.parametrize(
    ("read", "write", "place", "head", "mark"),
    [
        (ferplus, mini_ferplus.write_tables, "ferplus/fer2013", FERPLUS, "fer2013.csv"),
        (rafdb.read, mini_rafdb.write_official, "rafdb/RAF-DB/basic", RAFDB, "EmoLabel"),
        (rafdb.read, mini_rafdb.write_class_folders, "rafdb/rafdb", RAFDB, "train/1"),
        (affectnet.read, mini_affectnet.write_2021, "affectnet/a/b", AFFECTNET, "train_set/annotations"),
        (bp4d.read, mini_bp4d.write_au_occ, "bp4d/BP4D", BP4D, "AUCoding"),
        (disfa.read, mini_disfa.write_img, "disfa/it's here", DISFA, "ActionUnit_Labels"),
    ],
)
def test_one_folder_down(
    read: Read, write: Callable[[Path], Path], place: str, head: str, mark: str, tmp_path: Path
) -> None:
    root, there = tmp_path / place.partition("/")[0], tmp_path / place
    there.parent.mkdir(parents=True)
    write(there)
    message = refusal(read, root)
    quoted = f"'{there}'".replace("it's", """it'"'"'s""") if "'" in str(there) else str(there)
    assert message == head.format(root=root) + f"{there / mark} is there: mv {quoted}/* {root}/"
    obey(message)
    read(root)


def test_the_votes_one_folder_down(tmp_path: Path) -> None:
    root = mini_ferplus.write_tables(tmp_path / "ferplus")
    (root / "FERPlus-master").mkdir()
    there = (root / "fer2013new.csv").rename(root / "FERPlus-master/fer2013new.csv")
    message = refusal(ferplus, root)
    assert (
        message
        == f"FER+: no fer2013new.csv beside fer2013.csv in {root}, but {there} is there: mv {there.parent}/* {root}/"
    )
    obey(message)
    ferplus(root)


def test_doubled_folders_of_pictures_and_labels(tmp_path: Path) -> None:
    root = mini_rafdb.write_official(tmp_path / "rafdb" / "basic").parent
    aligned = root / "basic/Image/aligned"
    aligned.rename(tmp_path / "moved")
    aligned.mkdir()
    (tmp_path / "moved").rename(aligned / "aligned")
    message = refusal(rafdb.read, root)
    assert message == (
        f"rafdb: nothing usable in {root} (35 rows but none of their pictures, the first "
        "basic/EmoLabel/list_patition_label.txt, line 1: train_00001_aligned.jpg; pictures there have names such as "
        "basic/Image/aligned/aligned/test_0001_aligned.jpg), but "
        f"{aligned}/aligned/train_00001_aligned.jpg is there: mv {aligned}/aligned/* {aligned}/"
    )
    obey(message)
    assert len(rafdb.read(root)) == 35
    labels = mini_disfa.write_img(tmp_path / "disfa") / "ActionUnit_Labels"
    labels.rename(tmp_path / "moved")
    labels.mkdir()
    (tmp_path / "moved").rename(labels / "ActionUnit_Labels")
    message = refusal(disfa.read, tmp_path / "disfa")
    there = labels / "ActionUnit_Labels"
    assert message == DISFA.format(root=tmp_path / "disfa") + f"{there} is there: mv {there}/* {labels}/"
    obey(message)
    disfa.read(tmp_path / "disfa")


def test_pictures_of_bp4d_and_videos_of_disfa_elsewhere(tmp_path: Path) -> None:
    root = mini_bp4d.write_au_occ(tmp_path / "bp4d")
    (root / "2D").mkdir()
    (root / "Sequences").rename(root / "2D/frames")
    message = refusal(bp4d.read, root)
    assert message.endswith(
        f", but {root}/2D/frames/F001 is there: mkdir -p {root}/Sequences && mv {root}/2D/frames/* {root}/Sequences/"
    )
    obey(message)
    bp4d.read(root)
    root = mini_disfa.write_videos(tmp_path / "disfa", picture=None)
    (root / "Videos_LeftCamera").rename(root / "left videos")
    message = refusal(disfa.read, root)
    assert "; pictures there are such as left videos/LeftVideoSN001_comp.avi), but " in message
    obey(message)
    disfa.read(root)


def test_names_in_another_case(tmp_path: Path) -> None:
    root = mini_ferplus.write_tables(tmp_path / "ferplus")
    (root / "fer2013.csv").rename(root / "FER2013.CSV")
    message = refusal(ferplus, root)
    assert message == FERPLUS.format(root=root) + (
        f"{root}/FER2013.CSV is there: mv {root}/FER2013.CSV {root}/fer2013.csv"
    )
    obey(message)
    ferplus(root)


# --- the folder under another name, or the data root itself


@pytest.mark.parametrize(
    ("read", "write", "name", "right", "head"),
    [
        (ferplus, mini_ferplus.write_tables, "FER2013", "ferplus", FERPLUS),
        (rafdb.read, mini_rafdb.write_official, "RAF-DB", "rafdb", RAFDB),
        (affectnet.read, mini_affectnet.write_csv, "AffectNet", "affectnet", AFFECTNET),
        (bp4d.read, mini_bp4d.write_au_occ, "BP4D-Spontaneous", "bp4d", BP4D),
        (disfa.read, mini_disfa.write_img, "DISFA", "disfa", DISFA),
        (disfa.read, mini_disfa.write_img, "D.I.S.F.A_2013", "disfa", DISFA),
        (emotionet.read, mini_emotionet.write_2020, "EmotioNet", "emotionet", EMOTIONET),
    ],
)
def test_another_name(
    read: Read, write: Callable[[Path], Path], name: str, right: str, head: str, tmp_path: Path
) -> None:
    there, root = write(tmp_path / name), tmp_path / right
    message = refusal(read, root)
    assert message == head.format(root=root) + f"{there} is there: mv {there} {root}"
    obey(message)
    read(root)


def test_an_empty_folder_of_the_right_name_takes_the_content(tmp_path: Path) -> None:
    there, root = mini_rafdb.write_official(tmp_path / "RAF-DB"), tmp_path / "rafdb"
    root.mkdir()
    message = refusal(rafdb.read, root)
    assert message == RAFDB.format(root=root) + f"{there} is there: mv {there}/* {root}/"
    obey(message)
    rafdb.read(root)


@pytest.mark.parametrize("name", ["DISFA+", "DISFAPlus", "disfa0", "DISFA2", "data", "backup"])
def test_another_data_set_is_not_taken_for_it(name: str, tmp_path: Path) -> None:
    mini_disfa.write_img(tmp_path / name)
    assert "ask for it at mohammadmahoor.com/disfa" in refusal(disfa.read, tmp_path / "disfa")


def test_the_data_root_is_the_data_set_itself(tmp_path: Path) -> None:
    home = mini_rafdb.write_official(tmp_path / "rafdb")
    message = refusal(rafdb.read, home / "rafdb")
    assert message == RAFDB.format(root=home / "rafdb") + f"{home}/EmoLabel is there: use --data-root {tmp_path}"
    home = home.rename(tmp_path / "RAF-DB")
    message = refusal(rafdb.read, home / "rafdb")
    assert message == RAFDB.format(root=home / "rafdb") + (
        f"{home}/EmoLabel is there: mv {home} {tmp_path}/rafdb, and use --data-root {tmp_path}"
    )


def test_tables_in_the_data_root(tmp_path: Path) -> None:
    home = mini_ferplus.write_tables(tmp_path / "data")
    message = refusal(ferplus, home / "ferplus")
    moved = f"mv {home}/fer2013.csv {home}/fer2013new.csv {home}/ferplus/"
    assert message == FERPLUS.format(root=home / "ferplus") + (
        f"{home}/fer2013.csv is there: mkdir -p {home}/ferplus && {moved}"
    )
    obey(message)
    ferplus(home / "ferplus")


def test_a_file_where_the_folder_is_meant(tmp_path: Path) -> None:
    (tmp_path / "rafdb").touch()
    assert refusal(rafdb.read, tmp_path / "rafdb").endswith(f"but {tmp_path}/rafdb is a file, not a folder")


# --- archives


def zipped(folder: Path, archive: Path) -> Path:
    archive.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.make_archive(str(archive.with_suffix("")), "zip", folder))


@pytest.mark.parametrize("place", ["RAF-DB.zip", "rafdb/basic.zip", "rafdb/download/basic.zip"])
def test_a_zip_archive(place: str, tmp_path: Path) -> None:
    root = tmp_path / "data" / "rafdb"
    archive = zipped(mini_rafdb.write_official(tmp_path / "made"), tmp_path / "data" / place)
    into = root if place == "RAF-DB.zip" else archive.parent
    message = refusal(rafdb.read, root)
    assert message == RAFDB.format(root=root) + f"{archive} is an archive: unzip {archive} -d {into}"


def test_a_tar_archive_is_unpacked_into_the_folder(tmp_path: Path) -> None:
    made, root = mini_disfa.write_img(tmp_path / "made"), tmp_path / "disfa"
    archive = Path(shutil.make_archive(str(tmp_path / "DISFA"), "gztar", made))
    message = refusal(disfa.read, root)
    assert message == DISFA.format(root=root) + (
        f"{archive} is an archive: mkdir -p {root} && tar -xf {archive} -C {root}"
    )
    obey(message)
    disfa.read(root)


def test_a_packed_table(tmp_path: Path) -> None:
    root = mini_ferplus.write_tables(tmp_path / "ferplus")
    packed = root / "fer2013.csv.gz"
    packed.write_bytes(gzip.compress((root / "fer2013.csv").read_bytes()))
    (root / "fer2013.csv").unlink()
    message = refusal(ferplus, root)
    assert message == FERPLUS.format(root=root) + f"{packed} is an archive: gunzip {packed}"
    obey(message)
    ferplus(root)


@pytest.mark.parametrize(
    ("name", "ending", "command"),
    [
        ("a.tar", ".tar", "mkdir -p 'my set' && tar -xf a.tar -C 'my set'"),
        ("a.tgz", ".tgz", "mkdir -p 'my set' && tar -xf a.tgz -C 'my set'"),
        ("a.TAR.bz2", ".TAR.bz2", "mkdir -p 'my set' && tar -xf a.TAR.bz2 -C 'my set'"),
        ("a.rar", ".rar", "unrar x a.rar 'my set'/"),
        ("a.7Z", ".7Z", "7z x a.7Z -o'my set'"),
        ("a.csv.gz", ".gz", "gunzip a.csv.gz"),
    ],
)
def test_archives_by_name(name: str, ending: str, command: str) -> None:
    assert ending_of(name) == ending
    assert unpack(Path(name), ending, Path("my set")) == command
    assert ending_of("zip") == ending_of("a.csv") == ending_of("a.zip.txt") == ""


# --- class folders, and names that do not match


def test_class_folders_where_a_list_was_meant(tmp_path: Path) -> None:
    for name in ("angry", "happy", "neutral"):
        (tmp_path / "ferplus/train" / name).mkdir(parents=True)
        (tmp_path / "affectnet/Train" / name.title()).mkdir(parents=True)
    message = refusal(ferplus, tmp_path / "ferplus")
    assert message == (
        "FER2013 and FER+: no fer2013.csv (nor icml_face_data.csv, nor FER2013Train, FER2013Valid, FER2013Test) in "
        f"{tmp_path}/ferplus, only class folders such as {tmp_path}/ferplus/train/angry, which hold no list; ask for "
        'fer2013.csv at Kaggle, "Challenges in Representation Learning: Facial Expression Recognition Challenge", for '
        "fer2013new.csv at github.com/microsoft/FERPlus, or run with --synthetic, which needs no data"
    )
    message = refusal(affectnet.read, tmp_path / "affectnet")
    assert f"only class folders such as {tmp_path}/affectnet/Train/Angry, which hold no list; ask for it at" in message


@pytest.mark.parametrize("names", [range(7), range(1, 8), range(8)])
def test_class_folders_named_by_codes(names: range, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / "ferplus" / "train" / str(name)).mkdir(parents=True)
    first = tmp_path / "ferplus" / "train" / str(names[0])
    assert f", only class folders such as {first}, which hold no list; ask" in refusal(ferplus, tmp_path / "ferplus")
    (tmp_path / "ferplus" / "train" / "12").mkdir()  # as AffectNet's folders of pictures
    assert "class folders" not in refusal(ferplus, tmp_path / "ferplus")


def test_the_part_of_affectnet_that_is_there_is_not_taken_for_a_missing_one(tmp_path: Path) -> None:
    root = mini_affectnet.write_csv(tmp_path / "affectnet")
    message = refusal(lambda root: affectnet.read(root, ["train", "automatic"]), root)
    assert "(no automatic: neither training.csv and the like nor train_set/); found there: " in message
    assert ", but " not in message


def test_a_list_with_class_folders_beside_it(tmp_path: Path) -> None:
    root = mini_rafdb.write_class_folders(tmp_path / "rafdb")
    mini_rafdb.write_list(root / "EmoLabel/list_patition_label.txt", mini_rafdb.SOME)
    message = refusal(rafdb.read, root)
    assert message == (
        f"rafdb: nothing usable in {root} (35 rows but none of their pictures, the first "
        "EmoLabel/list_patition_label.txt, line 1), but class folders are there: "
        f"echo 'layout = \"folders\"' >> {root}/fernoise.toml"
    )
    obey(message)
    assert len(rafdb.read(root)) == 35


def test_names_that_do_not_match_come_with_two_examples(tmp_path: Path) -> None:
    root = mini_rafdb.write_official(tmp_path / "rafdb")
    for number, path in enumerate(sorted((root / "Image/aligned").iterdir())):
        path.rename(path.with_name(f"img_{number}.jpg"))
    assert "line 1: train_00001_aligned.jpg; pictures there have names such as Image/aligned/img_0.jpg)" in (
        refusal(rafdb.read, root)
    )
    root = mini_bp4d.write_au_occ(tmp_path / "bp4d")
    for path in sorted((root / "Sequences").rglob("*.jpg")):
        path.rename(path.with_name(f"frame{path.stem}x.jpg"))
    assert (
        "with frame_offset = 0, not even Sequences/F001/T1/2440.jpg; pictures there have names such as "
        "Sequences/F001/T1/frame2440x.jpg)"
    ) in refusal(bp4d.read, root)
    root = mini_emotionet.write_2020(tmp_path / "emotionet", folders="imgs")
    for number, path in enumerate(sorted((root / "imgs").iterdir())):
        path.rename(path.with_name(f"000{number}.jpg"))
    table = root / mini_emotionet.FILE_2020
    assert f"({table}, line 2: N_0000000001_00000 has no picture, imgs/0000.jpg no row)" in refusal(
        emotionet.read, root
    )
    paths = ["Image/aligned/train_00001_aligned.jpg"]
    mini_openface.write_folder(tmp_path / "openface", "rafdb", ["img_1.jpg"])
    assert f"not even 'img_1.csv'; its pictures are named such as '{paths[0]}'" in refusal(
        lambda root: openface.read_for(root, "rafdb", paths), tmp_path / "openface"
    )


def test_pictures_in_an_archive_where_none_was_found(tmp_path: Path) -> None:
    root = mini_emotionet.write_2020(tmp_path / "emotionet", folders="imgs")
    shutil.rmtree(root / "imgs")
    with zipfile.ZipFile(root / "imgs.zip", "w") as archive:
        archive.writestr("imgs/N_0000000001_00000.jpg", b"")
    message = refusal(emotionet.read, root)
    assert message.endswith(f", but {root}/imgs.zip is an archive: unzip {root}/imgs.zip -d {root}")


# --- bounded, and only reading


def test_a_folder_of_many_entries_costs_little_and_nothing_changes(tmp_path: Path) -> None:
    root = tmp_path / "rafdb"
    for number in range(400):
        (root / "a" / str(number) / "b").mkdir(parents=True)
    for number in range(3_000):
        (root / f"{number}.txt").touch()
    before = sorted(os.walk(root))
    began = time.perf_counter()
    assert look_around(root, Signs(("nothing",), ("rafdb",))) == ""
    assert time.perf_counter() - began < 5
    assert sorted(os.walk(root)) == before


def test_folders_that_cannot_be_read_and_links_in_a_circle_are_passed_over(tmp_path: Path) -> None:
    root = tmp_path / "rafdb"
    (root / "a").mkdir(parents=True)
    (root / "a" / "loop").symlink_to(root)
    (root / "dead").symlink_to(tmp_path / "nowhere")
    assert look_around(root, Signs(("nothing",), ("rafdb",))) == ""
    assert first_picture(root) == first_picture(tmp_path / "nowhere") == ""
