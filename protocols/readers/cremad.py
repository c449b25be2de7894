"""CREMA-D as its public repository has it: clips of 91 actors who say sentences with one of six emotions, and votes.

Pictures are frames of `VideoFlash/1001_DFA_ANG_XX.flv` (actor, sentence, intended emotion, intensity): the middle one
of each clip. Labels are the intended emotions; how many people saw which emotion, from the voice alone, the face alone
or both, is in `processedResults/tabulatedVotes.csv` (see cremad_votes). `VideoDemographics.csv` and
`SentenceFilenames.csv` are compared with the clips.

The videos are in Git's large file storage: without it a clone, and always a zip of the repository, has stubs of some
130 bytes in their place, which are named and not decoded. Known faults of the published set, such as clips whose sound
is missing or wrong (its issue 18), are reported as far as they can be seen here; nothing is repaired.

Settings in `fernoise.toml` beside the data:

- `frames` (default 1): pictures of each clip, the middles of as many equal parts; with another number the copy counts
  as partial.

Reference: Cao et al., IEEE Transactions on Affective Computing 5(4), 2014. Licence: ODbL 1.0 and DbCL 1.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import numpy as np

from ..errors import BadInput
from ..files import LFS_STUB
from ..images.video import flv_length
from ..labels import CREMAD_CLASSES, CREMAD_PARTS
from .clips import Clip, listing_of
from .cremad_votes import CLIP, FIRST_RESPONSES, HOME, MODES, RESPONSES, VOTES, VoteTable, intended, read_votes
from .folders import files_of
from .listing import CHOICES_FILE, Check, Listing, absent, first, read_choices
from .look_around import Signs
from .text_lines import read_table, without_point

VIDEOS, ACTORS, NAMES = "VideoFlash", "VideoDemographics.csv", "SentenceFilenames.csv"
TABLES = (VOTES, RESPONSES, FIRST_RESPONSES)
"""The files with what people saw."""
CLIPS, MEN, WOMEN = 7_442, 48, 43
OF_CLASS = (1_271, 1_271, 1_271, 1_271, 1_087, 1_271)
"""Clips of each intended emotion, in the order of CREMAD_CLASSES."""

_MOST_FRAMES = 100
_LARGEST_STUB = 1_000
_FETCH = f"fetch the file again from {HOME}"
_SIGNS = Signs((VIDEOS, "processedResults"), ("cremad",))
_PART = {actor: part for part, actors in CREMAD_PARTS for actor in actors}


@dataclass(frozen=True)
class _Videos:
    """The files in the folder of videos.

    Attributes:
        length: the number of frames of each clip that has some, by the clip's name, sorted.
        file: its file's name.
        stubs, empty, others: files that are Git LFS stubs, videos without a frame, and what is no clip.
        damaged: files that are no FLV video, each with the reason.
    """

    length: Mapping[str, int]
    file: Mapping[str, str]
    stubs: Sequence[str]
    empty: Sequence[str]
    others: Sequence[str]
    damaged: Sequence[str]


def read(root: Path) -> Listing:
    """Lists the pictures of all clips, sorted by the names of the clips.

    Returns:
        Labels int64 [N], the intended emotion in CREMAD_CLASSES; group the actor; part "part1" to "part3", this
        project's parts of the actors; frame that of the video.

    Raises:
        BadInput: no clip or no votes in the folder, stubs or damaged files in place of all videos, or a damaged table.
    """
    root = Path(root)
    frames = _frames_of_each(root)
    if not (root / VOTES).is_file():
        raise absent("CREMA-D", root, HOME, f"no votes, {VOTES}", _SIGNS)
    table, videos = read_votes(root), _videos(root / VIDEOS)
    if not videos.length:
        raise _without_videos(root, videos)
    clips = [_clip(name, videos, frames) for name in videos.length]
    checks = _checks(root, table, videos, frames)
    return listing_of("cremad", f"{VIDEOS}, FLV", root, CREMAD_CLASSES, clips, list(checks))


def clip_of(path: str) -> str:
    """The name of the clip that a picture of a listing is from, by its path."""
    return path.rpartition("/")[2].rpartition(".")[0]


def _frames_of_each(root: Path) -> int:
    frames = read_choices(root, {"frames": int}).get("frames", 1)
    if not 1 <= frames <= _MOST_FRAMES:
        raise BadInput(f"{root / CHOICES_FILE}: frames = {frames} must be 1 to {_MOST_FRAMES} pictures of each clip")
    return int(frames)


def _videos(folder: Path) -> _Videos:
    """What is in the folder of videos; of each video the number of frames is counted, and nothing decoded."""
    length, file, stubs, empty, others, damaged = {}, {}, [], [], [], []
    for name in files_of(folder):
        stem, _, ending = name.rpartition(".")
        match = CLIP.fullmatch(stem)
        if ending.lower() != "flv" or match is None or match[1] not in _PART or stem in file:
            others.append(f"{VIDEOS}/{name}")
        elif _is_stub(folder / name):
            stubs.append(f"{VIDEOS}/{name}")
        else:
            try:
                frames = flv_length(folder / name)
            except BadInput as error:
                damaged.append(str(error))
                continue
            if frames:
                length[stem], file[stem] = frames, name
            else:
                empty.append(f"{VIDEOS}/{name}")
    return _Videos(length, file, stubs, empty, others, damaged)


def _is_stub(path: Path) -> bool:
    """Whether a file is what Git leaves in place of a large file that was not fetched."""
    try:
        return path.stat().st_size <= _LARGEST_STUB and path.read_bytes().startswith(LFS_STUB)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error


def _fetch_videos(root: Path) -> str:
    """What to do about stubs."""
    return f"in a clone of {HOME}, git -C {quote(str(root))} lfs pull fetches the videos"


def _without_videos(root: Path, videos: _Videos) -> BadInput:
    """The error for a copy without a single video."""
    if videos.stubs:
        what = f"{len(videos.stubs):,} files are Git LFS stubs and no videos, the first {videos.stubs[0]}"
        return BadInput(f"CREMA-D: nothing usable in {root} ({what}): {_fetch_videos(root)}")
    if videos.damaged:
        return BadInput(videos.damaged[0])
    wanted = Signs(("1001_DFA_ANG_XX.flv",), into=VIDEOS)
    return absent("CREMA-D", root, HOME, f"votes, but no video such as {VIDEOS}/1001_DFA_ANG_XX.flv", wanted)


def _clip(name: str, videos: _Videos, frames: int) -> Clip:
    """The pictures of a clip: the middles of equal parts; all its frames if it has fewer."""
    length, actor = videos.length[name], name.partition("_")[0]
    frame = np.unique((2 * np.arange(frames) + 1) * length // (2 * frames))
    labels = np.repeat(intended([name]), len(frame))
    return Clip(actor, _PART[actor], [f"{VIDEOS}/{videos.file[name]}"] * len(frame), frame, labels)


def _checks(root: Path, table: VoteTable, videos: _Videos, frames: int) -> Iterator[Check]:
    """The comparison of clips and votes with the published ones, and with each other."""
    clips, voted = set(videos.length), set(table.clip.tolist())
    missing = sorted(voted - clips)
    yield Check("clips", CLIPS, len(clips), f"{VIDEOS}: no {missing[0]}.flv" if missing else "")
    counted = np.bincount(intended(sorted(clips)), minlength=len(CREMAD_CLASSES)).tolist()
    for emotion, published, found in zip(CREMAD_CLASSES, OF_CLASS, counted, strict=True):
        yield Check(f"clips of {emotion}", published, found)
    yield from _actor_checks(root, clips)
    yield from _vote_checks(root, table)
    yield Check.none("clips with votes and no video", [f"{VOTES}: {clip}" for clip in missing])
    yield Check.none("clips with a video and no votes", [f"{VIDEOS}: {clip}" for clip in sorted(clips - voted)])
    remedy = f"{videos.stubs[0]}: {_fetch_videos(root)}" if videos.stubs else ""
    yield Check("Git LFS stubs in place of videos", 0, len(videos.stubs), remedy)
    yield Check.none("videos without a frame", videos.empty)
    yield Check.none("files that are no video", videos.damaged)
    yield Check.none("other files among the videos", videos.others)
    yield Check("pictures of a clip", 1, frames)


def _actor_checks(root: Path, clips: set[str]) -> Iterator[Check]:
    """The comparison of the actors in the clips and in the table of them."""
    here = {clip.partition("_")[0] for clip in clips}
    yield Check.all("actors", len(_PART), [f"{VIDEOS}: no clip of {actor}" for actor in sorted(set(_PART) - here)])
    sex: dict[str, str] = {}
    if (root / ACTORS).is_file():
        sex = {without_point(actor): said for _, (actor, said) in read_table(root / ACTORS, _FETCH, ("ActorID", "Sex"))}
    place = "" if sex else f"no {ACTORS}"
    yield Check("men among the actors", MEN, sum(said == "Male" for said in sex.values()), place)
    yield Check("women among the actors", WOMEN, sum(said == "Female" for said in sex.values()), place)


def _vote_checks(root: Path, table: VoteTable) -> Iterator[Check]:
    """The comparison of the votes with the published ones, and of clip numbers with the table of names."""
    there = table.number >= 0
    rows = int(there.sum())
    yield Check("rows of votes", len(MODES) * CLIPS, rows)
    yield Check("rows whose votes add up", rows, rows - len(table.wrong_sums), first(table.wrong_sums))
    for mode, column in zip(MODES, there.T, strict=True):
        missing = table.clip[~column].tolist()
        yield Check(f"clips with {mode} votes", CLIPS, int(column.sum()), f"{VOTES}: {missing[0]}" if missing else "")
    name_of: dict[str, str] = {}
    if (root / NAMES).is_file():
        named = read_table(root / NAMES, _FETCH, ("Stimulus_Number", "Filename"))
        name_of = {without_point(number): clip for _, (number, clip) in named}
    differing = [
        f"{VOTES}: {clip} has number {number}"
        for clip, numbers in zip(table.clip.tolist(), table.number.tolist(), strict=True)
        for number in numbers
        if number >= 0 and name_of.get(str(number)) != clip
    ]
    yield Check.all(f"rows of votes numbered as in {NAMES}", rows, differing)
    digest = table.digest
    yield Check("content of the votes", "published", digest, "" if digest == "published" else _FETCH)
