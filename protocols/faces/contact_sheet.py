"""A contact sheet of generated faces: action units at all intensities, expressions, and examples of label noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..errors import BadInput
from ..noise import pair_flip, symmetric
from .behaviour import NUMBERS, PROTOTYPES, Frames
from .draw import draw
from .generate import FaceSpecification, annotator_votes, automatic_annotator, faces
from .keyed_random import key, mix_key

Pixels = NDArray[np.uint8]

MEANINGS = {
    1: "inner brow raiser", 2: "outer brow raiser", 4: "brow lowerer", 5: "upper lid raiser", 6: "cheek raiser",
    7: "lid tightener", 9: "nose wrinkler", 10: "upper lip raiser", 12: "lip corner puller", 14: "dimpler",
    15: "lip corner depressor", 17: "chin raiser", 20: "lip stretcher", 23: "lip tightener", 24: "lip pressor",
    25: "lips part", 26: "jaw drop", 28: "lip suck", 43: "eyes closed", 45: "blink",
}  # fmt: skip
_LEFT, _GAP, _PAPER, _INK = 116, 2, 250, (20, 20, 20)


def sheet(seed: int, size: int = 64, subjects: tuple[str, ...] = ("Zoe", "Noa", "Fay")) -> Pixels:
    """A labelled contact sheet, uint8 [H, W, 3].

    One row for each action unit, at intensities 0 to 5 on each otherwise neutral subject; then expressions of many
    people with the votes of ten annotators, faces with changed labels, and spontaneous faces with the number of errors
    of the automatic annotator.

    Raises:
        BadInput: size is below 16, or there are no subjects.
    """
    if size < 16:
        raise BadInput(f"faces need at least 16 pixels, not {size}")
    if not subjects:
        raise BadInput("the contact sheet needs at least one subject")
    columns = 6 * len(subjects)
    heading = _blank(16, columns, size)
    for place, subject in enumerate(subjects):
        write(heading, 2, _LEFT + 6 * place * (size + _GAP), f"{subject}: intensity 0 1 2 3 4 5")
    rows = [heading]
    for number in NUMBERS:
        rows.append(_row([f"AU{number}", MEANINGS[number]], action_unit(number, subjects, seed, size), columns))
    rows += _expressions(seed, size, columns) + _flipped(seed, size, columns) + _annotated(seed, size, columns)
    return np.concatenate(rows)


def write(image: Pixels, top: int, left: int, text: str) -> None:
    """Writes text into an image [H, W, 3] in place; what exceeds the image is cut off."""
    page = Image.fromarray(image)
    ImageDraw.Draw(page).text((left, top), text, fill=_INK, font=ImageFont.load_default())
    image[:] = np.asarray(page)


def _blank(height: int, columns: int, size: int) -> Pixels:
    """An empty strip for labels and a number of faces."""
    return np.full((height, _LEFT + columns * (size + _GAP), 3), _PAPER, dtype=np.uint8)


def _row(labels: list[str], images: Pixels, columns: int) -> Pixels:
    """At most `columns` of the images [n, size, size, 3] side by side, with lines of text to their left."""
    size = images.shape[1]
    strip = _blank(size + _GAP, columns, size)
    for place, line in enumerate(labels):
        write(strip, 2 + 13 * place, 2, line)
    for place, image in enumerate(images[:columns]):
        left = _LEFT + place * (size + _GAP)
        strip[:size, left : left + size] = image
    return strip


def _notes(label: str, notes: list[str], size: int) -> Pixels:
    """A line of text under each face of a row."""
    strip = _blank(16, len(notes), size)
    write(strip, 2, 2, label)
    for place, note in enumerate(notes):
        write(strip, 2, _LEFT + place * (size + _GAP), note)
    return strip


def action_unit(number: int, subjects: tuple[str, ...], seed: int, size: int) -> Pixels:
    """One action unit (its number) at intensities 0..5 on each subject: uint8 [6 x subjects, size, size, 3].

    Frontal, evenly lit and without noise; all other action units are 0.
    """
    count = 6 * len(subjects)
    person = np.repeat(np.concatenate([key("person", name) for name in subjects]), 6)
    still = mix_key(key("sheet", seed), np.zeros(count, dtype=np.int64))
    frames = Frames(np.arange(count, dtype=np.int64), person, still, still, np.zeros(count, dtype=np.int64))
    levels = np.zeros((count, len(NUMBERS), 2))
    levels[:, NUMBERS.index(number)] = np.tile(np.arange(6.0), len(subjects))[:, None]
    light = np.tile([0.0, 0.3, 1.0], (count, 1))
    return draw(frames, levels, np.zeros((count, 3)), light, size, 0.0)


def _expressions(seed: int, size: int, columns: int) -> list[Pixels]:
    """A row of faces for each expression with its share of the votes, and a row of the most ambiguous faces."""
    names = tuple(PROTOTYPES)
    found = faces(FaceSpecification(40 * columns, size, content="expressions", expressions=names), seed)
    votes = annotator_votes(found, seed)
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
        notes = [f"{tally[face, place]} {names[place]}" for face, place in zip(hardest, ranked, strict=True)]
        rows.append(_notes("", notes, size))
    return rows


def _flipped(seed: int, size: int, columns: int) -> list[Pixels]:
    """Posed faces with their labels, and the labels changed by symmetric and pair noise at 40%."""
    names = tuple(PROTOTYPES)
    found = faces(FaceSpecification(8 * columns, size, content="expressions", expressions=names), seed + 1)
    rows = [_row(["label noise", "at 40%"], found.images, columns)]
    rows.append(_notes("label", [names[label] for label in found.expressions[:columns]], size))
    for kind, flip in (("symmetric", symmetric), ("pair", pair_flip)):
        given = flip(found.expressions, 0.4, len(names), seed)
        changed = np.where(given != found.expressions, given, -1)[:columns]
        rows.append(_notes(kind, [names[label] if label >= 0 else "" for label in changed], size))
    return rows


def _annotated(seed: int, size: int, columns: int) -> list[Pixels]:
    """Spontaneous faces with the number of action units that the automatic annotator missed (-) and added (+)."""
    found = faces(FaceSpecification(columns, size), seed)
    labels, reference = automatic_annotator(found, seed) > 0, found.aus >= 2
    missed, added = (reference & ~labels).sum(axis=1), (labels & ~reference).sum(axis=1)
    notes = [f"-{miss} +{extra}" for miss, extra in zip(missed, added, strict=True)]
    return [_row(["spontaneous", "faces"], found.images, columns), _notes("annotator errors", notes, size)]
