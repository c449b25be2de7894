"""What data offer methods besides labels: annotators' votes, and how labels go wrong."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols.base import Protocol
from fernoise_bench.protocols.catalog import PROTOCOLS, find, protocol_of_file
from fernoise_bench.protocols.definitions.strong_views import FACES, USB
from fernoise_bench.protocols.loading import DataIdentity, offered, open_data
from fernoise_bench.protocols.noise import FER2013_TRANSITION, realised_transition
from fernoise_bench.protocols.readers.fer2013 import majority
from fernoise_bench.protocols.rows import CellData, Rows, Source

from .miniatures.ferplus import SPLITS, votes, write_tables
from .miniatures.own import changed, write

NOWHERE = Path("nowhere")
ROOT = Path(os.environ.get("FERNOISE_DATA", ""))
FERPLUS = ("ferplus-sym", "ferplus-annotator", "fer2013-real", "fer2013-real:kept")
real = [
    pytest.mark.data,
    pytest.mark.skipif(
        "FERNOISE_DATA" not in os.environ or not (ROOT / "ferplus").is_dir(),
        reason="the real FER2013 and FER+ files are not under FERNOISE_DATA",
    ),
]


def parts(cell: CellData) -> list[Rows]:
    return [part for part in (cell.train, cell.validation, cell.test) if part is not None]


def more(protocol: Protocol, source: Source) -> set[str]:
    return set(offered(protocol, source, None) & {"votes", "transition"})


def test_ferplus_and_cremad_offer_votes_and_generated_faces_where_labels_are_drawn_from_them() -> None:
    drawn = {name for name in PROTOCOLS if name.startswith(("ferplus-votes:", "cremad-"))} | {"ferplus-annotator"}
    pictures = {name for name in PROTOCOLS if name.startswith("ferplus-sym:")}
    assert {name for name, each in PROTOCOLS.items() if "votes" in more(each, "real")} == {*FERPLUS, *drawn, *pictures}
    assert {name for name, each in PROTOCOLS.items() if "votes" in more(each, "generated")} == drawn


def test_cremad_offers_single_annotators_until_its_data_are_known_to_lack_them() -> None:
    for source in ("real", "generated"):
        found = {name for name, each in PROTOCOLS.items() if "annotators" in offered(each, source, None)}  # type: ignore[arg-type]
        assert found == {name for name in PROTOCOLS if name.startswith("cremad-")}
    for digest in ("", "0" * 16):
        data = DataIdentity(annotators=digest)
        assert ("annotators" in offered(find("cremad-av:3"), "real", data)) == bool(digest)


def test_the_transition_is_offered_where_noise_changes_labels_that_are_known() -> None:
    without = {name for name, each in PROTOCOLS.items() if "transition" not in more(each, "real")}
    assert without == {
        "affectnet-auto",
        *(name for name, each in PROTOCOLS.items() if each.kind == "multi" and "flip" not in each.noise),
    }
    assert "transition" in more(find("bp4d-3fold-plain:flip"), "real")
    for protocol in PROTOCOLS.values():
        assert ("transition" in more(protocol, "generated")) == ("transition" in more(protocol, "real"))
        assert not protocol.offers & {"votes", "transition"}  # which are no part of a fingerprint


def test_a_strong_view_is_no_part_of_a_fingerprint_unless_a_recipe_has_its_own() -> None:
    protocol = find("ferplus-sym")
    how = protocol.paper.recipe.augmentation
    own = replace(how, strong=replace(FACES, cutout=(0.0, 0.2)))
    paper = replace(protocol.paper, recipe=replace(protocol.paper.recipe, augmentation=own))
    assert how.strong is None
    assert replace(protocol, paper=paper).fingerprint("paper") != protocol.fingerprint("paper")
    assert replace(protocol, paper=paper).fingerprint("small") == protocol.fingerprint("small")


def test_the_usual_strong_views_are_the_published_ones() -> None:
    """Changed, they would make results with strong views incomparable without a trace in their identity."""
    assert (FACES.slots, FACES.probability, FACES.magnitude, FACES.sign, FACES.whole_view) == (
        2,
        0.5,
        "fixed",
        True,
        False,
    )
    assert (USB.slots, USB.probability, USB.magnitude, USB.sign, USB.whole_view) == (3, 1.0, "uniform", False, True)
    assert (FACES.fill, FACES.cutout, FACES.cutout_fill) == (128, (0, 16 / 224), (128,) * 3)
    assert (USB.fill, USB.cutout, USB.cutout_fill) == (0, (0, 0.5), (125, 123, 114))
    strongest = {name: high for name, (_, high) in FACES.ranges}
    assert strongest == {
        "identity": 0, "autocontrast": 0, "equalize": 0, "rotate": 30, "solarize": 256, "colour": 1.9, "contrast": 1.9,
        "brightness": 1.9, "sharpness": 1.9, "shear-x": 0.3, "shear-y": 0.3, "translate-x": 10 / 224,
        "translate-y": 10 / 224, "posterize": 4,
    }  # fmt: skip
    assert dict(USB.ranges) == {
        **dict.fromkeys(("identity", "autocontrast", "equalize"), (0, 0)), "rotate": (-30, 30), "solarize": (0, 256),
        **dict.fromkeys(("colour", "contrast", "brightness", "sharpness"), (0.05, 0.95)),
        **dict.fromkeys(("shear-x", "shear-y", "translate-x", "translate-y"), (-0.3, 0.3)), "posterize": (4, 8),
    }  # fmt: skip


# --- votes of FER+


@pytest.mark.parametrize("name", FERPLUS)
def test_every_row_of_ferplus_has_its_own_votes(name: str, tmp_path: Path) -> None:
    write_tables(tmp_path / "ferplus")
    protocol = find(name)
    cell = open_data(protocol, "paper", "real", tmp_path, partial=True).cell(
        None, protocol.levels[-1] if protocol.levels else None, 1
    )
    classes = len(protocol.names)
    for part in parts(cell):
        assert part.votes.dtype == np.int64
        assert part.votes.shape == (len(part), classes + 2)
        for row, found in zip(part.sample_id.tolist(), part.votes.tolist(), strict=True):
            published = votes(row)
            assert found[:classes] == published[:classes]
            assert found[-2] == sum(published[classes:9])  # contempt too, where the protocol does not have it
            assert found[-1] == published[9]
            assert sum(found) == 10
    assert sum(count for _, count in SPLITS) > len(cell.train) > 20


def test_votes_go_with_the_rows_through_the_profiles(tmp_path: Path) -> None:
    write_tables(tmp_path / "ferplus", (("Training", 400), ("PublicTest", 120), ("PrivateTest", 220)))
    cell = open_data(find("ferplus-sym"), "smoke", "real", tmp_path, partial=True).cell(None, 0.4, 0)
    assert [len(part) for part in parts(cell)] == [320, 100, 200]
    for part in parts(cell):
        assert part.votes.tolist() == [votes(row) for row in part.sample_id.tolist()]
        assert majority(part.votes).tolist() == part.reference.tolist()


def test_generated_faces_have_votes_where_their_labels_are_drawn_from_them() -> None:
    cell = open_data(find("ferplus-annotator"), "smoke", "generated", NOWHERE).cell(None, None, 0)
    for part in parts(cell):
        assert part.votes.shape == (len(part), 10)
        assert (part.votes.sum(axis=1) == 10).all()
        assert not part.votes[:, 8:].any()
    assert (cell.train.votes[np.arange(len(cell.train)), cell.train.given] > 0).all()
    other = open_data(find("ferplus-sym"), "smoke", "generated", NOWHERE).cell(None, 0.2, 0)
    assert all(part.votes.shape == (len(part), 0) for part in parts(other))


class TestRealVotes:
    """FER+ as published."""

    pytestmark = real

    def test_they_are_the_published_ones(self) -> None:
        with (ROOT / "ferplus" / "fer2013new.csv").open() as file:
            published = np.array([row[2:12] for row in list(csv.reader(file))[1:]], np.int64)
        for name in ("ferplus-sym", "fer2013-real"):
            protocol = find(name)
            cell = open_data(protocol, "paper", "real", ROOT).cell(None, 0.2 if protocol.levels else None, 0)
            for part in parts(cell):
                rows, classes = published[part.sample_id], len(protocol.names)
                assert (part.votes[:, :classes] == rows[:, :classes]).all()
                assert (part.votes[:, -1] == rows[:, 9]).all()
                assert (part.votes.sum(axis=1) == rows.sum(axis=1)).all()
            known = cell.train.reference >= 0
            agree = majority(cell.train.votes) == cell.train.reference if name == "ferplus-sym" else known
            assert agree.mean() > 0.8


# --- votes of own data

VOTES = changed(('given = "given"', 'given = "given"\nvotes = "v_"'), ('subject = "subject"', ""))


@pytest.mark.parametrize("noise", ["", '\n[noise]\nkind = "votes"', '\n[noise]\nkind = "symmetric"\nlevels = [0.3]'])
def test_votes_of_own_data_are_handed_on_whatever_the_noise(noise: str, tmp_path: Path) -> None:
    file = write(tmp_path, VOTES.replace("side = 8", f"side = 8{noise}"))
    counts = [[8, 0, 0], [0, 8, 0], [0, 0, 8], [4, 3, 0], [2, 5, 1], [0, 7, 1], [1, 0, 7], [0, 8, 0], [0, 0, 8]]
    names = ("happy", "sad", "calm")
    lines = [
        f"{row:03d}.png,{names[int(np.argmax(count))]},{'train' if row < 7 else 'test'},{','.join(map(str, count))}"
        for row, count in enumerate(counts)
    ]
    (tmp_path / "labels.csv").write_text("\n".join(["path,given,split,v_happy,v_sad,v_calm", *lines]) + "\n")
    data = open_data(protocol_of_file(file), "smoke", "real", tmp_path / "data")
    assert "votes" in offered(data.protocol, "real", data.identity)
    for part in parts(data.cell(None, 0.3 if "symmetric" in noise else None, 0)):
        assert part.votes.tolist() == [[*counts[row], 0, 0] for row in part.sample_id.tolist()]


def test_own_data_without_votes_offer_none(tmp_path: Path) -> None:
    data = open_data(protocol_of_file(write(tmp_path, changed())), "smoke", "real", tmp_path / "data")
    assert "votes" not in offered(data.protocol, "real", data.identity)
    assert "transition" not in offered(data.protocol, "real", data.identity)
    assert data.cell(None, None, 0).train.votes.shape == (9, 0)


# --- how labels go wrong


def test_the_transition_of_classes_by_hand() -> None:
    given = np.array([0, 1, 1, 2, 0, -1, 2, 0])
    reference = np.array([0, 0, 1, 1, 1, 1, -1, 0])
    expected = [[2 / 3, 1 / 3, 0, 0], [1 / 3, 1 / 3, 1 / 3, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    found = realised_transition(given, reference, 4)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(realised_transition(given[:0], reference[:0], 3), np.eye(3))


def test_the_transition_of_action_units_by_hand() -> None:
    """Index 0 is absent: T[:, 1, 0] are positives that were missed, T[:, 0, 1] false alarms."""
    given = np.array([[1, 1], [-1, 1], [1, 0], [-1, -1], [-1, 1]], np.int8)
    reference = np.array([[1, 1], [1, 0], [-1, -1], [-1, 1], [1, 1]], np.int8)
    found = realised_transition(given, reference, 2)
    np.testing.assert_array_equal(found[0], [[1 / 2, 1 / 2], [2 / 3, 1 / 3]])
    np.testing.assert_array_equal(found[1], [[1, 0], [1 / 3, 2 / 3]])


@pytest.mark.parametrize(("name", "level"), [("rafdb-sym:pair", 0.4), ("rafdb-sym", 0.2), ("ferplus-sym", 0.0)])
def test_the_transition_of_drawn_noise_is_the_one_it_is_drawn_by(name: str, level: float) -> None:
    cell, classes = open_data(find(name), "smoke", "generated", NOWHERE).cell(None, level, 0), len(find(name).names)
    others = (1 - np.eye(classes)) / (classes - 1) if "pair" not in name else np.roll(np.eye(classes), 1, axis=1)
    found = realised_transition(cell.train.given, cell.train.reference, classes)
    np.testing.assert_allclose(found, (1 - level) * np.eye(classes) + level * others, atol=0.12)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_the_transition_of_generated_fer2013_labels_is_the_measured_one() -> None:
    cell = open_data(find("fer2013-real"), "smoke", "generated", NOWHERE).cell(None, None, 0)
    found = realised_transition(cell.train.given, cell.train.reference, 7)
    counts = np.bincount(cell.train.reference, minlength=7)[:, None]
    away = np.abs(found - FER2013_TRANSITION) / np.sqrt(FER2013_TRANSITION * (1 - FER2013_TRANSITION) / counts + 1e-6)
    assert away.max() < 6


def test_flips_of_action_units_have_one_rate_and_balanced_ones_two() -> None:
    plain, balanced = (find(f"bp4d-3fold-plain:{name}") for name in ("flip", "balanced-flip"))
    level = plain.levels[-1]
    train = open_data(plain, "smoke", "generated", NOWHERE).cell(plain.folds[0], level, 0).train
    flat = realised_transition(train.given, train.reference, len(plain.names))
    share = flat[:, 0, 1] * (train.reference < 0).mean(axis=0) + flat[:, 1, 0] * (train.reference > 0).mean(axis=0)
    np.testing.assert_allclose(share, level, atol=0.01)
    train = open_data(balanced, "smoke", "generated", NOWHERE).cell(balanced.folds[0], level, 0).train
    found = realised_transition(train.given, train.reference, len(balanced.names))
    missed, alarms = (
        found[:, 1, 0] * (train.reference > 0).sum(axis=0),
        found[:, 0, 1] * (train.reference < 0).sum(axis=0),
    )
    np.testing.assert_allclose(missed, alarms, atol=1e-6)
