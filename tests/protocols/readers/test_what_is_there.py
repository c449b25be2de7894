"""A message for what is absent names what is there: files under other names or in other places, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from fernoise_bench.protocols.readers import affectnet, bp4d, disfa, rafdb
from fernoise_bench.protocols.readers.rafdb_noise_lists import find_noisy_list

from ..miniatures import affectnet as mini_affectnet
from ..miniatures import bp4d as mini_bp4d
from ..miniatures import disfa as mini_disfa
from ..miniatures import ferplus as mini_ferplus
from ..miniatures import rafdb as mini_rafdb
from .test_look_around import ferplus, obey, refusal


def test_label_files_and_videos_in_the_folder_itself_are_moved_alone(tmp_path: Path) -> None:
    """Moving all of the folder would move its pictures too, and the folder that takes them into itself."""
    root = mini_bp4d.write_au_occ(tmp_path / "bp4d")
    for path in (root / "AUCoding/AU_OCC").iterdir():
        path.rename(root / path.name)
    message = refusal(bp4d.read, root)
    assert message.endswith(
        f"but {root}/F001_T1.csv is there: mkdir -p {root}/AUCoding && mv {root}/*.csv {root}/AUCoding/"
    )
    obey(message)
    assert len(bp4d.read(root)) == 62
    root = mini_disfa.write_videos(tmp_path / "disfa", picture=None)
    for path in (root / "Videos_LeftCamera").iterdir():
        path.rename(root / path.name)
    obey(refusal(disfa.read, root))
    assert len(disfa.read(root)) == 41


@pytest.mark.parametrize("name", ["fer2013.csv", "fer2013new.csv"])
def test_a_table_in_the_data_root_beside_the_folder(name: str, tmp_path: Path) -> None:
    root = mini_ferplus.write_tables(tmp_path / "ferplus")
    (root / name).rename(tmp_path / name)
    message = refusal(ferplus, root)
    assert message.endswith(f"but {tmp_path}/{name} is there: mv {tmp_path}/{name} {root}/")
    obey(message)
    ferplus(root)


def test_the_archive_of_the_challenge(tmp_path: Path) -> None:
    archive = tmp_path / "challenges-in-representation-learning-facial-expression-recognition-challenge.zip"
    archive.touch()
    message = refusal(ferplus, tmp_path / "ferplus")
    assert message.endswith(f"but {archive} is an archive: unzip {archive} -d {tmp_path}/ferplus")


def test_pictures_that_are_still_packed(tmp_path: Path) -> None:
    root = mini_affectnet.write_csv(tmp_path / "affectnet")
    (root / "Manually_Annotated").rename(tmp_path / "moved")
    archive = root / "Manually_Annotated.part01.rar"
    archive.touch()
    assert refusal(affectnet.read, root).endswith(f"but {archive} is an archive: unrar x {archive} {root}/")


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("list_patition_label(1).txt", "EmoLabel/list_patition_label(1).txt, Image/aligned/test_0001_aligned.jpg"),
        ("list_patition_label.csv", "EmoLabel/list_patition_label.csv, Image/aligned/test_0001_aligned.jpg"),
    ],
)
def test_what_has_no_known_name_is_named(name: str, there: str, tmp_path: Path) -> None:
    root = mini_rafdb.write_official(tmp_path / "rafdb")
    (root / "EmoLabel/list_patition_label.txt").rename(root / "EmoLabel" / name)
    assert f"; found there: {there}; ask for it at" in refusal(rafdb.read, root)
    (tmp_path / "ferplus").mkdir()
    assert "found there" not in refusal(ferplus, tmp_path / "ferplus")
    for other in ("train.csv", "test.csv"):
        (tmp_path / "ferplus" / other).touch()
    assert "; found there: test.csv, train.csv; ask for" in refusal(ferplus, tmp_path / "ferplus")


def test_original_photographs_are_never_to_be_moved_to_the_aligned_ones(tmp_path: Path) -> None:
    root = mini_rafdb.write_official(tmp_path / "rafdb")
    aligned = (root / "Image/aligned").rename(root / "Image/original")
    for path in list(aligned.iterdir()):
        path.rename(path.with_name(path.name.replace("_aligned", "")))
    message = refusal(rafdb.read, root)
    choice = f"echo 'images = \"Image/original\"' >> {root}/fernoise.toml"
    assert message.endswith(
        f"line 1; {root}/Image/original has the pictures as they were before alignment); ask for the aligned ones at "
        f"whdeng.cn/RAF/model1.html, or take these as they are: {choice}"
    )
    obey(message)
    assert rafdb.read(root).layout == "flat, pictures of Image/original"


@pytest.mark.parametrize("place", [".", "EmoLabel/noise", "download"])
def test_a_noisy_list_elsewhere(place: str, tmp_path: Path) -> None:
    root = mini_rafdb.write_official(tmp_path / "rafdb")
    (root / place).mkdir(exist_ok=True)
    mini_rafdb.write_noisy_list(root / place / "0.1noise_train.txt", "scn")
    message = refusal(lambda root: find_noisy_list(root, "EmoLabel/0.1noise_train.txt"), root)
    assert " (there are list_patition_label.txt), but " in message
    obey(message)
    assert find_noisy_list(root, "EmoLabel/0.1noise_train.txt") == root / "EmoLabel/0.1noise_train.txt"
    assert (root / "EmoLabel/list_patition_label.txt").is_file()


def test_a_noisy_list_under_another_name(tmp_path: Path) -> None:
    root = mini_rafdb.write_official(tmp_path / "rafdb")
    mini_rafdb.write_noisy_list(root / "EmoLabel/noise01.txt", "eac")
    assert refusal(lambda root: find_noisy_list(root, "EmoLabel/0.1noise_train.txt"), root) == (
        f"{root}: no EmoLabel/0.1noise_train.txt or basic/EmoLabel/0.1noise_train.txt (there are "
        "list_patition_label.txt, noise01.txt); fetch the list from its authors, whom show protocol names"
    )


def test_a_message_that_says_the_way_on_lists_nothing(tmp_path: Path) -> None:
    root = mini_disfa.write_videos(tmp_path / "disfa", picture=None, side="Right", folder="Videos_RightCamera")
    message = refusal(disfa.read, root)
    assert 'pictures of the right camera only: camera = "right" in fernoise.toml takes them); ask for' in message
