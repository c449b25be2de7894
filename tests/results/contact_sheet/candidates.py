"""Candidates of made-up pictures for the tests of the contact sheet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fernoise_bench.results.contact_sheet.sheet import Candidate, thumbnail

NAMES = ("anger", "disgust", "happiness", "neutral")
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
TEXTS = {"title": "Suspicious labels", "subtitle": "elr, 3 seeds", "decisions": "decisions.csv"}


def noise(seed: int, channels: int = 1, side: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, channels), dtype=np.uint8)


def candidate(number: int, **changes: Any) -> Candidate:
    """The candidate of a number; the higher, the less suspicious."""
    one = Candidate(
        key=f"faces/{number}.png",
        unit="",
        given=NAMES[number % 2],
        suggested=NAMES[2 + number % 2],
        suspicion=round(0.99 - number / 10000, 6),
        agreement=(number % 4) / 3,
        scores=(("margin", number / 8 - 1.0), ("forgetting", float(number % 5))),
        thumbnail=thumbnail(noise(number)),
    )
    return replace(one, **changes)
