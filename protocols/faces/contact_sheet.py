"""A contact sheet of generated faces: every action unit at every intensity, every expression, noise examples.

Letters come from a tiny built-in bitmap font, so nothing but NumPy is needed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import BadInput
from ..noise import pair_flip, symmetric
from .behaviour import NUMBERS, PROTOTYPES, Cast
from .draw import draw
from .generate import FaceSpecification, annotators, automatic_coder, faces
from .keyed_random import key, mix_key

Image = NDArray[np.uint8]

# Three by five dots a letter, rows from the top, three bits each, as one octal number.
FONT = {
    "A": 0o25755, "B": 0o65656, "C": 0o34443, "D": 0o65556, "E": 0o74647, "F": 0o74644, "G": 0o34553, "H": 0o55755,
    "I": 0o72227, "J": 0o11152, "K": 0o55655, "L": 0o44447, "M": 0o57755, "N": 0o65555, "O": 0o25552, "P": 0o65644,
    "Q": 0o25563, "R": 0o65655, "S": 0o34216, "T": 0o72222, "U": 0o55557, "V": 0o55552, "W": 0o55775, "X": 0o55255,
    "Y": 0o55222, "Z": 0o71247, "0": 0o75557, "1": 0o26227, "2": 0o61247, "3": 0o61216, "4": 0o55711, "5": 0o74616,
    "6": 0o34757, "7": 0o71122, "8": 0o75757, "9": 0o75716, "+": 0o02720, "-": 0o00700, ".": 0o00002, "/": 0o11244,
    ":": 0o02020, "%": 0o51245,
}  # fmt: skip
MEANINGS = {
    1: "inner brow raiser", 2: "outer brow raiser", 4: "brow lowerer", 5: "upper lid raiser", 6: "cheek raiser",
    7: "lid tightener", 9: "nose wrinkler", 10: "upper lip raiser", 12: "lip corner puller", 14: "dimpler",
    15: "lip corner depressor", 17: "chin raiser", 20: "lip stretcher", 23: "lip tightener", 24: "lip pressor",
    25: "lips part", 26: "jaw drop", 28: "lip suck", 43: "eyes closed", 45: "blink",
}  # fmt: skip
_LEFT, _GAP, _PAPER, _INK = 116, 2, 250, 20


def sheet(seed: int, size: int = 64, subjects: tuple[str, ...] = ("Zoe", "Noa", "Fay")) -> Image:
    """A labelled contact sheet, uint8 [H, W, 3].

    One action unit a row at intensities 0 to 5 on each subject, who is otherwise neutral; then expressions of many
    people with the votes ten annotators gave, faces with changed labels, and spontaneous faces with the errors of the
    automatic coder.

    Raises:
        BadInput: when size is below 16 or there are no subjects.
    """
    if size < 16:
        raise BadInput(f"faces need at least 16 pixels, not {size}")
    if not subjects:
        raise BadInput("the contact sheet needs at least one subject")
    columns = 6 * len(subjects)
    heading = np.full((16, _LEFT + columns * (size + _GAP), 3), _PAPER, dtype=np.uint8)
    for place, subject in enumerate(subjects):
        write(heading, 2, _LEFT + 6 * place * (size + _GAP), f"{subject}: intensity 0 1 2 3 4 5")
    rows = [heading]
    for number in NUMBERS:
        rows.append(
            _row([f"AU{number}", *_lines(MEANINGS[number])], action_unit(number, subjects, seed, size), columns)
        )
    rows += _expressions(seed, size, columns) + _flipped(seed, size, columns) + _coded(seed, size, columns)
    return np.concatenate(rows)


def write(image: Image, top: int, left: int, text: str, scale: int = 2) -> None:
    """Write text into an image [H, W, 3] in place; unknown letters are blank, what does not fit is cut."""
    for place, letter in enumerate(text.upper()):
        code = FONT.get(letter, 0)
        dots = np.array([[code >> (3 * (4 - row) + 2 - column) & 1 for column in range(3)] for row in range(5)], bool)
        dots = np.repeat(np.repeat(dots, scale, axis=0), scale, axis=1)
        spot = image[top : top + 5 * scale, left + 4 * scale * place :][:, : 3 * scale]
        spot[dots[: spot.shape[0], : spot.shape[1]]] = _INK


def _lines(text: str, width: int = 14) -> list[str]:
    """Text broken into lines of at most width letters, words kept whole."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= width and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _row(labels: list[str], images: Image, columns: int) -> Image:
    """Images [n, H, W, 3], at most columns of them, side by side with lines of text to their left."""
    height, width = images.shape[1] + _GAP, images.shape[2] + _GAP
    strip = np.full((height, _LEFT + columns * width, 3), _PAPER, dtype=np.uint8)
    for place, line in enumerate(labels):
        write(strip, 2 + 13 * place, 2, line)
    for place, image in enumerate(images[:columns]):
        left = _LEFT + place * width
        strip[: height - _GAP, left : left + width - _GAP] = image
    return strip


def _notes(label: str, notes: list[str], size: int) -> Image:
    """A line of text under each face of a row."""
    strip = np.full((16, _LEFT + len(notes) * (size + _GAP), 3), _PAPER, dtype=np.uint8)
    write(strip, 2, 2, label)
    for place, note in enumerate(notes):
        write(strip, 2, _LEFT + place * (size + _GAP), note)
    return strip


def action_unit(number: int, subjects: tuple[str, ...], seed: int, size: int) -> Image:
    """One action unit (its number) at intensities 0..5 on each subject: uint8 [6 x subjects, size, size, 3].

    Frontal, evenly lit, no noise, nothing else moves.
    """
    count = 6 * len(subjects)
    person = np.repeat(np.concatenate([key("person", name) for name in subjects]), 6)
    still = mix_key(key("sheet", seed), np.zeros(count, dtype=np.int64))
    who = Cast(np.arange(count, dtype=np.int64), person, still, still, np.zeros(count, dtype=np.int64))
    levels = np.zeros((count, len(NUMBERS), 2))
    levels[:, NUMBERS.index(number)] = np.tile(np.arange(6.0), len(subjects))[:, None]
    light = np.tile([0.0, 0.3, 1.0], (count, 1))
    return draw(who, levels, np.zeros((count, 3)), light, size, 0.0)


def _expressions(seed: int, size: int, columns: int) -> list[Image]:
    """A row of faces for each expression with its share of the votes, and a row of the most ambiguous faces."""
    names = tuple(PROTOTYPES)
    found = faces(FaceSpecification(40 * columns, size, content="expressions", expressions=names), seed)
    votes = annotators(found, seed)
    tally = np.stack([(votes == place).sum(axis=1) for place in range(len(names))], axis=1)
    rows = []
    for place, name in enumerate(names):
        chosen = np.flatnonzero(found.expressions == place)[:columns]
        share = round(100 * tally[chosen, place].sum() / max(tally[chosen].sum(), 1))
        rows.append(_row([name, f"{share}% of votes"], found.images[chosen], columns))
    hardest = np.argsort(found.distribution.max(axis=1), kind="stable")[:columns]
    rows.append(_row(["ambiguous", "votes of ten"], found.images[hardest], columns))
    for rank in range(2):
        ranked = np.argsort(-tally[hardest], axis=1, kind="stable")[:, rank]
        notes = [f"{tally[face, place]} {names[place][:4]}" for face, place in zip(hardest, ranked, strict=True)]
        rows.append(_notes("", notes, size))
    return rows


def _flipped(seed: int, size: int, columns: int) -> list[Image]:
    """Posed faces; under each its label, and what symmetric and pair noise at 40% make of it where they change it."""
    names = tuple(PROTOTYPES)
    found = faces(FaceSpecification(8 * columns, size, content="expressions", expressions=names), seed + 1)
    rows = [_row(["label noise", "at 40%"], found.images, columns)]
    rows.append(_notes("label", [names[label][:7] for label in found.expressions[:columns]], size))
    for kind, flip in (("symmetric", symmetric), ("pair", pair_flip)):
        given = flip(found.expressions, 0.4, len(names), seed)
        changed = np.where(given != found.expressions, given, -1)[:columns]
        rows.append(_notes(kind, [names[label][:7] if label >= 0 else "" for label in changed], size))
    return rows


def _coded(seed: int, size: int, columns: int) -> list[Image]:
    """Spontaneous faces; under each, how many of its action units the automatic coder missed and made up."""
    found = faces(FaceSpecification(columns, size), seed)
    labels, truth = automatic_coder(found, seed) > 0, found.aus >= 2
    missed, made_up = (truth & ~labels).sum(axis=1), (labels & ~truth).sum(axis=1)
    notes = [f"-{miss} +{extra}" for miss, extra in zip(missed, made_up, strict=True)]
    return [_row(["spontaneous", "faces"], found.images, columns), _notes("coder errors", notes, size)]
