"""What all figures share: colours, the style, and how they are saved reproducibly."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...protocols.errors import BadInput
from ...protocols.files import write_atomic

# Okabe and Ito's palette without its yellow; beyond seven the dashes change
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
_DASHES = ("-", "--", ":", "-.")
_STYLE = {
    **{"font.size": 11, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "fernoise-bench"},
    "pdf.fonttype": 42,  # letters stay letters, which conferences ask for and searches need
}
_METADATA: dict[str, dict[str, None]] = {
    **{"svg": {"Date": None}, "png": {"Software": None}},
    "pdf": {"CreationDate": None},
}

GREY = "#999999"
PALE = "#dddddd"


def check_name(path: Path) -> str:
    """The kind of file a name stands for: "svg", "png" or "pdf".

    Raises:
        BadInput: another ending.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in _METADATA:
        raise BadInput(f"{path}: a figure's name must end in .svg, .png or .pdf")
    return kind


def save_figure(path: Path, size: tuple[float, float], fill: Callable[[Any], None]) -> None:
    """Draws a figure into an SVG, PNG or PDF file; the same drawing gives the same bytes.

    Args:
        path: the file, written whole or not at all.
        size: in inches.
        fill: draws on the matplotlib figure it is handed.

    Raises:
        BadInput: matplotlib is not installed, or the file's ending is not .svg, .png or .pdf.
    """
    kind = check_name(path)
    try:
        from matplotlib import style
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BadInput("figures need matplotlib: pip install 'fernoise-bench[figures]'") from error
    buffer = io.BytesIO()
    with style.context(["default", _STYLE]):
        figure = Figure(figsize=size, layout="constrained")
        fill(figure)
        figure.savefig(buffer, format=kind, dpi=120, metadata=_METADATA[kind])
    write_atomic(path, buffer.getvalue())


def look(number: int) -> dict[str, str]:
    """Colour and dashes of the line of that number."""
    dashes = _DASHES[number // len(_COLOURS) % len(_DASHES)]
    return {"color": _COLOURS[number % len(_COLOURS)], "linestyle": dashes}
