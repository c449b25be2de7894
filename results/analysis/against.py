"""Methods against one of them: paired differences with their tests. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...protocols.errors import BadInput, unknown
from ..records.record import RULES, Record
from .comparisons import Comparison, against_reference, main_entry
from .grouping import Entry
from .view import Expected, View, views_of


@dataclass(frozen=True)
class Against:
    """Methods of one comparability key against a reference, all of them one family of tests.

    Attributes:
        view: of the records.
        reference: of several versions of it, that with the most trials.
        rule: the selection rule.
        rows: the noise level, the method and its comparison, by level.
    """

    view: View
    reference: Entry
    rule: str
    rows: tuple[tuple[float | None, Entry, Comparison], ...]


def compare_against(
    records: Sequence[Record],
    against: str,
    expected: Expected | None = None,
    *,
    rule: str = "last",
    allow_mixed: bool = False,
) -> tuple[Against, ...]:
    """Each method against one reference, for each comparability key in which both have trials.

    A difference is that of (seed, draw) pairs that both have finished, each the mean over its folds. For AUs subjects
    decide, at the last epoch.

    Args:
        records: of one protocol, at least one.
        against: the reference.
        expected: folds and pairs there should be, labels and order of the methods.
        rule: the selection rule, one of RULES.
        allow_mixed: several comparability keys, instead of a refusal.

    Raises:
        BadInput: no records, an unknown rule, no trials of the reference or of any other method, or several
            comparability keys (the differing fields are named).
    """
    if rule not in RULES:
        raise unknown("selection rule", rule, RULES)
    views = views_of(records, expected, allow_mixed=allow_mixed)
    found = [(view, entry) for view in views if (entry := main_entry(view, against)) is not None]
    compared = tuple(_against(view, reference, rule) for view, reference in found if len(view.rows) > 1)
    if not compared:
        what = f"of another method to compare with {against}" if found else f"of {against}"
        raise BadInput(
            f"--against {against}: there are no trials {what}; the methods with trials here are "
            f"{', '.join(sorted({record.method for record in records}))}"
        )
    return compared


def _against(view: View, reference: Entry, rule: str) -> Against:
    view = replace(view, not_applicable={})  # it is about these methods only
    return Against(view, reference, rule, against_reference(view, reference, rule))
