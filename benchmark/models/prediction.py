"""Predictions for pictures on disk, as a CSV table that is written as it grows and can be continued."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ...protocols.errors import BadInput, printable
from .model import TrainedModel
from .picture_list import PATH, PREDICTED, PROBLEM, Asked
from .pictures import Face, check_detector, face_of_file, network_input

BATCH = 64
UNFINISHED = ".part"
THRESHOLD = 0.5  # from which an action unit is predicted present, as in all scores

OnProgress = Callable[[int, int], None]


def predict_pictures(
    model: TrainedModel, asked: Asked, out: Path, *, align: bool, report: OnProgress, warn: Callable[[str], None]
) -> int:
    """Writes a row a picture; an unfinished table of the same model is continued. Returns how many could not be read.

    Columns: path; predicted (the likeliest class, or the AUs from probability 0.5 on); a probability a class or AU;
    problem, why a picture has none. The table grows in `out` + ".part", and has its name when it is whole.

    Raises:
        BadInput: an unfinished table of another model or other options.
        OSError: the table cannot be written.
    """
    if align:
        check_detector()
    unfinished = out.with_name(out.name + UNFINISHED)
    header = [PATH, PREDICTED, *model.names, PROBLEM]
    mark = f"# {model.card.trial} {model.card.which} epoch {model.card.scores.epoch}{' aligned' * align}\n"
    done, bad = _continued(unfinished, mark, header)
    left = [name for name in asked.names if name not in done]
    report(len(done), len(asked.names))
    with unfinished.open("a", newline="", encoding="utf-8") as file:
        if not done and file.tell() == 0:
            file.write(mark)
            csv.writer(file).writerow(header)
        for start in range(0, len(left), BATCH):
            rows = list(_rows(model, asked.root, left[start : start + BATCH], align, warn))
            bad += sum(bool(row[-1]) for row in rows)
            csv.writer(file).writerows(rows)
            file.flush()
            report(len(done) + start + len(rows), len(asked.names))
        os.fsync(file.fileno())
    _finish(unfinished, out, len(mark.encode()))
    return bad


def _continued(unfinished: Path, mark: str, header: Sequence[str]) -> tuple[set[str], int]:
    """The pictures that an unfinished table has, and how many of them could not be read; a torn last row is removed."""
    if not unfinished.exists():
        return set(), 0
    content = unfinished.read_bytes()
    whole = content[: content.rfind(b"\n") + 1].decode("utf-8", "replace")
    first, _, rest = whole.partition("\n")
    if not rest:
        unfinished.unlink()
        return set(), 0
    rows = list(csv.reader(io.StringIO(rest, newline="")))
    if f"{first}\n" != mark or rows[0] != list(header):
        raise BadInput(
            f"{unfinished}: an unfinished table of another model or of other options; continue it with these, or "
            "remove it"
        )
    while rows and len(rows[-1]) != len(header):
        rows.pop()
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    unfinished.write_bytes((mark + text.getvalue()).encode())
    return {row[0] for row in rows[1:]}, sum(bool(row[-1]) for row in rows[1:])


def _finish(unfinished: Path, out: Path, mark: int) -> None:
    """Gives a whole table its name, without the first line that tells whose it is."""
    whole = unfinished.with_name(unfinished.name + ".whole")
    whole.write_bytes(unfinished.read_bytes()[mark:])
    whole.replace(out)
    unfinished.unlink()


def _rows(
    model: TrainedModel, root: Path, names: Sequence[str], align: bool, warn: Callable[[str], None]
) -> Iterator[list[str]]:
    """The rows of some pictures, in order."""
    faces: dict[str, Face] = {}
    problems: dict[str, str] = {}
    for name in names:
        try:
            faces[name] = face_of_file(root / name, model.card.pictures, align=align)
        except BadInput as error:
            warn(printable(str(error)))
            problems[name] = printable(str(error).removeprefix(f"{root / name}: "))
    found = dict(zip(faces, _probabilities(model, list(faces.values())), strict=True))
    for name in names:
        if name in problems:
            yield [name, "", *[""] * len(model.names), problems[name]]
        else:
            yield [name, _predicted(model, found[name]), *[f"{value:.6f}" for value in found[name]], ""]


def _probabilities(model: TrainedModel, faces: Sequence[Face]) -> list[list[float]]:
    if not faces:
        return []
    rows: list[list[float]] = model.predict_ready(network_input(np.stack(faces), model.card.pictures)).tolist()
    return rows


def _predicted(model: TrainedModel, probabilities: Sequence[float]) -> str:
    if model.card.kind == "single":
        return model.names[int(np.argmax(probabilities))]
    return " ".join(name for name, value in zip(model.names, probabilities, strict=True) if value >= THRESHOLD)
