"""What pictures and subjects tell of a copy, and digests that do not depend on the order of the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fernoise_bench.protocols.datasets.catalog import inspect, verify
from fernoise_bench.protocols.datasets.fingerprint import of_listing
from fernoise_bench.protocols.datasets.verify import copies, decode, picture_checks, subject_checks
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.labels import BP4D_PARTS
from fernoise_bench.protocols.readers import rafdb
from fernoise_bench.protocols.readers.listing import Check, Listing

from ..miniatures import affectnet as miniature_affectnet
from ..miniatures import disfa as miniature_disfa
from ..miniatures import rafdb as miniature_rafdb

ALL = [(subject, part) for part, subjects in BP4D_PARTS for subject in subjects]


def quiet(done: int, total: int) -> None:
    pass


def listing(groups: list[tuple[str, str]], root: Path = Path("nowhere"), dataset: str = "bp4d") -> Listing:
    count = len(groups)
    return Listing(
        dataset=dataset,
        layout="made",
        root=root,
        names=("AU1", "AU2"),
        path=np.array([f"{index}.png" for index in range(count)]),
        frame=np.full(count, -1),
        box=np.full((count, 4), np.nan),
        labels=np.random.default_rng(0).integers(-1, 2, (count, 2)).astype(np.int8),
        group=np.array([group for group, _ in groups]),
        part=np.array([part for _, part in groups]),
        checks=(),
    )


class TestSubjects:
    def test_the_published_lists(self) -> None:
        checks = list(subject_checks(listing(ALL + ALL)))
        assert [(check.what, check.expected) for check in checks[:3]] == [
            ("subjects, part1", 14),
            ("subjects, part2", 14),
            ("subjects, part3", 13),
        ]
        assert all(check.ok for check in checks)

    def test_missing_and_misplaced(self) -> None:
        moved = [(subject, "part2" if subject == "F001" else part) for subject, part in ALL if subject != "M018"]
        checks = {check.what: check for check in subject_checks(listing([*moved, ("F002", "part3")]))}
        assert (checks["subjects, part1"].found, checks["subjects, part1"].where) == (13, "no frame of F001")
        assert (checks["subjects, part2"].found, checks["subjects, part2"].where) == (13, "no frame of M018")
        assert checks["subjects outside their published part"].where == "F001 F002"
        assert checks["subjects in more than one part"].where == "F002"

    def test_sets_without_lists(self) -> None:
        (check,) = subject_checks(listing([("a", "train"), ("b", "test"), ("b", "test")], dataset="other"))
        assert (check.what, check.ok) == ("subjects in more than one part", True)
        assert not list(subject_checks(listing([("a", "train"), ("b", "test")], dataset="rafdb")))  # none is known


class TestCopies:
    def test_counted_in_the_later_part(self) -> None:
        keys = [b"a", b"b", b"a", b"a", None, b"c"]
        part = ["train", "train", "test", "test", "test", "other"]
        found = list(copies(keys, part, list("012345"), ("train", "test", "none"), {("train", "test"): 2}))
        assert [(check.what, check.expected, check.found, check.where) for check in found] == [
            ("pictures of test that are also in train", 2, 2, "2 is 0")
        ]

    def test_frames_of_videos(self, tmp_path: Path) -> None:
        pytest.importorskip("av")
        pictures = [miniature_disfa.tiny(index) for index in range(6)]
        for name in ("a", "b"):
            miniature_disfa.write_video(tmp_path / f"{name}.avi", pictures)
        rows = replace(
            listing([("F001", "part1"), ("F003", "part2"), ("F003", "part2")], tmp_path),
            path=np.array(["a.avi", "b.avi", "b.avi"]),
            frame=np.array([0, 0, 9]),
        )
        decoded = decode(rows, 1, quiet)
        assert decoded.bad[0].startswith("b.avi, frame 9: ")
        usable, distinct, both = picture_checks(rows, decoded)
        assert (usable.expected, usable.found) == (3, 2)
        assert (both.found, both.where) == (1, "b.avi, frame 0 is a.avi, frame 0")
        assert distinct == Check("distinct pictures", *["50 % of 2 or more"] * 2, "b.avi, frame 0 is a.avi, frame 0")

    def test_a_box_outside_its_picture_is_bad(self, tmp_path: Path) -> None:
        Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
        rows = replace(listing([("F001", "part1")], tmp_path), box=np.array([[20.0, 0, 4, 4]]))
        assert "0.png: the face box (20, 0, 4, 4) is not in the picture" in decode(rows, 1, quiet).bad[0]


def of_side(side: int, distinct: int = 256) -> Callable[[int], np.ndarray]:
    """Plain pictures of a size, of which so many are distinct."""
    return lambda index: np.full((side, side, 3), 7 * (index % distinct), np.uint8)


class TestPicturesOfRafdb:
    """Copies whose counts, names and labels are all as published."""

    @pytest.fixture(autouse=True)
    def _published(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rafdb, "COUNTS", {"train": (3,) * 7, "test": (2,) * 7})

    def wrong(self, root: Path) -> list[tuple[str, int | str, int | str, str]]:
        found = verify("rafdb", root, workers=1, report=quiet)
        assert found.partial
        return [(check.what, check.expected, check.found, check.where) for check in found.checks if not check.ok]

    def test_distinct_pictures_of_100_pixels(self, tmp_path: Path) -> None:
        miniature_rafdb.write_official(tmp_path / "rafdb", picture=of_side(100))
        assert not verify("rafdb", tmp_path, workers=1, report=quiet).partial
        assert not inspect("rafdb", tmp_path).partial

    def test_realigned_pictures(self, tmp_path: Path) -> None:
        miniature_rafdb.write_official(tmp_path / "rafdb", picture=of_side(224))
        first = "Image/aligned/train_00001_aligned.jpg: 224 x 224"
        assert self.wrong(tmp_path) == [
            ("pictures of 100 x 100 pixels, of 35 looked at", 35, 0, first),
            ("pictures of 100 x 100 pixels", 35, 0, first),
        ]
        assert inspect("rafdb", tmp_path).partial

    def test_few_distinct_pictures(self, tmp_path: Path) -> None:
        """20 pictures under 35 names: rows 21, 22 ... are copies of rows 1, 2 ..., those of the test part too."""
        miniature_rafdb.write_official(tmp_path / "rafdb", picture=of_side(100, 20))
        folder = "Image/aligned"
        assert self.wrong(tmp_path) == [
            (
                "distinct pictures", "90 % of 35 or more", "20",
                f"{folder}/train_00021_aligned.jpg is {folder}/train_00001_aligned.jpg",
            ),
            (
                "pictures of test that are also in train", 0, 14,
                f"{folder}/test_0001_aligned.jpg is {folder}/train_00002_aligned.jpg",
            ),
        ]  # fmt: skip

    def test_a_few_copies_are_no_difference(self, tmp_path: Path) -> None:
        miniature_rafdb.write_official(tmp_path / "rafdb", picture=of_side(100, 20))
        for number in range(35):  # all distinct but for one training picture
            name = f"train_{number + 1:05d}" if number < 21 else f"test_{number - 20:04d}"
            Image.fromarray(of_side(100)(min(number, 19) if number < 21 else number)).save(
                tmp_path / f"rafdb/Image/aligned/{name}_aligned.jpg"
            )
        assert not verify("rafdb", tmp_path, workers=1, report=quiet).partial


def test_faces_of_one_picture_in_several_boxes_are_distinct(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    boxes = np.array([[0.0, 0, 4, 4], [4, 4, 4, 4], [0, 0, 4, 4]])
    rows = replace(listing([("a", "train")] * 3, tmp_path, "affectnet"), path=np.array(["0.png"] * 3), box=boxes)
    (distinct,) = [one for one in picture_checks(rows, decode(rows, 1, quiet)) if one.what == "distinct pictures"]
    assert distinct == Check("distinct pictures", "90 % of 3 or more", "2", "0.png is 0.png")


def test_pictures_of_affectnets_release_of_2021_have_one_size(tmp_path: Path) -> None:
    miniature_affectnet.write_2021(tmp_path / "affectnet", picture=of_side(224))
    checks = {check.what: check for check in verify("affectnet", tmp_path, workers=1, report=quiet).checks}
    sizes = {what: check for what, check in checks.items() if what.startswith("pictures of 224 x 224")}
    assert [(what, check.found) for what, check in sizes.items()] == [
        ("pictures of 224 x 224 pixels, training, of 24 looked at", 24),
        ("pictures of 224 x 224 pixels, validation, of 16 looked at", 16),
        ("pictures of 224 x 224 pixels in train_set/", 24),
        ("pictures of 224 x 224 pixels in val_set/", 16),
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Listing:
    root = tmp_path_factory.mktemp("pictures")
    for index in range(8):
        Image.new("RGB", (4, 4), (30 * index, 0, 0)).save(root / f"{index}.png")
    return listing(ALL[12:16] + ALL[12:16], root)


@given(order=st.permutations(range(8)))
def test_the_order_of_rows_does_not_matter(made: Listing, order: list[int]) -> None:
    columns = ("path", "frame", "box", "labels", "group", "part")
    other = replace(made, **{name: getattr(made, name)[list(order)] for name in columns})
    assert of_listing(other, 1, quiet) == of_listing(made, 1, quiet)


@pytest.mark.parametrize("name", ["labels", "part", "group", "names"])
def test_what_a_row_says_matters(made: Listing, name: str) -> None:
    one = of_listing(made, 1, quiet)
    other = of_listing(replace(made, **{name: getattr(made, name)[::-1]}), 1, quiet)
    assert other.pixels == one.pixels
    assert other.labels != one.labels or other.content != one.content


def test_face_boxes_matter(made: Listing) -> None:
    one = of_listing(made, 1, quiet)
    other = of_listing(replace(made, box=np.tile([0.0, 0, 2, 2], (8, 1))), 1, quiet)
    assert (other.labels, other.pixels) == (one.labels, one.pixels)
    assert other.content != one.content


def test_a_damaged_copy_has_no_fingerprint(made: Listing, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"8 pictures cannot be decoded, the first being 0\.png: the picture is missing"):
        of_listing(replace(made, root=tmp_path), 1, quiet)
