"""Cells of a user's own data: which labels methods get, by which they are judged, and where noise is added."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols.catalog import protocol_of_file
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.loading import Data, draws_noise, offered, open_data
from fernoise_bench.protocols.noise import symmetric
from fernoise_bench.protocols.rows import CellData

from ..miniatures.own import changed, picture, rows, write

REFERENCE = changed(('given = "given"', 'given = "given"\nreference = "reference"'))
HELD_OUT = ('test = ["test"]', 'test = ["test"]\nvalidation_share = 0.34')
GIVEN = np.array([0, 1, 2, 0, 2, 2, 0, 1, 2, 1, 1, 2])
RIGHT = np.array([0, 1, 2] * 4)


def opened(root: Path, toml: str, listed: list[dict[str, str]] | None = None, profile: str = "smoke") -> Data:
    return open_data(protocol_of_file(write(root, toml, listed)), profile, "real", root / "data")


def only(data: Data, level: float | None = None, draw: int = 0) -> CellData:
    return data.cell(None, level, draw)


def test_with_a_reference_methods_get_given_labels_and_are_judged_by_it(tmp_path: Path) -> None:
    cell = only(opened(tmp_path, REFERENCE))
    assert cell.train.given.tolist() == GIVEN[:9].tolist()
    assert cell.train.reference.tolist() == RIGHT[:9].tolist()
    assert cell.test.reference.tolist() == RIGHT[9:].tolist()
    assert cell.noise["realised"] == pytest.approx(1 / 9)
    assert cell.validation is None
    assert cell.test.sample_id.tolist() == [9, 10, 11]
    assert cell.train.group.tolist() == [f"s{number // 3}" for number in range(9)]
    assert (cell.test.images.read()[1] == picture(10)).all()


def test_without_a_reference_the_test_has_given_labels_and_nothing_is_audited(tmp_path: Path) -> None:
    data = opened(tmp_path, changed())
    cell = only(data)
    assert cell.test.reference.tolist() == GIVEN[9:].tolist()
    assert (cell.train.reference == -1).all()
    assert cell.noise["realised"] is None
    assert data.identity.origin.judged_by == "given"
    assert data.identity.origin.content.keys() == {"layout", "digest", "judged_by"}
    assert not draws_noise(data.protocol, "real")


def test_a_reference_of_test_rows_alone_leaves_training_without(tmp_path: Path) -> None:
    toml = changed(("[data.columns]", 'reference_rows = "test"\n[data.columns]'), toml=REFERENCE)
    data = opened(tmp_path, toml)
    assert (only(data).train.reference == -1).all()
    assert only(data).test.reference.tolist() == RIGHT[9:].tolist()
    assert data.identity.origin.content.keys() == {"layout", "digest"}
    assert "noise_rate" not in offered(data.protocol, "real", data.identity)


def test_noise_is_added_to_given_labels_but_not_to_verified_rows(tmp_path: Path) -> None:
    noisy = ("side = 8", 'side = 8\n[noise]\nkind = "symmetric"\nlevels = [0.0, 0.4]\nseed = 5')
    verified = ('subject = "subject"', 'subject = "subject"\nverified = "verified"')
    data = opened(tmp_path, changed(noisy, verified))
    assert draws_noise(data.protocol, "real")
    assert offered(data.protocol, "real", data.identity) == {"verified", "noise_rate", "transition"}
    assert only(data, 0.0).train.given.tolist() == GIVEN[:9].tolist()
    cell, clean = only(data, 0.4, 2), np.arange(9) % 2 == 0
    assert cell.train.verified.tolist() == clean.tolist()
    expected = GIVEN[:9].copy()
    expected[~clean] = symmetric(GIVEN[:9][~clean], 0.4, 3, seed=7)
    assert cell.train.given.tolist() == expected.tolist() != GIVEN[:9].tolist()
    assert cell.train.reference.tolist() == GIVEN[:9].tolist()  # what the labels were before, for the audit
    assert cell.test.reference.tolist() == GIVEN[9:].tolist()


def test_noise_can_be_added_to_the_reference_instead(tmp_path: Path) -> None:
    more = ("side = 8", 'side = 8\n[noise]\nkind = "pair flip"\nlevels = [0.0, 0.9]\non = "reference"')
    data = opened(tmp_path, changed(more, toml=REFERENCE))
    assert only(data, 0.0).train.given.tolist() == RIGHT[:9].tolist()
    assert only(data, 0.9).train.given.tolist() == ((RIGHT[:9] + 1) % 3).tolist()  # round(0.9 x 3) of each class


def test_labels_can_be_drawn_from_votes(tmp_path: Path) -> None:
    file = write(tmp_path, changed(
        ('given = "given"', 'votes = "v_"'), ('subject = "subject"', ""),
        ("side = 8", 'side = 8\n[noise]\nkind = "votes"'),
    ))  # fmt: skip
    votes = ["8,0,0", "0,8,0", "0,0,8", "4,4,0", "0,0,0", "0,7,1", "1,0,7", "0,8,0", "0,0,8"]
    lines = [f"{number:03d}.png,{'train' if number < 7 else 'test'},{text}" for number, text in enumerate(votes)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,split,v_happy,v_sad,v_calm", *lines]) + "\n")
    data = open_data(protocol_of_file(file), "smoke", "real", tmp_path / "data")
    cells = [only(data, draw=draw) for draw in range(20)]
    assert cells[0].train.sample_id.tolist() == [0, 1, 2, 3, 5, 6]  # nobody voted on row 4
    assert cells[0].train.reference.tolist() == [0, 1, 2, -1, 1, 2]  # as many for happy as for sad: no majority
    drawn = np.stack([cell.train.given for cell in cells])
    assert (drawn[:, :3] == [0, 1, 2]).all()
    assert set(drawn[:, 3].tolist()) == {0, 1}
    assert cells[0].test.reference.tolist() == [1, 2]


def test_validation_rows_are_whole_subjects_with_noise_of_their_own(tmp_path: Path) -> None:
    noisy = ("side = 8", 'side = 8\n[noise]\nkind = "symmetric"\nlevels = [0.6]')
    cell = only(opened(tmp_path, changed(HELD_OUT, noisy)), 0.6)
    assert cell.validation is not None
    assert len(set(cell.validation.group.tolist())) == 1
    assert not set(cell.validation.group.tolist()) & set(cell.train.group.tolist())
    assert len(cell.train) + len(cell.validation) == 9
    assert (cell.validation.given != cell.validation.reference).any()


def test_copies_of_training_pictures_are_marked_and_can_be_left_out(tmp_path: Path) -> None:
    listed = rows()
    listed[6]["split"] = listed[7]["split"] = "dev"
    parts = (
        ('test = ["test"]', 'test = ["test"]\nvalidation = ["dev"]\nexclusive = false'), ('subject = "subject"', ""),
    )  # fmt: skip
    lenient = changed(*parts, ("side = 8", 'side = 8\ncopies = "leave out"'))
    for toml in (changed(*parts), lenient):
        file = write(tmp_path, toml, listed)
        for number, of in ((3, 1), (6, 0), (10, 2)):  # within train, validation of train, test of train
            (tmp_path / f"faces/{number:03d}.png").write_bytes((tmp_path / f"faces/{of:03d}.png").read_bytes())
        cell = only(open_data(protocol_of_file(file), "smoke", "real", tmp_path / "data"))
        assert cell.test.copy.tolist() == [False, True, False]
        kept = cell.train.sample_id.tolist(), cell.validation.sample_id.tolist() if cell.validation else []
        if toml == lenient:
            assert kept == ([0, 1, 2, 4, 5, 8], [7])
        else:
            assert kept == ([0, 1, 2, 3, 4, 5, 8], [6, 7])


def test_action_units_in_folds_by_subject_with_flips(tmp_path: Path) -> None:
    toml = changed(
        ('"expressions"', '"action units"'), ('["happy", "sad", "calm"]', '["AU1", "AU2"]'),
        ('given = "given"', ""), ('split = "split"', ""), ('train = ["train"]\ntest = ["test"]', "folds = 2"),
        ("side = 8", 'side = 8\n[noise]\nkind = "flip"\nlevels = [0.0, 0.5]'),
    )  # fmt: skip
    file = write(tmp_path, toml)
    lines = [f"{number:03d}.png,s{number // 3},{number % 2},{number % 3 or 9}" for number in range(12)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,subject,AU1,AU2", *lines]) + "\n")
    data = open_data(protocol_of_file(file), "smoke", "real", tmp_path / "data")
    first, second = (data.cell(fold, 0.5, 0) for fold in ("fold1", "fold2"))
    assert set(first.test.group.tolist()) == set(second.train.group.tolist())
    assert sorted([*first.test.sample_id.tolist(), *second.test.sample_id.tolist()]) == list(range(12))
    clean = data.cell("fold1", 0.0, 0).train.given
    assert first.train.reference.tolist() == clean.tolist()
    assert (first.train.given != clean).sum(axis=0).tolist() == [3, 2]  # half of 6 and of 4 known labels
    assert not first.train.given[clean == 0].any()


def test_batches_of_verified_and_other_rows_need_both(tmp_path: Path) -> None:
    listed = rows()
    for row in listed:
        row["verified"] = "1"
    toml = changed(
        ("subject =", 'verified = "verified"\nsubject ='),
        ("side = 8", 'side = 8\n[profile.smoke.recipe]\nsampler = "fixed"\nverified_per_batch = 4'),
    )
    with pytest.raises(BadInput, match=r"all training rows are verified, and .* set recipe.sampler = 'shuffle'"):
        opened(tmp_path, toml, listed)
    listed[3]["verified"] = "0"
    assert only(opened(tmp_path, toml, listed)).train.verified.sum() == 8


def test_a_profile_cuts_rows_and_reduces_pictures(tmp_path: Path) -> None:
    more = ("side = 8", "side = 8\n[profile.smoke]\ntrain = 5\ntest = 2\nside = 4")
    cell = only(opened(tmp_path, changed(more)))
    assert (len(cell.train), len(cell.test)) == (5, 2)
    assert cell.train.images.shape == (5, 4, 4, 3)


def test_no_faces_are_generated_for_own_data(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="mine is a protocol of your own data, for which no faces are generated"):
        open_data(protocol_of_file(write(tmp_path)), "smoke", "generated", tmp_path)


def test_openface_output_gives_auxiliary_labels(tmp_path: Path) -> None:
    assert only(opened(tmp_path, changed())).aux_names == ()
    (tmp_path / "data/openface").mkdir()
    names = [f"AU{unit:02d}_c" for unit in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 28, 45)]
    lines = [f"{number:03d}.png,1,0.9,{','.join('01'[number % 2] for _ in names)}" for number in range(12)]
    header = f"file,success,confidence,{','.join(names)}"
    (tmp_path / "data/openface/mine.csv").write_text("\n".join([header, *lines]) + "\n")
    data = open_data(protocol_of_file(tmp_path / "mine.toml"), "smoke", "real", tmp_path / "data")
    assert data.identity.aux
    assert only(data).train.aux[:, 0].tolist() == [-1, 1] * 4 + [-1]
    assert "aux" in offered(data.protocol, "real", data.identity)
