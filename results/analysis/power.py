"""What a family of comparisons can show, in words: which difference it would find, or that it cannot. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from ..statistics import POWER, SIGNIFICANT, detectable_effect, pairs_needed, what_the_design_can_show
from .comparisons import LEAST_PAIRS, BySubject, Comparison


def power_words(comparisons: Sequence[Comparison]) -> str:
    """What a family of comparisons can show, in a sentence or two; empty without one that has a pair.

    It speaks of the test that decides, and of the comparisons with the most pairs. The size of a difference it would
    find is reckoned with the median standard deviation of its differences.
    """
    made = [each for each in comparisons if each.differences]
    apart = [each.by_subject for each in made if each.by_subject is not None]
    if not made:
        return ""
    if apart:
        return _power_by_subject(min(len(each.differences) for each in made), apart)
    pairs = max(len(each.differences) for each in made)
    words = f"Power: {what_the_design_can_show(pairs, len(made))}."
    short = [each.label for each in made if not each.can_decide]
    if 0 < len(short) < len(made):
        words += f" With fewer pairs, which cannot: {', '.join(short)}."
    effect = detectable_effect(pairs, len(made))
    deviations = [each.spread for each in made if not math.isnan(each.spread)]
    return words + (_detectable(effect * float(np.median(deviations))) if deviations else "")


def _power_by_subject(pairs: int, made: Sequence[BySubject]) -> str:
    """The same where subjects decide: with the normal approximation of the resampled differences."""
    family, people = len(made), min(each.subjects for each in made)
    needed = pairs_needed(family)
    words = f"Power: {people} subjects decide, {family} comparison{'s' * (family != 1)}, Holm counted"
    if pairs < LEAST_PAIRS:
        return f"{words}; but one training of each says nothing of another: {LEAST_PAIRS} pairs are needed."
    if people < needed:
        return f"{words}; this design cannot reach p < .05, {needed} subjects could."
    normal = NormalDist()
    effect = normal.inv_cdf(1 - SIGNIFICANT / (2 * family)) + normal.inv_cdf(POWER)
    return f"{words}." + _detectable(effect * float(np.median([each.error for each in made])))


def _detectable(difference: float) -> str:
    if not math.isfinite(difference):
        return ""
    return (
        f" With the spread seen here a true difference of about {100 * difference:.1f} points is found four times in "
        "five; no significance does not mean no difference."
    )
