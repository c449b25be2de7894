"""The statistical power of a family of comparisons, in words. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from ..statistics import POWER, SIGNIFICANT, detectable_effect, pairs_needed, what_the_design_can_show
from .comparisons import LEAST_PAIRS, BySubject, Comparison


def power_words(comparisons: Sequence[Comparison]) -> str:
    """The power of a family of comparisons, in one or two sentences; empty where none of them has a pair.

    It is that of the test that decides, for the comparisons with the most pairs. The detectable difference is computed
    with the median standard deviation of their differences.
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
        words += f" With fewer pairs, too few for that: {', '.join(short)}."
    effect = detectable_effect(pairs, len(made))
    deviations = [each.spread for each in made if not math.isnan(each.spread)]
    return words + (_detectable(effect * float(np.median(deviations))) if deviations else "")


def _power_by_subject(pairs: int, made: Sequence[BySubject]) -> str:
    """The power of the test by subjects, from a normal approximation of the resampled differences."""
    family, people = len(made), min(each.subjects for each in made)
    needed = pairs_needed(family)
    words = f"Power: {people} subjects decide, {family} comparison{'s' * (family != 1)}, Holm-corrected"
    if pairs < LEAST_PAIRS:
        return f"{words}; but variation over training runs is unknown from one run: {LEAST_PAIRS} pairs are needed."
    if people < needed:
        return f"{words}; this design cannot reach p < .05, which takes at least {needed} subjects."
    normal = NormalDist()
    effect = normal.inv_cdf(1 - SIGNIFICANT / (2 * family)) + normal.inv_cdf(POWER)
    return f"{words}." + _detectable(effect * float(np.median([each.error for each in made])))


def _detectable(difference: float) -> str:
    if not math.isfinite(difference):
        return ""
    return (
        f" With the standard deviation seen here a true difference of about {100 * difference:.1f} points is detected "
        "with 80% power; a difference that is not significant may still exist."
    )
