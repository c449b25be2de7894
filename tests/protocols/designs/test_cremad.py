"""CREMA-D: folds of actors, labels drawn from votes by clip, votes and annotators of each row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fernoise_bench.benchmark.cards import protocol_rows
from fernoise_bench.protocols.base import Protocol
from fernoise_bench.protocols.catalog import PROTOCOLS, find
from fernoise_bench.protocols.designs.cremad import simulated_annotators
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.labels import CREMAD_CLASSES, CREMAD_PARTS
from fernoise_bench.protocols.loading import Data, draws_noise, offered, open_data, places_read
from fernoise_bench.protocols.packs.file_format import open_pack
from fernoise_bench.protocols.packs.prepare import prepare
from fernoise_bench.protocols.readers.cremad import read
from fernoise_bench.protocols.readers.cremad_votes import VOTES
from fernoise_bench.protocols.rows import CellData, Rows, by_annotator
from fernoise_bench.protocols.vote_noise import drawn_majority

from ..miniatures import cremad as miniature

NOWHERE = Path("nowhere")
NAMES = [name for name in PROTOCOLS if name.startswith("cremad-")]
FOLDS = ("part1", "part2", "part3")
AV_REFERENCE = "-av-reference"
SEEN = {"cremad-voice": "voice alone", "cremad-face": "face alone", "cremad-av": "face and voice"}
MODES = {"cremad-voice": 1, "cremad-face": 2, "cremad-av": 3}


def parts(cell: CellData) -> list[Rows]:
    return [part for part in (cell.train, cell.validation, cell.test) if part is not None]


def held_out(protocol: Protocol, subjects: int) -> Protocol:
    """With fewer actors held out for validation, since miniatures have few."""
    profiles = {
        name: replace(protocol.profile(name), size=replace(protocol.profile(name).size, validation=subjects))
        for name in protocol.profiles
    }
    return replace(protocol, **profiles)


def test_protocols_of_three_ways_four_numbers_of_votes_and_two_references() -> None:
    counts = ("1", "3", "5", "majority")
    plain = [f"cremad-{way}:{count}" for way in ("face", "voice", "av") for count in counts]
    assert [*plain, *(f"{name}{AV_REFERENCE}" for name in plain)] == NAMES
    for name in NAMES:
        protocol = find(name)
        assert protocol.names == CREMAD_CLASSES
        assert protocol.parts == CREMAD_PARTS
        assert protocol.folds == FOLDS
        assert draws_noise(protocol, "real")
        assert {"votes", "transition", "noise_rate"} <= offered(protocol, "real", None)


@pytest.mark.parametrize("name", NAMES[:12])
def test_the_two_references_are_never_comparable_and_each_is_on_its_card(name: str) -> None:
    plain, other = find(name), find(f"{name}{AV_REFERENCE}")
    assert {plain.fingerprint(profile) for profile in plain.profiles}.isdisjoint(map(other.fingerprint, other.profiles))
    assert plain.options[:2] == other.options[:2]
    shown = [
        {key: f"{value} {remark}" for key, value, remark in protocol_rows(each, "small")} for each in (plain, other)
    ]
    assert [card["option reference"].strip() for card in shown] == ["intended", "audio-visual majority"]
    assert shown[0]["reference"].startswith("the emotion that the actor was to show")
    assert shown[1]["reference"].startswith("the emotion that most people named who had face and voice")
    assert "intended emotions" in shown[0]["test"]
    assert "intended emotions" not in shown[1]["test"]


def test_cards_say_that_probabilities_are_judged_against_the_votes_of_the_way_of_presentation() -> None:
    for name in NAMES:
        words = dict(find(name).about)["votes"]
        assert "test probabilities are judged against the shares of these votes too" in words
        assert words.startswith(f"of people who had the {SEEN[name.partition(':')[0]]}")


# --- generated faces


@pytest.fixture(scope="module")
def generated() -> Data:
    return open_data(find("cremad-face:1"), "smoke", "generated", NOWHERE)


@pytest.mark.parametrize("fold", FOLDS)
def test_no_actor_is_in_two_parts_and_every_actor_in_one(fold: str, generated: Data) -> None:
    cell = generated.cell(fold, None, 0)
    train, validation, test = (set(part.group.tolist()) for part in parts(cell))
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert test == set(dict(CREMAD_PARTS)[fold])
    assert len(validation) == 6
    assert train | validation | test == set(miniature.ACTORS)
    assert sum(len(part) for part in parts(cell)) == len(generated.loaded.everything) == 6 * 91


def test_votes_are_those_that_labels_are_drawn_from(generated: Data) -> None:
    cell = generated.cell("part2", None, 3)
    for part in parts(cell):
        assert part.votes.shape == (len(part), 8)
        assert not part.votes[:, 6:].any()
        assert (part.votes.sum(axis=1) == 10).all()
    for part in parts(cell)[:2]:
        assert (part.votes[np.arange(len(part)), part.given] > 0).all()
    assert (cell.test.given == cell.test.reference).all()


def test_a_face_has_one_label_in_a_draw_whatever_the_fold(generated: Data) -> None:
    label: dict[int, int] = {}
    for fold in FOLDS:
        cell = generated.cell(fold, None, 1)
        for part in parts(cell)[:2]:
            for row, given in zip(part.sample_id.tolist(), part.given.tolist(), strict=True):
                assert label.setdefault(row, given) == given
    assert len(label) == 6 * 91


def test_single_labels_add_up_to_the_votes_and_nobody_votes_twice(generated: Data) -> None:
    everything = generated.loaded.everything
    who, label = everything.annotators[..., 0], everything.annotators[..., 1]
    assert [np.bincount(row, minlength=6).tolist() for row in label] == everything.votes[:, :6].tolist()
    assert all(len(set(row)) == 10 for row in who.tolist())
    seen = np.bincount(who.ravel())
    assert seen.max() == 30
    assert len(seen) == 10 * -(-len(everything) // 30)
    assert "annotators" in offered(generated.protocol, "generated", None)


def test_simulated_people_are_drawn_by_the_seed() -> None:
    votes = np.zeros((50, 4), np.int64)
    first, again, other = (simulated_annotators(votes, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_more_votes_are_more_often_right_and_ways_of_presentation_differ(generated: Data) -> None:
    rates = []
    for name in ("cremad-face:1", "cremad-face:3", "cremad-face:majority"):
        data = replace(generated, protocol=find(name))
        rates.append(data.cell("part1", None, 0).noise["realised"])
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > rates[-1]
    voice = open_data(find("cremad-voice:1"), "smoke", "generated", NOWHERE)
    assert not np.array_equal(voice.loaded.votes, generated.loaded.votes)
    assert np.array_equal(voice.loaded.everything.reference, generated.loaded.everything.reference)


def test_generated_faces_too_may_be_judged_by_those_who_saw_and_heard(generated: Data) -> None:
    """Same pictures and labels; the reference is the majority of the votes that labels of both are drawn from."""
    judged = open_data(find(f"cremad-face:1{AV_REFERENCE}"), "smoke", "generated", NOWHERE)
    both = open_data(find("cremad-av:1"), "smoke", "generated", NOWHERE).loaded.votes
    assert judged.loaded.votes.tolist() == generated.loaded.votes.tolist()
    most = [[label for label in range(6) if row[label] == max(row)] for row in both.tolist()]
    expected = [winners[0] if len(winners) == 1 else -1 for winners in most]
    assert judged.loaded.everything.reference.tolist() == expected
    plain, cell = (data.cell("part1", None, 2) for data in (generated, judged))
    assert cell.train.given.tolist() == plain.train.given.tolist()
    assert (cell.train.reference < 0).any()
    assert (cell.test.reference >= 0).all()
    assert 0 < (plain.test.reference != judged.loaded.everything.reference[plain.test.sample_id]).mean() < 0.5


def test_all_votes_of_those_who_saw_and_heard_are_right_by_their_own_majority() -> None:
    data = open_data(find(f"cremad-av:majority{AV_REFERENCE}"), "smoke", "generated", NOWHERE)
    assert data.cell("part1", None, 0).noise["realised"] == 0
    alone = open_data(find(f"cremad-face:majority{AV_REFERENCE}"), "smoke", "generated", NOWHERE)
    assert alone.cell("part1", None, 0).noise["realised"] > 0


# --- a miniature


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with a miniature, two pictures a clip, and its pack."""
    pytest.importorskip("av")
    found = tmp_path_factory.mktemp("data")
    folder = miniature.write_with_responses(found / "cremad", picture=miniature.face)
    (folder / "fernoise.toml").write_text("frames = 2\n")
    prepare(read(folder), found / "packs", 224, workers=1, skip_bad=False, report=lambda *_: None)
    return found


def opened(root: Path, name: str) -> Data:
    return open_data(held_out(find(name), 1), "paper", "real", root, partial=True)


def clips(root: Path, part: Rows) -> list[str]:
    pack = open_pack(root / "packs/cremad-224")
    return [path.rpartition("/")[2][:-4] for path in pack.path[part.sample_id].tolist()]


@pytest.mark.parametrize("name", ["cremad-face:1", "cremad-voice:1", "cremad-av:3", "cremad-face:majority"])
def test_labels_of_a_clip_are_drawn_from_its_votes_in_the_way_of_presentation(name: str, root: Path) -> None:
    data, mode = opened(root, name), MODES[name.partition(":")[0]]
    voted = miniature.votes_of()
    ordered = sorted(miniature.SOME)
    counts = np.array([voted[mode, clip] for clip in ordered])
    number = name.partition(":")[2]
    expected = drawn_majority(counts, None if number == "majority" else int(number), 5)
    cell = data.cell("part1", None, 5)
    for part in parts(cell):
        names = clips(root, part)
        assert part.votes[:, :6].tolist() == [voted[mode, clip] for clip in names]
        assert part.reference.tolist() == [miniature.EMOTIONS.index(clip[9:12]) for clip in names]
        assert part.group.tolist() == [clip[:4] for clip in names]
        assert len(names) == 2 * len(set(names))
        if part is not cell.test:
            assert part.given.tolist() == [expected[ordered.index(clip)] for clip in names]
    assert cell.noise["kind"] == data.protocol.noise
    assert cell.noise["realised"] == pytest.approx(np.mean(cell.train.given != cell.train.reference))


def test_annotators_are_the_people_who_answered(root: Path) -> None:
    data = opened(root, "cremad-face:1")
    assert "annotators" in offered(data.protocol, "real", data.identity)
    assert len(data.identity.annotators) == 16
    answers: dict[str, list[tuple[str, int]]] = {}
    everyone = set()
    for who, clip, mode, letter, time in miniature.responses_of(miniature.votes_of()):
        if time <= 10_000:
            everyone.add(who)
            if mode == 2:
                answers.setdefault(clip, []).append((who, "ADFHNS".index(letter)))
    people = sorted(everyone)
    cell = data.cell("part3", None, 0)
    for part in parts(cell):
        for clip, labels in zip(clips(root, part), part.annotators.tolist(), strict=True):
            found = [(people[who], label) for who, label in labels if who >= 0]
            assert found == answers[clip]
            assert all(pair == [-1, -1] for pair in labels[len(found) :])


def test_without_the_responses_of_single_people_none_are_offered(root: Path, tmp_path: Path) -> None:
    copied = miniature.write_tables(tmp_path / "cremad")
    (tmp_path / "packs").symlink_to(root / "packs")
    data = opened(tmp_path, "cremad-face:1")
    assert data.identity.annotators == ""
    assert "annotators" not in offered(data.protocol, "real", data.identity)
    assert {"votes", "transition"} <= offered(data.protocol, "real", data.identity)
    assert data.cell("part1", None, 0).train.annotators.shape[1] == 0
    assert (copied / VOTES) in places_read(data.protocol, tmp_path)


def test_the_majority_of_those_who_saw_and_heard_may_be_the_reference(root: Path) -> None:
    data = opened(root, f"cremad-face:1{AV_REFERENCE}")
    voted = miniature.votes_of()
    cell = data.cell("part2", None, 0)
    for part in parts(cell):
        for clip, reference in zip(clips(root, part), part.reference.tolist(), strict=True):
            counts = voted[3, clip]
            winners = [label for label in range(6) if counts[label] == max(counts)]
            assert reference == (winners[0] if len(winners) == 1 else -1)
    assert (cell.test.reference >= 0).all()
    assert (cell.train.reference < 0).any()


def test_copies_of_training_pictures_are_marked_in_the_test_part(root: Path, tmp_path: Path) -> None:
    data = opened(root, "cremad-face:1")
    assert not data.cell("part1", None, 0).test.copy.any()
    everything, pixels = data.loaded.everything, data.loaded.pixels.copy()
    test, train = (np.flatnonzero(everything.group == actor)[0] for actor in ("1003", "1001"))
    pixels[test] = pixels[train]
    again = replace(data, loaded=replace(data.loaded, pixels=pixels))
    cell = again.cell("part1", None, 0)
    trained = "1001" in cell.train.group
    assert cell.test.sample_id[cell.test.copy].tolist() == [everything.sample_id[test]] * trained


def test_clips_without_votes_are_left_out(root: Path, tmp_path: Path) -> None:
    votes: dict[Any, Any] = miniature.votes_of()
    votes[2, miniature.SOME[0]] = [0] * 6
    del votes[2, miniature.SOME[1]]
    miniature.write_tables(tmp_path / "cremad", votes=votes)
    (tmp_path / "packs").symlink_to(root / "packs")
    found = opened(tmp_path, "cremad-face:1").loaded.everything
    gone = {miniature.SOME[0], miniature.SOME[1]}
    assert set(clips(root, found)) == set(miniature.SOME) - gone
    assert len(opened(tmp_path, "cremad-voice:1").loaded.everything) == 2 * len(miniature.SOME)


def test_a_copy_that_differs_is_refused_or_has_a_digest_of_its_own(root: Path, tmp_path: Path) -> None:
    protocol = held_out(find("cremad-face:1"), 1)
    with pytest.raises(BadInput, match="--partial"):
        open_data(protocol, "paper", "real", root)
    before = opened(root, "cremad-face:1").identity.origin
    assert before.digest != "published"
    votes: dict[Any, Any] = miniature.votes_of()
    votes[1, miniature.SOME[5]] = [1, 1, 1, 1, 1, 1]
    miniature.write_tables(tmp_path / "cremad", votes=votes)
    (tmp_path / "packs").symlink_to(root / "packs")
    after = opened(tmp_path, "cremad-face:1").identity.origin
    assert after.layout == before.layout
    assert after.digest != before.digest


def test_an_actor_that_is_missing_leaves_a_fold_without_test_rows(root: Path, tmp_path: Path) -> None:
    votes = {key: counts for key, counts in miniature.votes_of().items() if key[1][:4] in ("1001", "1010", "1002")}
    miniature.write_tables(tmp_path / "cremad", votes=votes)
    (tmp_path / "packs").symlink_to(root / "packs")
    with pytest.raises(BadInput, match="no clip for test; this copy lacks the actors of the fold"):
        opened(tmp_path, "cremad-face:1").cell("part1", None, 0)


# --- single labels by row


def test_labels_by_row_keep_their_order() -> None:
    row, who, label = np.array([2, 0, 2, 2, 0]), np.array([7, 8, 9, 7, 5]), np.array([1, 0, 3, 2, 4])
    found = by_annotator(row, who, label, 4)
    assert found.tolist() == [
        [[8, 0], [5, 4], [-1, -1]],
        [[-1, -1]] * 3,
        [[7, 1], [9, 3], [7, 2]],
        [[-1, -1]] * 3,
    ]
    assert by_annotator(row[:0], who[:0], label[:0], 3).shape == (3, 0, 2)
