"""The contact sheet of suspicious labels: one self-contained HTML file.

It loads nothing from the network or the disk. The decisions stay in the browser, and leave it as a CSV file.
"""

from __future__ import annotations

import base64
import hashlib
import io
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from PIL import Image

from ...protocols.files import write_atomic
from ..page.html import embedded, source_hash

SIDE = 64
QUALITY = 85
BINARY = ("present", "absent")  # the labels of an action unit

_SCRIPTS = ("csv", "decisions", "grid", "panel", "sheet")
_JPEG = b"\xff\xd8\xff"
_DECIMALS = 6


@dataclass(frozen=True)
class Candidate:
    """A label to look at: of a picture, or of one action unit of a picture.

    Attributes:
        key: path of the picture relative to the folder of pictures, or the row's number in a published set.
        unit: the action unit, "" for expressions.
        given: the label that may be wrong: the name of a class, or "present" or "absent".
        suggested: the label it may be instead.
        suspicion: in [0, 1], higher means more likely wrong.
        agreement: share of the models that prefer the suggested label, in [0, 1].
        scores: further scores, by name.
        thumbnail: the picture as JPEG, see `thumbnail`.
    """

    key: str
    unit: str
    given: str
    suggested: str
    suspicion: float
    agreement: float
    scores: tuple[tuple[str, float], ...]
    thumbnail: bytes


def write_sheet(
    path: Path, candidates: Sequence[Candidate], *, title: str, subtitle: str, decisions: str, names: Sequence[str] = ()
) -> None:
    """Writes the page, atomically; the same candidates give the same bytes, in whatever order they come.

    Args:
        path: the HTML file; its folder is made when missing.
        candidates: at most one for each label.
        title: heading of the page.
        subtitle: a line below it.
        decisions: name of the CSV file that the page offers for download.
        names: the classes in their order, for labels other than those suggested.

    Raises:
        ValueError: a score is NaN or infinite, suspicion or agreement are not in [0, 1], a label occurs twice, an
            action unit is neither present nor absent, or a thumbnail is no JPEG.
    """
    _check(candidates)
    page = html(candidates, title=title, subtitle=subtitle, decisions=decisions, names=names)
    # a path that is not UTF-8 has lone surrogates; inside JSON their backslash form is their escape
    write_atomic(path, page.encode(errors="backslashreplace"))


def html(
    candidates: Sequence[Candidate], *, title: str, subtitle: str, decisions: str, names: Sequence[str] = ()
) -> str:
    """The page. All data are in one JSON element; the content security policy allows only the page's own script.

    Args:
        candidates: at most one for each label.
        title: heading of the page.
        subtitle: a line below it.
        decisions: name of the CSV file that the page offers for download.
        names: the classes in their order.
    """
    script = "\n".join(["'use strict';", *(_text(f"{name}.js") for name in _SCRIPTS)])
    style = _text("sheet.css")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_text("sheet.html.j2")).render(
        title=title,
        subtitle=subtitle,
        version=version("fernoise-bench"),
        policy=_policy(script, style),
        style=Markup(style),
        script=Markup(script),
        data=Markup(embedded({"file": decisions, **_data(candidates, names)})),
    )


def thumbnail(image: npt.NDArray[np.uint8], side: int = SIDE) -> bytes:
    """A picture as a small JPEG; grey stays grey, and no picture is enlarged.

    Args:
        image: uint8 [H, W, C] with one channel, or three of RGB.
        side: pixels of the longer side, at most.

    Raises:
        ValueError: another type or shape, or no pixels.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3) or not image.size:
        raise ValueError(f"a picture is uint8 [H, W, 1 or 3], not {image.dtype} {list(image.shape)}")
    grey = bool((image == image[:, :, :1]).all())
    picture = Image.fromarray(np.ascontiguousarray(image[:, :, 0] if grey else image))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY, optimize=True)
    return out.getvalue()


def _check(candidates: Sequence[Candidate]) -> None:
    for one in candidates:
        for name, value in (("suspicion", one.suspicion), ("agreement", one.agreement)):
            if not 0 <= value <= 1:  # NaN is not
                raise ValueError(f"{name} of {_name(one)} is {value}, not in [0, 1]")
        for name, value in one.scores:
            if not math.isfinite(value):
                raise ValueError(f"{name} of {_name(one)} is {value}")
        if one.unit and not {one.given, one.suggested} <= set(BINARY):
            raise ValueError(
                f"the labels of {_name(one)} are {one.given!r} and {one.suggested!r}, not present or absent"
            )
        if not one.thumbnail.startswith(_JPEG):
            raise ValueError(f"the thumbnail of {_name(one)} is no JPEG")
    twice = [label for label, count in Counter((one.key, one.unit) for one in candidates).items() if count > 1]
    if twice:
        raise ValueError(f"{' '.join(twice[0]).strip()!r} occurs twice")


def _name(candidate: Candidate) -> str:
    return repr(f"{candidate.key} {candidate.unit}".strip())


def _data(candidates: Sequence[Candidate], names: Sequence[str]) -> dict[str, Any]:
    """What the page's script reads, the most suspicious labels first; the digest tells sheets apart."""
    ordered = sorted(candidates, key=lambda one: (-one.suspicion, -one.agreement, one.key, one.unit))
    scores = list(dict.fromkeys(name for one in ordered for name, _ in one.scores))
    labels = sorted({label for one in ordered if not one.unit for label in (one.given, one.suggested)})
    data = {
        "names": list(dict.fromkeys([*names, *labels])),
        "binary": list(BINARY),
        "scores": scores,
        "rows": [_row(one, scores) for one in ordered],
        "thumbnails": [base64.b64encode(one.thumbnail).decode() for one in ordered],
    }
    return {"digest": hashlib.sha256(embedded(data).encode(errors="backslashreplace")).hexdigest()[:32], **data}


def _row(candidate: Candidate, scores: Sequence[str]) -> list[Any]:
    values = dict(candidate.scores)
    further = [round(float(values[name]), _DECIMALS) if name in values else None for name in scores]
    numbers = [round(float(value), _DECIMALS) for value in (candidate.suspicion, candidate.agreement)]
    return [candidate.key, candidate.unit, candidate.given, candidate.suggested, *numbers, further]


def _policy(script: str, style: str) -> str:
    """The content security policy: nothing is fetched, only the page's own script runs, pictures come with the data."""
    own = f"script-src '{source_hash(script)}'; style-src '{source_hash(style)}'"
    return f"default-src 'none'; {own}; img-src data:; base-uri 'none'; form-action 'none'"


def _text(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")
