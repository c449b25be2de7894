"""Paired differences of methods as a data frame."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ...protocols.errors import BadInput, unknown
from ...results.analysis.against import Against, compare_against
from ...results.analysis.comparisons import Comparison
from ...results.analysis.grouping import blocks
from ...results.analysis.view import Expected, Rows, known_folds
from ...results.records.joined import parted
from ...results.records.names import named_method, named_methods
from ...results.records.record import Record

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = (
    *("protocol", "profile", "source", "noise", "method", "against", "metric", "rule", "difference", "sd", "low"),
    *("high", "pairs", "pairs_wanted", "ahead", "test", "p", "p_holm", "p_pairs", "p_pairs_holm", "can_decide", "key"),
)


def compare(
    records: Iterable[Record],
    protocol: str,
    method: str | Sequence[str] | None = None,
    against: str | Sequence[str] = "supervised",
    *,
    rule: str = "last",
) -> pd.DataFrame:
    """The differences of some methods from one, paired over seeds, as `table PROTOCOL --against METHOD` has them.

    A row for each noise level and method; all rows of one comparability key are one family, over which Holm's
    correction is. Trials of several keys must be told apart first, as with `records.select(profile="small")`; only
    records that ship, alone or beside a user's own of another key, get rows of their own for each key.

    Args:
        records: of `load_records`.
        method: one or several; None: all that have trials. So choose before you look.
        against: the method they are compared with; of several, each has rows and a family of its own.
        rule: the epoch that counts: "last", "last_five", "validation" or "oracle".

    Returns:
        A pandas data frame with the columns protocol, profile, source, noise (NaN without levels), method, against,
        metric, rule, difference (in points), sd (over pairs), low, high (95% interval), pairs, pairs_wanted, ahead
        (pairs in which the method is), test ("pairs": the sign-flip test; "subjects": the bootstrap over subjects,
        which decides for AUs), p and p_holm of that test, p_pairs and p_pairs_holm of the sign-flip test, can_decide
        (whether any outcome could be significant), key. What cannot be computed is NaN.

    Raises:
        BadInput: an unknown protocol, method or rule, or several comparability keys; the message names the differing
            fields.
    """
    import pandas as pd

    every = list(records)
    if any(not isinstance(record, Record) for record in every):
        raise BadInput("compare takes the records of load_records, not a data frame made of them")
    rivals = [against] if isinstance(against, str) else list(against)
    rows = [row for rival in rivals for each in _compared(every, protocol, method, rival, rule) for row in _rows(each)]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _compared(
    every: Sequence[Record], protocol: str, method: str | Sequence[str] | None, against: str, rule: str
) -> Sequence[Against]:
    """The comparisons with one rival, one for each comparability key."""
    mine = [record for record in every if record.protocol == protocol]
    if not mine:
        raise unknown("protocol among these records", protocol, {record.protocol for record in every} or {"none"})
    known, where = {record.method for record in mine}, f"the trials of {protocol}"
    reference = named_method(against, known, where)
    typed = sorted(known) if method is None else [method] if isinstance(method, str) else list(method)
    names = named_methods(typed, known, where)
    if set(names) <= {reference}:
        raise BadInput(f"name a method to compare with {reference}, as in compare(records, '{protocol}', 'cocuring')")
    parts = parted([record for record in mine if record.method in {*names, reference}])
    if parts.apart:
        blocks(parts.together)  # refuses trials of the user's own that cannot share a table
    expected = Expected(folds=known_folds(protocol), rows=Rows(order="given", given=names))
    chosen = [*parts.together, *parts.apart]
    return compare_against(chosen, reference, expected, rule=rule, allow_mixed=parts.mixed)


def _rows(compared: Against) -> list[dict[str, Any]]:
    view, identity = compared.view, compared.view.identity
    about = {"protocol": view.protocol, "profile": identity.profile, "source": identity.source}
    of_all = {"against": compared.reference.label, "metric": view.metric, "rule": compared.rule, "key": identity.key}
    return [
        {
            **about,
            "noise": math.nan if level is None else level,
            "method": entry.label,
            **of_all,
            **_numbers(found),
        }
        for level, entry, found in compared.rows
    ]


def _numbers(found: Comparison) -> dict[str, Any]:
    low, high = found.interval or (math.nan, math.nan)
    apart = found.by_subject
    return {
        "difference": 100 * found.mean,
        "sd": 100 * found.spread,
        "low": 100 * low,
        "high": 100 * high,
        "pairs": len(found.differences),
        "pairs_wanted": found.asked,
        "ahead": found.wins,
        "test": "pairs" if apart is None else "subjects",
        "p": found.p if apart is None else apart.p,
        "p_holm": found.deciding,
        "p_pairs": found.p,
        "p_pairs_holm": found.adjusted,
        "can_decide": found.can_decide,
    }
