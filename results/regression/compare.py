"""Regression checks: measurements compared with references. Pure functions of numbers.

A method on a protocol is checked in two ways. Does it learn as well as before: is its score inside the range of the
reference's seeds, widened by that range on either side? And does it compute the same: does every number of every epoch
of the same seeds agree up to rounding? The effect of rounding is measured when references are written: echoes repeat a
seed with a learning rate that differs by a millionth, and the differences of their numbers from the seed's are what
rounding can cause. Encoders of one layer hardly amplify it: there a method has to compute the same to five digits. Deep
ones amplify it by jumps, at epochs that differ from CPU to CPU, until numbers differ as those of other seeds do: there
the score and what no seed changes are tested.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Series = tuple[float | None, ...]
Trace = Mapping[str, Series]
Status = Literal["ok", "drifted", "broken", "new", "missing"]

STATUSES: tuple[Status, ...] = ("broken", "drifted", "missing", "new", "ok")
REGRESSIONS = frozenset({"broken", "drifted", "missing"})
SAFETY = 4.0  # allowed differences are this multiple of those of echoes: these are few, and machines round differently
SPREADS = 2.0  # of seeds; runs that rounding has driven apart differ as runs of different seeds do
DIGITS = 7  # significant digits of stored references
PRECISION = 1e-5  # relative; what float32 sums differ by from machine to machine before a step is taken
SCORE = "right"
CHECKED = (0, 1)  # seeds that a check runs


@dataclass(frozen=True)
class Reference:
    """The numbers of a method on a protocol when the reference was written.

    Attributes:
        digest: of the method's source, to tell a changed method from a changed harness.
        seeds: the trace of each seed from 0 on.
        reach: by name and epoch, the largest difference of an echo from its seed so far.
    """

    digest: str
    seeds: tuple[Trace, ...]
    reach: Mapping[str, tuple[float, ...]]

    @property
    def scores(self) -> tuple[float, ...]:
        """The score of each seed."""
        return tuple(score(trace) for trace in self.seeds)


@dataclass(frozen=True)
class Measured:
    """The numbers of a method as it is now.

    Attributes:
        digest: of the method's source.
        seeds: trace of each seed, or the reason why there is none.
    """

    digest: str
    seeds: Mapping[int, Trace | str]


@dataclass(frozen=True)
class Finding:
    """The verdict on a method and protocol.

    Attributes:
        protocol, method: names.
        status: "ok", "drifted" (other numbers), "broken" (no result, or a worse one), "new" (no reference) or "missing"
            (only a reference).
        reason: one line; empty for "ok".
        score: mean over the seeds measured, or None.
        expected: mean of the same seeds in the reference, or None.
        lowest, highest: the allowed range of the score.
    """

    protocol: str
    method: str
    status: Status
    reason: str = ""
    score: float | None = None
    expected: float | None = None
    lowest: float | None = None
    highest: float | None = None


def score(trace: Trace) -> float:
    """The score of a trace: the mean probability of the right label after the last epoch."""
    return float(trace[SCORE][-1] or 0.0)


def allowed(scores: Sequence[float], rounding: float = 0.0) -> tuple[float, float]:
    """The range of a score: that of the seeds, widened by its own width and by rounding on either side, in [0, 1]."""
    low, high = min(scores), max(scores)
    wider = high - low + rounding
    return max(0.0, low - wider), min(1.0, high + wider)


def judge(protocol: str, method: str, reference: Reference | None, measured: Measured | None) -> Finding:
    """The verdict on a method and protocol; at least one of reference and measurement is there."""
    if measured is None:
        return Finding(protocol, method, "missing", "has a reference but is no longer among the methods")
    traces = {seed: trace for seed, trace in measured.seeds.items() if not isinstance(trace, str)}
    for seed, trace in measured.seeds.items():
        if isinstance(trace, str):
            return Finding(protocol, method, "broken", f"seed {seed}: {trace}")
    mean = float(np.mean([score(trace) for trace in traces.values()]))
    if reference is None:
        return Finding(protocol, method, "new", "has no reference yet; write one with --update --reason TEXT", mean)
    expected = float(np.mean([reference.scores[seed] for seed in traces]))
    limits = tolerances(reference)
    low, high = allowed(reference.scores, SAFETY * reference.reach[SCORE][-1])
    changed = first_change(reference, traces, limits)
    if mean < low:
        status: Status = "broken"
        reason = f"the score {mean:.4f} is below {low:.4f}, unexpected from variation over seeds"
    elif mean > high:
        status, reason = "drifted", f"the score {mean:.4f} is above {high:.4f}, unexpected from variation over seeds"
    else:
        status, reason = ("drifted", "") if changed else ("ok", "")
    same = "" if measured.digest != reference.digest else "; its own source is unchanged, so look at shared code"
    reason = "; ".join(filter(None, (reason, changed))) + (same if status != "ok" else "")
    return Finding(protocol, method, status, reason, mean, expected, low, high)


def first_change(reference: Reference, traces: Mapping[int, Trace], limits: Mapping[str, float]) -> str:
    """Where the numbers of every seed first differ by more than rounding explains, as one line; empty if nowhere.

    Every seed has to differ: a rule that takes the smaller of two nearly equal numbers may fall the other way on
    another machine, but not in every run.
    """
    found = [next(changes(reference.seeds[seed], trace, limits), "") for seed, trace in traces.items()]
    return found[0] if found and all(found) else ""


def tolerances(reference: Reference) -> dict[str, float]:
    """By name, how much a number may differ from that of the same seed, at any epoch.

    As far as its own echoes reached, times SAFETY. Since it is chance which number jumps on another CPU, also as far as
    echoes moved whatever they moved furthest, in units of the spread over seeds, times SAFETY, but no further than
    seeds explain. What neither seeds nor echoes change has to be equal.
    """
    spreads = spread_over_seeds(reference.seeds)
    reach = {name: max(reference.reach[name], default=0.0) for name in spreads}
    furthest = max((far / spreads[name] for name, far in reach.items() if spreads[name]), default=0.0)
    spreads_allowed = min(SAFETY * furthest, SPREADS)
    return {name: max(SAFETY * far, spreads_allowed * spreads[name]) for name, far in reach.items()}


def changes(before: Trace, now: Trace, limits: Mapping[str, float]) -> Iterator[str]:
    """Every number that differs by more than its limit, in the order of epochs, as text."""
    for name in sorted(before.keys() ^ now.keys()):
        yield f"{name} is reported {'no longer' if name in before else 'for the first time'}"
    both = sorted(before.keys() & now.keys())
    epochs = max((len(before[name]) for name in both), default=0)
    for epoch in range(epochs):
        for name in both:
            place = epoch - (epochs - len(before[name]))
            if place < 0:
                continue
            was, is_now = before[name][place], now[name][place] if place < len(now[name]) else None
            if not _close(was, is_now, limits[name]):
                yield f"{name} of epoch {epoch} is {_said(is_now)}, was {_said(was)}"


def spread_over_seeds(seeds: Sequence[Trace]) -> dict[str, float]:
    """The spread of each series over seeds: largest minus smallest, mean over epochs; 0 for what no seed changes."""
    names = sorted({name for trace in seeds for name in trace})
    return {name: _spread([trace[name] for trace in seeds if name in trace]) for name in names}


def reach_of_rounding(seeds: Sequence[Trace], echoes: Mapping[int, Sequence[Trace]]) -> dict[str, tuple[float, ...]]:
    """By name and epoch, the largest difference of an echo from its seed so far.

    Args:
        seeds: the trace of each seed.
        echoes: by seed, its traces with a learning rate that hardly differs.
    """
    reach = {name: np.zeros(len(series)) for trace in seeds for name, series in trace.items()}
    for seed, repeated in echoes.items():
        for echo in repeated:
            for name in seeds[seed].keys() & echo.keys():
                reach[name] = np.fmax(reach[name], np.abs(_array(echo[name]) - _array(seeds[seed][name])))
    return {name: tuple(map(rounded, np.maximum.accumulate(furthest).tolist())) for name, furthest in reach.items()}


def widened(reference: Reference, elsewhere: Mapping[int, Trace]) -> Reference:
    """The reference with the numbers of the same code on another CPU as further echoes, by seed."""
    found = reach_of_rounding(reference.seeds, {seed: [trace] for seed, trace in elsewhere.items()})
    reach = {
        name: tuple(max(pair) for pair in zip(far, found[name], strict=True)) if name in found else far
        for name, far in reference.reach.items()
    }
    return replace(reference, reach=reach)


def rounded(value: float) -> float:
    """A number with as many digits as references keep."""
    return float(f"{value:.{DIGITS}g}")


def _array(series: Series) -> Floats:
    return np.array([np.nan if value is None else value for value in series])


def _spread(values: Sequence[Series]) -> float:
    lengths = {len(series) for series in values}
    if len(lengths) != 1:
        return 0.0
    table = np.stack([_array(series) for series in values])
    known = table[:, ~np.isnan(table).any(axis=0)]
    return float((known.max(axis=0) - known.min(axis=0)).mean()) if known.size else 0.0


def _close(was: float | None, is_now: float | None, tolerance: float) -> bool:
    if was is None or is_now is None:
        return was is is_now
    return abs(is_now - was) <= tolerance + PRECISION * abs(was)


def _said(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.6g}"
