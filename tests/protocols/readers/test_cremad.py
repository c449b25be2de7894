"""CREMA-D: clips, votes by name and way of presentation, stubs of Git LFS, and what a copy lacks."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.labels import CREMAD_CLASSES, CREMAD_PARTS
from fernoise_bench.protocols.readers.cremad import clip_of, read
from fernoise_bench.protocols.readers.cremad_votes import MODES, VOTES, intended, read_responses, read_votes, tabulated
from fernoise_bench.protocols.readers.listing import Check, Listing

from ..miniatures import cremad as miniature

CLIPS = sorted(miniature.SOME)
PUBLISHED = Path(os.environ.get("FERNOISE_DATA", "nowhere")) / "cremad"


def write(root: Path) -> Path:
    return miniature.write(root, picture=None)


def refusal(root: Path) -> str:
    with pytest.raises(BadInput) as caught:
        read(root)
    message = str(caught.value)
    assert "\n" not in message
    return message


def check(listing: Listing, what: str) -> Check:
    (found,) = (one for one in listing.checks if one.what == what)
    return found


def lines_of(root: Path) -> list[str]:
    return (root / VOTES).read_text().splitlines(keepends=True)


def replace_line(root: Path, number: int, old: str, new: str) -> None:
    lines = lines_of(root)
    assert old in lines[number]
    lines[number] = lines[number].replace(old, new, 1)
    (root / VOTES).write_text("".join(lines))


# --- the listing


def test_a_picture_of_each_clip_with_the_emotion_it_was_to_show(tmp_path: Path) -> None:
    listing = read(write(tmp_path))
    assert (listing.dataset, listing.names) == ("cremad", CREMAD_CLASSES)
    assert [clip_of(path) for path in listing.path.tolist()] == CLIPS
    emotions = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness"}
    assert [CREMAD_CLASSES[label] for label in listing.labels] == [emotions[clip[9:12]] for clip in CLIPS]
    assert listing.labels.dtype == np.int64
    assert listing.group.tolist() == [clip[:4] for clip in CLIPS]
    part_of = {actor: part for part, actors in CREMAD_PARTS for actor in actors}
    assert listing.part.tolist() == [part_of[clip[:4]] for clip in CLIPS]
    lengths = [5 + miniature.SOME.index(clip) % 2 for clip in CLIPS]
    assert listing.frame.tolist() == [length // 2 for length in lengths]
    assert all((tmp_path / path).is_file() for path in listing.path)
    assert np.isnan(listing.box).all()


@pytest.mark.parametrize(("number", "of_five"), [(1, [2]), (2, [1, 3]), (3, [0, 2, 4]), (5, [0, 1, 2, 3, 4])])
def test_more_pictures_of_a_clip_are_spread_evenly(number: int, of_five: list[int], tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "fernoise.toml").write_text(f"frames = {number}\n")
    listing = read(tmp_path)
    first = listing.path == f"VideoFlash/{miniature.SOME[0]}.flv"
    assert listing.frame[first].tolist() == of_five
    assert len(set(listing.labels[first].tolist())) == 1
    assert check(listing, "pictures of a clip").ok == (number == 1)
    assert len(listing) == len(listing.part) == len(listing.group) == len(listing.labels) == number * len(CLIPS)


def test_a_clip_has_no_more_pictures_than_frames(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "fernoise.toml").write_text("frames = 40\n")
    listing = read(tmp_path)
    assert listing.frame[listing.path == f"VideoFlash/{miniature.SOME[0]}.flv"].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("text", ["frames = 0", "frames = 101", "frames = true", "pictures = 2"])
def test_settings_that_cannot_be(text: str, tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "fernoise.toml").write_text(text + "\n")
    assert "fernoise.toml" in refusal(tmp_path)


# --- what a copy lacks


def test_what_is_counted_of_a_whole_miniature(tmp_path: Path) -> None:
    listing = read(write(tmp_path))
    found = {one.what: (one.expected, one.found) for one in listing.checks}
    assert found["clips"] == (7_442, 36)
    assert found["clips of neutral"] == (1_087, 6)
    assert found["actors"] == (91, 6)
    assert (found["men among the actors"], found["women among the actors"]) == ((48, 48), (43, 43))
    assert found["rows of votes"] == (22_326, 108)
    for mode in ("voice", "face", "audio-visual"):
        assert found[f"clips with {mode} votes"] == (7_442, 36)
    assert check(listing, "content of the votes").found != "published"
    right = {
        "rows whose votes add up",
        "rows of votes numbered as in SentenceFilenames.csv",
        "clips with votes and no video",
        "clips with a video and no votes",
        "Git LFS stubs in place of videos",
        "videos without a frame",
        "files that are no video",
        "other files among the videos",
        "pictures of a clip",
        "men among the actors",
        "women among the actors",
    }
    assert {one.what for one in listing.checks if one.ok} == right
    assert listing.partial


def test_missing_videos_and_votes_are_told(tmp_path: Path) -> None:
    write(tmp_path)
    gone, unvoted = miniature.SOME[4], miniature.SOME[7]
    (tmp_path / "VideoFlash" / f"{gone}.flv").unlink()
    kept = [line for line in lines_of(tmp_path) if unvoted not in line]
    (tmp_path / VOTES).write_text("".join(kept))
    (tmp_path / "VideoDemographics.csv").unlink()
    (tmp_path / "SentenceFilenames.csv").unlink()
    (tmp_path / "VideoFlash" / "1001_IEO_ANG_XX.mp4").touch()
    (tmp_path / "VideoFlash" / "2001_IEO_ANG_XX.flv").touch()
    miniature.write_flv_header(tmp_path / "VideoFlash" / f"{miniature.SOME[9]}.flv", 0)
    listing = read(tmp_path)
    for what, number, place in (
        ("clips with votes and no video", 2, miniature.SOME[9]),
        ("clips with a video and no votes", 1, unvoted),
        ("videos without a frame", 1, miniature.SOME[9]),
        ("other files among the videos", 2, "VideoFlash/1001_IEO_ANG_XX.mp4"),
        ("men among the actors", 0, "no VideoDemographics.csv"),
        ("rows of votes numbered as in SentenceFilenames.csv", 0, "has number"),
    ):
        found = check(listing, what)
        assert (found.ok, found.found) == (False, number), what
        assert place in found.where or gone in found.where
    assert not any(gone in path for path in listing.path)


def test_stubs_of_git_lfs_are_told_with_the_command_and_never_decoded(tmp_path: Path) -> None:
    write(tmp_path)
    stub = tmp_path / "VideoFlash" / f"{CLIPS[3]}.flv"
    stub.write_bytes(miniature.STUB)
    listing = read(tmp_path)
    found = check(listing, "Git LFS stubs in place of videos")
    assert (found.expected, found.found) == (0, 1)
    assert f"{CLIPS[3]}.flv" in found.where
    assert f"git -C {tmp_path} lfs pull" in found.where
    assert not any(CLIPS[3] in path for path in listing.path)
    for clip in CLIPS:
        (tmp_path / "VideoFlash" / f"{clip}.flv").write_bytes(miniature.STUB)
    message = refusal(tmp_path)
    assert "36 files are Git LFS stubs and no videos" in message
    assert f"git -C {tmp_path} lfs pull" in message


def test_an_absent_copy_says_where_to_ask(tmp_path: Path) -> None:
    message = refusal(tmp_path / "cremad")
    assert "CheyneyComputerScience/CREMA-D" in message
    assert "--synthetic" in message
    miniature.write_tables(tmp_path / "cremad")
    assert "votes, but no video such as VideoFlash/1001_DFA_ANG_XX.flv" in refusal(tmp_path / "cremad")


def test_a_clone_under_its_own_name_is_found(tmp_path: Path) -> None:
    write(tmp_path / "CREMA-D")
    assert f"mv {tmp_path / 'CREMA-D'} {tmp_path / 'cremad'}" in refusal(tmp_path / "cremad")


@pytest.mark.parametrize("content", [b"", b"<!doctype html>"])
def test_a_file_that_is_no_video_is_counted_and_named(content: bytes, tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "VideoFlash" / f"{CLIPS[0]}.flv").write_bytes(content)
    listing = read(tmp_path)
    found = check(listing, "files that are no video")
    assert found.found == 1
    assert f"{CLIPS[0]}.flv: no FLV video" in found.where
    assert len(listing) == len(CLIPS) - 1
    for clip in CLIPS:
        (tmp_path / "VideoFlash" / f"{clip}.flv").write_bytes(content)
    assert f"{CLIPS[0]}.flv: no FLV video" in refusal(tmp_path)


# --- votes


def test_votes_are_found_by_name_and_way_of_presentation_in_any_order(tmp_path: Path) -> None:
    votes = miniature.votes_of()
    table = read_votes(write(tmp_path))
    header, *rows = lines_of(tmp_path)
    random.Random(3).shuffle(rows)
    columns = [1, 0, 9, 8, *range(2, 8), 7 + 3]  # the order of columns does not matter either
    (tmp_path / VOTES).write_text(
        "".join(",".join(line.rstrip("\n").split(",")[column] for column in columns) + "\n" for line in [header, *rows])
    )
    shuffled = read_votes(tmp_path)
    assert table.clip.tolist() == shuffled.clip.tolist() == CLIPS
    assert table.digest == shuffled.digest
    for mode, name in enumerate(MODES, 1):
        expected = [votes[mode, clip] for clip in CLIPS]
        assert table.of(name).tolist() == shuffled.of(name).tolist() == expected
    assert table.of("face").tolist() != table.of("voice").tolist()
    place = table.place([CLIPS[5], "1091_IEO_ANG_XX", CLIPS[0]])
    assert place.tolist() == [5, -1, 0]


def test_other_votes_have_another_digest(tmp_path: Path) -> None:
    before = read_votes(write(tmp_path)).digest
    lines = lines_of(tmp_path)
    cells = lines[1].split(",")
    cells[1], cells[2] = str(int(cells[1]) + 1), str(max(0, int(cells[2]) - 1))
    (tmp_path / VOTES).write_text("".join([lines[0], ",".join(cells), *lines[2:]]))
    assert read_votes(tmp_path).digest != before


def test_a_row_whose_votes_do_not_add_up_is_told(tmp_path: Path) -> None:
    write(tmp_path)
    total = lines_of(tmp_path)[4].split(",")[8]
    replace_line(tmp_path, 4, f",{total},", f",{int(total) + 2},")
    found = check(read(tmp_path), "rows whose votes add up")
    assert (found.expected, found.found) == (108, 107)
    assert "line 5" in found.where


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"1', '"4', "no digit 1 to 3"),
        ('"1', '"11', "no digit 1 to 3"),
        ("_IEO_", "_ieo_", "no name of a clip"),
        ("_XX", "", "no name of a clip"),
        (",0,", ",-1,", "no number of votes"),
        (",0,", ",1.5,", "no number of votes"),
        (",0,", ",,", "no number of votes"),
        (",0,", ",99999999,", "no number of votes"),
    ],
)
def test_rows_of_votes_that_cannot_be(old: str, new: str, said: str, tmp_path: Path) -> None:
    write(tmp_path)
    replace_line(tmp_path, 2, old, new)
    message = refusal(tmp_path)
    assert said in message
    assert f"{VOTES}, line 3" in message


def test_a_row_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    with (tmp_path / VOTES).open("a") as file:
        file.write(lines_of(tmp_path)[1])
    assert "which line 2 has too" in refusal(tmp_path)


# --- responses of single people


@pytest.mark.parametrize("times", [True, False])
def test_responses_are_those_of_the_votes_without_the_late_ones(times: bool, tmp_path: Path) -> None:
    miniature.write_responses(miniature.write_tables(tmp_path), times=times)
    table, found = read_votes(tmp_path), read_responses(tmp_path)
    assert found is not None
    counted = tabulated(found, table)
    assert (counted == table.counts).all() == times
    assert (found.late, len(found)) == ((3, table.counts.sum()) if times else (-1, table.counts.sum() + 3))
    row = (found.annotator[17], found.clip[17], found.mode[17], found.label[17])
    who, clip, mode, letter, _ = miniature.responses_of(miniature.votes_of(), 0)[17]
    assert row == (who, clip, mode - 1, "ADFHNS".index(letter))
    assert read_responses(tmp_path / "nowhere") is None


def test_responses_to_practice_clips_are_left_out_and_other_ones_refused(tmp_path: Path) -> None:
    miniature.write_responses(miniature.write_tables(tmp_path), times=False)
    file = tmp_path / "finishedResponses.csv"
    text = file.read_text()
    clip = miniature.responses_of(miniature.votes_of())[0][1]
    file.write_text(text.replace(clip, "ANG_HI_practice", 1))
    found = read_responses(tmp_path)
    assert found is not None
    assert found.others == ("finishedResponses.csv, line 2: 'ANG_HI_practice'",)
    for old, new, said in ((",1,1,3,", ",5,1,3,", "queryType"), ('"A","80"', '"X","80"', "respEmo")):
        file.write_text(text.replace(old, new, 1))
        with pytest.raises(BadInput, match=said):
            read_responses(tmp_path)


@pytest.mark.parametrize("words", [('"person003",', '"",'), ('"A","80"', '"NA","80"'), ('"A","80"', '"","80"')])
def test_a_response_without_a_person_or_an_answer_is_left_out_and_counted(
    words: tuple[str, str], tmp_path: Path
) -> None:
    """One such row is no annotator of its own, and spoils no other."""
    miniature.write_responses(miniature.write_tables(tmp_path), times=False)
    whole, file = read_responses(tmp_path), tmp_path / "finishedResponses.csv"
    assert words[0] in file.read_text()
    file.write_text(file.read_text().replace(*words, 1))
    found = read_responses(tmp_path)
    assert whole is not None
    assert found is not None
    assert (len(found), len(found.unknown)) == (len(whole) - 1, 1)
    assert set(found.annotator) == set(whole.annotator)


def test_times_of_other_questions_are_refused(tmp_path: Path) -> None:
    """No response would be late."""
    miniature.write_responses(miniature.write_tables(tmp_path))
    file = tmp_path / "finishedEmoResponses.csv"
    head, *lines = file.read_text().splitlines()
    cells = [line.split(",") for line in lines]
    changed = [",".join([*row[:2], "7" + row[2].replace('"', ""), *row[3:]]) for row in cells]
    file.write_text("\n".join([head, *changed]) + "\n")
    with pytest.raises(BadInput, match=r"it has the questions of 0 of .* so that late ones cannot be told"):
        read_responses(tmp_path)


# --- the parts, and what was published


def test_the_parts_of_the_actors_are_drawn_by_key_and_balanced_by_sex() -> None:
    def key(actor: str) -> str:
        return hashlib.sha256(f"cremad parts {actor}".encode()).hexdigest()

    men = sorted(set(miniature.ACTORS) - set(miniature.WOMEN), key=key)
    women = sorted(miniature.WOMEN, key=key)
    dealt = tuple(tuple(sorted(men[part::3] + women[part::3])) for part in range(3))
    assert tuple(actors for _, actors in CREMAD_PARTS) == dealt
    assert [name for name, _ in CREMAD_PARTS] == ["part1", "part2", "part3"]
    assert [len(set(actors) - set(miniature.WOMEN)) for actors in dealt] == [16, 16, 16]
    assert [len(set(actors) & set(miniature.WOMEN)) for actors in dealt] == [15, 14, 14]


@pytest.mark.data
@pytest.mark.skipif(not (PUBLISHED / VOTES).is_file(), reason="the published votes are not under FERNOISE_DATA")
def test_the_published_votes(tmp_path: Path) -> None:
    (tmp_path / VOTES).parent.mkdir(parents=True)
    for name in (VOTES, "SentenceFilenames.csv", "VideoDemographics.csv"):
        (tmp_path / name).write_bytes((PUBLISHED / name).read_bytes())
    table = read_votes(tmp_path)
    assert table.digest == "published"
    assert table.counts.shape == (7_442, 3, 6)
    assert not table.wrong_sums
    reference = intended(table.clip.tolist())
    assert np.bincount(reference).tolist() == [1_271, 1_271, 1_271, 1_271, 1_087, 1_271]
    for mode, total, wrong in (("voice", 68_568, 0.600), ("face", 71_654, 0.426), ("audio-visual", 71_778, 0.369)):
        votes = table.of(mode)
        right = votes[np.arange(len(votes)), reference].sum()
        assert (votes.sum(), round(1 - right / total, 3)) == (total, wrong)
    (tmp_path / "VideoFlash").mkdir()
    for clip in table.clip.tolist()[:1]:
        miniature.write_flv_header(tmp_path / "VideoFlash" / f"{clip}.flv", 3)
    differing = {one.what for one in read(tmp_path).checks if not one.ok}
    assert differing == {
        "clips", *(f"clips of {name}" for name in CREMAD_CLASSES), "actors", "clips with votes and no video"
    }  # fmt: skip
