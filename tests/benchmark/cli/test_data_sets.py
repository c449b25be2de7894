"""`data verify`, `data prepare` and `data fingerprint` on a miniature copy of every published layout."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from fernoise_bench.protocols.images import landmarks
from fernoise_bench.protocols.images.alignment import NAME, TEMPLATE
from fernoise_bench.protocols.packs.prepare import open_pack

from ...protocols.miniatures import affectnet as miniature_affectnet
from ...protocols.miniatures import bp4d as miniature_bp4d
from ...protocols.miniatures import cremad as miniature_cremad
from ...protocols.miniatures import disfa as miniature_disfa
from ...protocols.miniatures import emotionet as miniature_emotionet
from ...protocols.miniatures import rafdb as miniature_rafdb
from .test_data import MINIATURES, Write, run

EVERY = pytest.mark.parametrize(
    ("name", "write"), MINIATURES, ids=[f"{name}-{number}" for number, (name, _) in enumerate(MINIATURES)]
)


def at(root: Path, *words: str) -> Result:
    return run(*words, "--data-root", str(root))


def refused(result: Result, *parts: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    assert all(part in result.stderr for part in parts), result.stderr


def needs_av(write: Write) -> None:
    if write in (miniature_disfa.write_videos, miniature_cremad.write, miniature_cremad.write_with_responses):
        pytest.importorskip("av")


@EVERY
def test_every_picture_is_decoded_and_compared(name: str, write: Write, tmp_path: Path) -> None:
    needs_av(write)
    write(tmp_path / name)
    result = at(tmp_path, "verify", name, "--json")
    assert result.exit_code == 1, result.output
    found = json.loads(result.output)
    checks = {check["what"]: check for check in found["checks"]}
    assert found["bad"] == []
    usable = checks["pictures that can be decoded"]
    assert usable["expected"] == usable["found"] == found["rows"]
    if name in ("bp4d", "disfa", "cremad"):
        assert {f"subjects, part{n}" for n in (1, 2, 3)} < checks.keys()
        assert checks["subjects outside their published part"]["found"] == 0
        assert {f"pictures of part{b} that are also in part{a}" for a, b in ((1, 2), (1, 3), (2, 3))} < checks.keys()
    quick = json.loads(at(tmp_path, "verify", name, "--quick", "--json").output)
    assert quick["quick"] is True
    assert [check for check in found["checks"] if "pictures" not in check["what"]] == [
        check for check in quick["checks"] if "pictures" not in check["what"]
    ]
    assert not any(check["what"] == "pictures that can be decoded" for check in quick["checks"])


@EVERY
def test_every_layout_is_prepared_and_has_a_fingerprint(name: str, write: Write, tmp_path: Path) -> None:
    needs_av(write)
    write(tmp_path / name)
    assert at(tmp_path, "prepare", name, "--side", "12").exit_code == 0
    pack = open_pack(tmp_path / "packs" / f"{name}-12", pixels=True)
    (whole,) = json.loads(at(tmp_path, "fingerprint", name, "--json").output)
    (packed,) = json.loads(at(tmp_path, "fingerprint", name, "--side", "12", "--json").output)
    assert whole["rows"] == packed["rows"] == len(pack)
    assert whole["labels"] == packed["labels"]
    assert len({whole["labels"], whole["pixels"], whole["content"], packed["content"]}) == 4
    text = at(tmp_path, "fingerprint").output
    assert all(whole[part] in text for part in ("labels", "pixels", "content"))


@pytest.mark.parametrize(
    ("name", "layouts"),
    [
        ("rafdb", tuple(miniature_rafdb.LAYOUTS.values())),
        ("bp4d", miniature_bp4d.LAYOUTS),
        ("emotionet", (miniature_emotionet.write_2020, miniature_emotionet.write_2020_in_labels)),
        ("affectnet", (miniature_affectnet.write_csv, lambda root: miniature_affectnet.write_csv(root, header=False))),
    ],
)
def test_the_layout_does_not_matter_to_a_fingerprint(name: str, layouts: tuple[Write, ...], tmp_path: Path) -> None:
    found = set()
    for number, write in enumerate(layouts):
        root = tmp_path / str(number)
        write(root / name)
        (one,) = json.loads(at(root, "fingerprint", name, "--json").output)
        found.add((one["labels"], one["pixels"], one["content"]))
    assert len(found) == 1


def test_workers_change_nothing(tmp_path: Path) -> None:
    miniature_rafdb.write_official(tmp_path / "rafdb")
    for words in (("verify", "rafdb", "--json"), ("fingerprint", "rafdb", "--json")):
        assert at(tmp_path, *words).output == at(tmp_path, *words, "--workers", "2").output


def test_a_damaged_picture_is_named_and_exit_code_2(tmp_path: Path) -> None:
    miniature_rafdb.write_official(tmp_path / "rafdb")
    pictures = tmp_path / "rafdb/Image/aligned"
    (pictures / "train_00003_aligned.jpg").write_bytes(b"junk")
    whole = (pictures / "test_0002_aligned.jpg").read_bytes()
    (pictures / "test_0002_aligned.jpg").write_bytes(whole[: len(whole) // 2])
    result = at(tmp_path, "verify", "rafdb", "--json")
    assert result.exit_code == 2
    found = json.loads(result.output)
    assert [line.partition(":")[0] for line in found["bad"]] == [
        "Image/aligned/train_00003_aligned.jpg",
        "Image/aligned/test_0002_aligned.jpg",
    ]
    assert str(tmp_path) not in result.output
    text = at(tmp_path, "verify", "rafdb")
    assert text.exit_code == 2
    assert "damaged: 2 pictures cannot be decoded" in text.output
    assert at(tmp_path, "verify", "rafdb", "--quick").exit_code == 1
    refused(at(tmp_path, "fingerprint", "rafdb"), "2 pictures cannot be decoded", "train_00003_aligned.jpg")


def test_a_copy_of_a_training_picture_in_the_test_part_is_named(tmp_path: Path) -> None:
    """Also when it was saved in another format."""
    miniature_rafdb.write_official(tmp_path / "rafdb")
    pictures = tmp_path / "rafdb/Image/aligned"
    with Image.open(pictures / "train_00002_aligned.jpg") as picture:
        picture.convert("RGB").save(pictures / "test_0004_aligned.jpg", "PNG")
    found = json.loads(at(tmp_path, "verify", "rafdb", "--json").output)
    (check,) = [one for one in found["checks"] if one["what"] == "pictures of test that are also in train"]
    assert (check["found"], check["ok"]) == (1, "NO")
    assert check["where"] == "Image/aligned/test_0004_aligned.jpg is Image/aligned/train_00002_aligned.jpg"


def test_other_labels_or_pixels_give_another_fingerprint(tmp_path: Path) -> None:
    def found(name: str, change: Any = None) -> dict[str, str]:
        root = tmp_path / name
        miniature_rafdb.write_official(root / "rafdb")
        if change:
            change(root / "rafdb")
        (one,) = json.loads(at(root, "fingerprint", "rafdb", "--json").output)
        return {part: one[part] for part in ("labels", "pixels", "content")}

    def relabel(root: Path) -> None:
        file = root / "EmoLabel/list_patition_label.txt"
        file.write_text(file.read_text().replace("train_00001.jpg 1", "train_00001.jpg 2"))

    def swap(root: Path) -> None:
        """Two pictures change places: the same labels, the same pixels, not the same data."""
        first, second = (root / f"Image/aligned/train_0000{n}_aligned.jpg" for n in (1, 2))
        first.rename(root / "kept")
        second.rename(first)
        (root / "kept").rename(second)

    one, relabelled, swapped = found("one"), found("relabelled", relabel), found("swapped", swap)
    assert relabelled["pixels"] == one["pixels"]
    assert relabelled["labels"] != one["labels"]
    assert (swapped["labels"], swapped["pixels"]) == (one["labels"], one["pixels"])
    assert len({one["content"], relabelled["content"], swapped["content"]}) == 3


def test_fingerprints_of_nothing(tmp_path: Path) -> None:
    refused(at(tmp_path, "fingerprint"), "no data set there")
    refused(at(tmp_path, "fingerprint", "--side", "9"), "no data set there")
    refused(at(tmp_path, "fingerprint", "bp5d"), "unknown data set 'bp5d'")
    refused(at(tmp_path, "fingerprint", "bp4d"), "ask for it at")
    refused(at(tmp_path, "fingerprint", "bp4d", "--side", "9"), "run 'data prepare' again")
    refused(at(tmp_path, "fingerprint", "ferplus", "--side", "9"), "unknown data set that is prepared 'ferplus'")


@pytest.mark.data
def test_the_published_ferplus_has_known_copies_and_a_fingerprint(data_root: Path) -> None:
    found = json.loads(at(data_root, "verify", "ferplus", "--json").output)
    copies = [check["found"] for check in found["checks"] if "also in" in check["what"]]
    assert copies == [280, 288, 44]
    (one,) = json.loads(at(data_root, "fingerprint", "ferplus", "--json").output)
    assert one["rows"] == 35_887
    assert one["content"].startswith("1827d1e5fb7529da")


class TestAlign:
    @pytest.fixture(autouse=True)
    def _detector(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Finds the same five points in every picture, and none in a black one."""

        def detector(picture: np.ndarray, doublings: int) -> list[Any]:
            box = SimpleNamespace(area=lambda: 1, left=lambda: 0, top=lambda: 0)
            return [box] if picture.mean() > 20 else []

        def predictor(picture: np.ndarray, box: object) -> Any:
            height, width = picture.shape[:2]
            return SimpleNamespace(parts=lambda: [SimpleNamespace(x=x * width, y=y * height) for x, y in TEMPLATE])

        monkeypatch.setattr(landmarks, "models", lambda: (detector, predictor))

    @pytest.mark.parametrize(
        "write", [miniature_bp4d.write_au_occ, miniature_disfa.write_images, miniature_cremad.write]
    )
    def test_frames_without_a_face(self, write: Any, tmp_path: Path) -> None:
        needs_av(write)
        name = write.__module__.rpartition(".")[2]
        write(tmp_path / name, picture=lambda index: np.full((32, 24, 3), 0 if index == 3 else 60 + index, np.uint8))
        words = ("prepare", name, "--side", "16", "--align")
        refused(at(tmp_path, *words), "no face is found", "--skip-bad")
        result = at(tmp_path, *words, "--skip-bad")
        assert result.exit_code == 0, result.output
        assert f"faces of 16 px ({NAME})" in result.output
        assert "left out: 1, the first being " in result.output
        pack = open_pack(tmp_path / "packs" / f"{name}-16")
        assert (pack.crop, len(pack.skipped)) == (NAME, 1)
        assert pack.checks[-1].what == "pictures in which a face is found"
        assert pack.partial
        assert pack.origin.layout.endswith(f"; {NAME}, 16 px")

    def test_aligned_faces_are_not_overwritten(self, tmp_path: Path) -> None:
        """Nor whole pictures by aligned ones; with --out both are there, and their origins differ."""
        write = miniature_bp4d.write_au_occ
        write(tmp_path / "bp4d", picture=lambda index: np.full((32, 24, 3), 60 + index, np.uint8))
        plain = ("prepare", "bp4d", "--side", "16")
        assert at(tmp_path, *plain, "--align").exit_code == 0
        refused(at(tmp_path, *plain), "with another crop", NAME, "--out")
        assert at(tmp_path, *plain, "--out", str(tmp_path / "other")).exit_code == 0
        refused(at(tmp_path, *plain, "--align", "--out", str(tmp_path / "other")), "whole picture")
        aligned, whole = (open_pack(tmp_path / place / "bp4d-16") for place in ("packs", "other"))
        assert aligned.origin.layout != whole.origin.layout
        assert whole.origin.layout.endswith("; whole picture, 16 px")
        assert not np.array_equal(aligned.faces, whole.faces)

    @pytest.mark.parametrize("name", ["rafdb", "affectnet", "ferplus"])
    def test_sets_that_come_aligned_stay_as_they_are(self, name: str, tmp_path: Path) -> None:
        refused(at(tmp_path, "prepare", name, "--align"), "is used with its published crops")


def test_without_dlib_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    landmarks.models.cache_clear()
    monkeypatch.setitem(sys.modules, "dlib", None)
    miniature_bp4d.write_au_occ(tmp_path / "bp4d")
    refused(at(tmp_path, "prepare", "bp4d", "--align", "--skip-bad"), "needs dlib: pip install 'fernoise-bench[align]'")
