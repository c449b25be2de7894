"""Comparisons over protocols as tables: each method against all others, the matrix, all against one. Pure functions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from ...protocols.errors import unknown
from ..analysis.grouping import MISSING, unique
from ..analysis.meta import Combined, Meta
from ..analysis.view import SEVERAL_WORDS
from ..statistics import SIGNIFICANT
from .cell import Cell, Table, minus
from .comparison_cells import p_cell
from .parts import count_cell

MARKS = (
    "**: the combined evidence is significant (p < .05) after Holm's correction over all pairs of methods; *: p < .05 "
    "for this pair alone, which holds for a pair that was chosen before its results were seen."
)
EVIDENCE = (
    "Combined evidence: signed z scores of the protocols' paired tests, combined by Stouffer's method; protocols that "
    "share faces count as one, by their mean z."
)


def title_of_meta(meta: Meta, what: str) -> str:
    """A title: what is shown, of which setting."""
    return ", ".join((f"{meta.metric} over protocols: {what}", *meta.setting.words))


def summary_table(meta: Meta) -> Table:
    """A row for each method: its protocols, its mean difference from the others, how many it is ahead of or behind."""
    rows = tuple(_summary_row(meta, method) for method in meta.methods)
    columns = ("method", "protocols", "mean difference", "ahead of", "ahead, p < .05", "behind", "behind, p < .05")
    note = (
        f"Mean difference: from the other methods, in points of {meta.metric}, each over the protocols that both have. "
        "Ahead of, behind: how many other methods, by the mean difference; p < .05: of how many of these the combined "
        "evidence says so, each pair taken alone, and in brackets after Holm's correction over all pairs of methods."
    )
    return Table(title_of_meta(meta, "each method against the others"), columns, rows, (note, *notes_of_meta(meta)))


def _summary_row(meta: Meta, method: str) -> tuple[Cell, ...]:
    found = [each for (left, _), each in meta.combined.items() if left == method]
    protocols = unique([effect.protocol for each in found for effect in each.effects])
    ahead = [each for each in found if each.mean > 0]
    behind = [each for each in found if each.mean < 0]
    mean = math.fsum(each.mean for each in found) / len(found)
    counts = [cell for group in (ahead, behind) for cell in (count_cell(len(group)), _significant(group))]
    return Cell(meta.labels[method]), count_cell(len(protocols)), points_cell(mean), *counts


def _significant(group: Sequence[Combined]) -> Cell:
    alone, corrected = sum(bool(each.mark) for each in group), sum(each.mark == "**" for each in group)
    return Cell(f"{alone} ({corrected})", float(alone))


def matrix_table(meta: Meta) -> Table:
    """Rows against columns: the mean difference in points with the mark of its evidence. Columns are rows' numbers."""
    numbers = tuple(str(number) for number in range(1, len(meta.methods) + 1))
    rows = tuple(
        (count_cell(number), Cell(meta.labels[method]), *(_pair_cell(meta, method, rival) for rival in meta.methods))
        for number, method in enumerate(meta.methods, 1)
    )
    note = f"Row minus column, in points of {meta.metric}; columns have the numbers of the rows. {MARKS}"
    title = title_of_meta(meta, "method against method")
    return Table(title, ("", "method", *numbers), rows, (note, *notes_of_meta(meta)), headers=2)


def _pair_cell(meta: Meta, method: str, rival: str) -> Cell:
    found = meta.combined.get((method, rival))
    return Cell("" if method == rival else MISSING) if found is None else points_cell(found.mean, found.mark)


def rival_table(meta: Meta, rival: str) -> Table:
    """Every other method against one: the difference on each protocol, their mean, the evidence.

    Raises:
        BadInput: the rival is not among the methods.
    """
    if rival not in meta.methods:
        raise unknown("method with results to compare", rival, meta.methods)
    protocols = [key for group in meta.groups for key in group]
    rows = tuple(
        _rival_row(meta.labels[method], found, protocols)
        for method in meta.methods
        if (found := meta.combined.get((method, rival))) is not None
    )
    columns = ("method", *protocols, f"mean − {meta.labels[rival]}", "ahead on", "z", "p", "p (Holm)")
    note = (
        f"Differences in points of {meta.metric}. p: two-sided, of the combined evidence; p (Holm): corrected over all "
        f"{len(meta.combined) // 2} pairs of methods, not only those of this table. {MARKS}"
    )
    title = title_of_meta(meta, f"differences from {meta.labels[rival]}")
    return Table(title, columns, rows, (note, *notes_of_meta(meta)))


def _rival_row(label: str, found: Combined, protocols: Sequence[str]) -> tuple[Cell, ...]:
    by_key = {each.protocol: each.difference for each in found.effects}
    return (
        Cell(label),
        *(points_cell(by_key[key]) if key in by_key else Cell(MISSING) for key in protocols),
        points_cell(found.mean, found.mark),
        Cell(f"{found.ahead} of {len(found.effects)}", float(found.ahead)),
        Cell(minus(f"{found.z:+.2f}"), found.z),
        p_cell(found.p),
        p_cell(found.adjusted),
    )


def points_cell(share: float, mark: str = "") -> Cell:
    """A difference in percentage points with one decimal and its mark: "+4.3*"."""
    return Cell(minus(f"{100 * share:+.1f}") + mark, 100 * share)


def notes_of_meta(meta: Meta) -> tuple[str, ...]:
    """How evidence was combined, whether any can be significant, which protocols share faces, what is left out."""
    together = [" and ".join(group) for group in meta.groups if len(group) > 1]
    shared = f" They share faces here: {'; '.join(together)}." if together else ""
    notes = [EVIDENCE + shared]
    if meta.least >= SIGNIFICANT:
        pairs, family = max(e.pairs for each in meta.combined.values() for e in each.effects), len(meta.combined) // 2
        notes.append(
            f"Power: at most {pairs} (seed, draw) pairs a protocol, {family} pair{'s' * (family != 1)} of methods: the "
            f"smallest possible p is {meta.least:.3g} after Holm's correction; this design cannot reach p < .05: run "
            "more seeds, or compare fewer methods."
        )
    if meta.left_out:
        notes.append(f"Left out, without two (seed, draw) pairs that two methods share: {', '.join(meta.left_out)}.")
    if meta.alone:
        names = [f"{meta.labels[name]} (it has {count} at most)" for name, count in meta.alone.items()]
        notes.append(
            "Methods left out, without two (seed, draw) pairs that another method shares on any protocol: "
            f"{', '.join(names)}."
        )
    if meta.apart:
        notes.append(f"{SEVERAL_WORDS}: {', '.join(meta.labels[name] for name in meta.apart)}.")
    return tuple(notes)


def meta_json(meta: Meta) -> dict[str, object]:
    """Everything as plain data: differences in points, each pair of methods once, the one with the higher place first.

    Returns:
        "metric", "setting" (in words), "protocols" (those that share faces together), "left_out", "methods_left_out",
        "methods" and "pairs", each with "method", "rival", "mean", "z", "p", "p_holm" and its "protocols".
    """
    pairs = [
        {"method": method, "rival": rival, **_pair_json(found)}
        for method, rival in itertools.combinations(meta.methods, 2)
        if (found := meta.combined.get((method, rival))) is not None
    ]
    return {
        "metric": meta.metric,
        "setting": list(meta.setting.words),
        "protocols": [list(group) for group in meta.groups],
        "left_out": list(meta.left_out),
        "methods_left_out": [{"method": name, "most_pairs": count} for name, count in meta.alone.items()],
        "methods": [{"method": method, "label": meta.labels[method]} for method in meta.methods],
        "pairs": pairs,
    }


def _pair_json(found: Combined) -> dict[str, object]:
    protocols = [
        {"protocol": each.protocol, "difference": 100 * each.difference, "pairs": each.pairs, "p": each.p}
        for each in found.effects
    ]
    numbers = {"mean": 100 * found.mean, "z": found.z, "p": found.p, "p_holm": found.adjusted}
    return {**numbers, "protocols": protocols}
