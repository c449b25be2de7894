"""The votes of CREMA-D: how many people saw which emotion in a clip, and who saw what.

`processedResults/tabulatedVotes.csv` has a row for each clip and each way of presenting it. The first, unnamed column
is a digit, 1 voice alone, 2 face alone, 3 both, followed by the number of the clip in `SentenceFilenames.csv`; then the
votes A D F H N S (anger, disgust, fear, happiness, neutral, sadness), `fileName` and `numResponses`. Rows are found by
digit and file name, never by their order.

`finishedResponses.csv`, which need not be there, has a row for each response: `localid` (who), `queryType` (the digit),
`clipName` and `respEmo` (the letter). The owners left out of the votes what was answered more than 10 seconds after a
clip; which responses these are, by `sessionNums`, `queryType` and `questNum`, is in `finishedEmoResponses.csv` (`ttr`,
in milliseconds). Where that file is there they are left out here too.

Source: the owners' README.md, processFinishedResponses.R and tabulateVotesV2.r.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BadInput
from ..files import Array
from .text_lines import Line, coded, read_table, shown, whole, without_point

HOME = "github.com/CheyneyComputerScience/CREMA-D"
VOTES = "processedResults/tabulatedVotes.csv"
RESPONSES, FIRST_RESPONSES = "finishedResponses.csv", "finishedEmoResponses.csv"
MODES = ("voice", "face", "audio-visual")
"""The ways of presenting a clip; the digit of a way is its place, from 1."""
LETTERS = "ADFHNS"
"""The classes in the order of CREMAD_CLASSES, as responses name them."""
CLIP = re.compile(r"(\d{4})_[A-Z]{3}_(ANG|DIS|FEA|HAP|NEU|SAD)_(?:LO|MD|HI|XX)")
"""The name of a clip: actor, sentence, intended emotion, intensity."""
LATEST = 10_000.0  # milliseconds
PUBLISHED = "57de370488fea72a"
"""The digest of the published votes."""

_FETCH = f"fetch the file again from {HOME}"
_MOST = 10_000  # votes, far above any count
_Question = tuple[str, int | None, str]  # session, way of presentation, number
_KEY = re.compile(r"([123])(\d{5})")
_DIGITS = {1: 0, 2: 1, 3: 2}


@dataclass(frozen=True)
class VoteTable:
    """The tabulated votes, by clip and way of presentation.

    Attributes:
        clip: unicode [N], the names of the clips, sorted.
        counts: int64 [N, 3, 6], the votes for each class; 0 where the table has no row.
        number: int64 [N, 3], the number of the clip that the table has in the row; -1 where there is none.
        wrong_sums: places of rows whose votes do not add up to `numResponses`.
    """

    clip: Array
    counts: Array
    number: Array
    wrong_sums: tuple[str, ...]

    def place(self, clips: Sequence[str]) -> Array:
        """The row of each of some clips in this table, int64; -1 for a clip that it does not have."""
        rows = {clip: row for row, clip in enumerate(self.clip.tolist())}
        return np.array([rows.get(clip, -1) for clip in clips], np.int64)

    def of(self, mode: str) -> Array:
        """The votes of one way of presentation, int64 [N, 6]."""
        votes: Array = self.counts[:, MODES.index(mode)]
        return votes

    @property
    def digest(self) -> str:
        """ "published", or 16 hex digits that depend on the votes alone, not on the order or format of the file."""
        rows = zip(self.clip.tolist(), self.number.tolist(), self.counts.tolist(), strict=True)
        found = hashlib.sha256(repr(list(rows)).encode()).hexdigest()[:16]
        return "published" if found == PUBLISHED else found


@dataclass(frozen=True)
class Responses:
    """The responses of single people.

    Attributes:
        annotator: unicode [M], who.
        clip: unicode [M], the name of the clip.
        mode: int64 [M], the place of the way of presentation in MODES.
        label: int64 [M], the class.
        late: number of responses that were left out since they came late; -1 where their times are not known.
        others: places of responses to what is no clip of the data set, which were left out.
        unknown: places of responses without a person or an answer, which were left out.
    """

    annotator: Array
    clip: Array
    mode: Array
    label: Array
    late: int
    others: tuple[str, ...]
    unknown: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.clip)


def intended(clips: Sequence[str]) -> Array:
    """The emotion that each clip was to show, int64 [N], by the names of the clips."""
    return np.array([LETTERS.index(clip.split("_")[2][0]) for clip in clips], np.int64)


def read_votes(root: Path) -> VoteTable:
    """Reads the tabulated votes.

    Raises:
        BadInput: the file is missing or damaged, a row of no way of presentation or clip, votes that are no numbers, or
            two rows of one clip and way.
    """
    path = root / VOTES
    found: dict[tuple[str, int], tuple[Line, int, list[int]]] = {}
    wrong_sums = []
    for line, (key, *cells, clip, total) in read_table(path, _FETCH, ("", *LETTERS, "fileName", "numResponses")):
        match = _KEY.fullmatch(without_point(key))
        if match is None:
            raise line.error(f"{shown(key)} is no digit 1 to 3 followed by a clip's number of five digits")
        if not CLIP.fullmatch(clip):
            raise line.error(f"{shown(clip)} is no name of a clip such as 1001_DFA_ANG_XX")
        mode, votes = int(match[1]) - 1, [_count(line, cell) for cell in cells]
        if (clip, mode) in found:
            earlier = found[clip, mode][0].number
            raise line.error(f"{MODES[mode]} votes of {clip}, which line {earlier} has too", "keep one of the two")
        found[clip, mode] = line, int(match[2]), votes
        if sum(votes) != _count(line, total):
            wrong_sums.append(f"{VOTES}, line {line.number}: {sum(votes)} votes, numResponses {total}")
    if not found:
        raise BadInput(f"{path}: no row of votes; {_FETCH}")
    clips = sorted({clip for clip, _ in found})
    counts = np.zeros((len(clips), len(MODES), len(LETTERS)), np.int64)
    number = np.full((len(clips), len(MODES)), -1, np.int64)
    rows = {clip: row for row, clip in enumerate(clips)}
    for (clip, mode), (_, of_clip, votes) in found.items():
        counts[rows[clip], mode], number[rows[clip], mode] = votes, of_clip
    return VoteTable(np.array(clips, np.str_), counts, number, tuple(wrong_sums))


def read_responses(root: Path) -> Responses | None:
    """Reads the responses of single people; None where the file is not there.

    Raises:
        BadInput: a damaged file, a response of no way of presentation or class, or times of other questions.
    """
    if not (root / RESPONSES).is_file():
        return None
    is_late = _late(root / FIRST_RESPONSES)
    rows: list[tuple[str, str, int, int]] = []
    left_out = timed = 0
    others: list[str] = []
    unknown: list[str] = []
    wanted = ("localid", "clipName", "queryType", "respEmo", "sessionNums", "questNum")
    for line, (who, name, digit, letter, *question) in read_table(root / RESPONSES, _FETCH, wanted):
        shown_as = coded(digit, _DIGITS)
        if shown_as is None:
            raise line.error(f"queryType {shown(digit)} is none of 1, 2 and 3")
        clip = name.removesuffix(".flv")
        if not CLIP.fullmatch(clip):
            others.append(f"{RESPONSES}, line {line.number}: {shown(name)}")
            continue
        if line.no_number(who) or line.no_number(letter):
            unknown.append(f"{RESPONSES}, line {line.number}")
            continue
        if len(letter) != 1 or letter not in LETTERS:
            raise line.error(f"respEmo {shown(letter)} is none of {' '.join(LETTERS)}")
        key = without_point(question[0]), shown_as, without_point(question[1])
        timed += is_late is not None and key in is_late
        if is_late is not None and is_late.get(key):
            left_out += 1
            continue
        rows.append((without_point(who), clip, shown_as, LETTERS.index(letter)))
    if is_late is not None and 2 * timed < len(rows) + left_out:
        what = f"it has the questions of {timed:,} of {len(rows) + left_out:,} responses in {RESPONSES}"
        raise BadInput(f"{root / FIRST_RESPONSES}: {what}, so that late ones cannot be told; {_FETCH}, both of them")
    annotator, clips, mode, label = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Responses(
        np.array(annotator, np.str_),
        np.array(clips, np.str_),
        np.array(mode, np.int64),
        np.array(label, np.int64),
        -1 if is_late is None else left_out,
        tuple(others),
        tuple(unknown),
    )


def tabulated(responses: Responses, table: VoteTable) -> Array:
    """How often each class is among the responses to the clips of a table, int64 [N, 3, 6]."""
    row = table.place(responses.clip.tolist())
    counts = np.zeros_like(table.counts)
    known = row >= 0
    np.add.at(counts, (row[known], responses.mode[known], responses.label[known]), 1)
    return counts


def _late(path: Path) -> dict[_Question, bool] | None:
    """Session, way of presentation and question -> whether it was answered late; None where the file is not there."""
    if not path.is_file():
        return None
    wanted = ("sessionNums", "queryType", "questNum", "ttr")
    found: dict[_Question, bool] = {}
    for _, (session, digit, question, time) in read_table(path, _FETCH, wanted):
        key = without_point(session), coded(digit, _DIGITS), without_point(question)
        found[key] = found.get(key, False) or _after(time)
    return found


def _after(time: str) -> bool:
    """Whether a time is later than the owners counted; one that is no number is not."""
    try:
        return float(time) > LATEST
    except ValueError:
        return False


def _count(line: Line, text: str) -> int:
    count = whole(text)
    if count is None or count > _MOST:
        raise line.error(f"{shown(text)} is no number of votes")
    return count
