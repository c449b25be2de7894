"""Numbers of the claims as they are printed. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from ..tables.cell import minus
from ..tables.comparison_cells import SMALLEST_P
from .claim import Level
from .significance import Sample


def figures(found: Sample, p: float, family: int) -> str:
    """Such as "71.75 against 70.00: +1.75 [+1.00, +2.50], p = 0.008, 8 pairs"."""
    sides = f"{found.left:.2f}" if found.right is None else f"{found.left:.2f} against {found.right:.2f}"
    interval = (
        "no 95% interval" if found.low is None or found.high is None else f"[{points(found.low)}, {points(found.high)}]"
    )
    over = p_words(p, " = ", found.margin) + (f" (Holm over {family} comparisons)" if family > 1 else "")
    sample_of = f"{found.pairs} pair{'s' * (found.pairs != 1)}"
    sample_of += f", {found.subjects} subjects resampled" if found.subjects else ""
    return f"{sides}: {points(found.difference)} {interval}, {over}, {sample_of}"


def p_words(p: float, equals: str = " ", margin: float = 0.0) -> str:
    """Such as "p 0.008" or "p < 0.001"; with a margin what it was tested against: "(against −1 point)"."""
    number = f"p{equals}{p:.3f}" if p >= SMALLEST_P else f"p < {SMALLEST_P}"
    return number + (f" (against −{margin:g} point)" if margin else "")


def noise_words(levels: Sequence[Level]) -> str:
    """Noise levels as they are printed; "" for a noise without levels."""
    return ", ".join(f"{level:g}" for level in levels if level is not None)


def points(value: float) -> str:
    """A difference in points, signed: "+1.30", "−0.42"."""
    return minus(f"{value:+.2f}")
