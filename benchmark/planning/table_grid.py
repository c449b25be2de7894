"""Turns a paper's table into the trials that fill it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...protocols import catalog
from ...protocols.errors import BadInput, unknown
from ...protocols.loading import offered
from ...results.papers.tables import Wanted, wanted
from .. import registry
from .grid import Grid, RunRequest, make_grid, why_not_applicable


@dataclass(frozen=True)
class TableGrid:
    """The grids of a table, one for each protocol, and "method on protocol" that cannot run, with the reasons."""

    grids: tuple[Grid, ...]
    left_out: dict[str, str]


def make_table_grid(table_id: str, request: RunRequest) -> TableGrid:
    """The trials of a paper's table, or of the part of it that the request names by protocol, methods, noise or folds.

    Args:
        table_id: such as "cocuring-2".
        request: the other options.

    Raises:
        BadInput: no such table, a table without measurements, something asked for that the table does not have, or
            missing data. Nothing has been written then.
    """
    entries = wanted(table_id)
    if not entries:
        raise BadInput(f"--table {table_id} has nothing to measure; to print it: fernoise-bench table {table_id}")
    if request.all_methods:
        raise BadInput("--all-methods: a table names its own methods; leave it out, or name a --protocol instead")
    chosen = _selected(entries, request)
    left_out: dict[str, str] = {}
    grids = []
    for protocol in dict.fromkeys(each.protocol for each in chosen):
        mine = [each for each in chosen if each.protocol == protocol]
        reasons = {each.method: _reason(each, request) for each in mine}
        left_out |= {f"{method} on {protocol}": reason for method, reason in reasons.items() if reason}
        runnable = [each for each in mine if not reasons[each.method]]
        if runnable:
            grids.append(_grid(runnable, request, table_id, others=[each.protocol for each in entries]))
    if not grids:
        named, reason = next(iter(left_out.items()))
        raise BadInput(f"--table {table_id}: none of the methods asked for can run ({named}: {reason}); name others")
    return TableGrid(tuple(grids), left_out)


def _selected(entries: Sequence[Wanted], request: RunRequest) -> list[Wanted]:
    """The entries of a table that the options select; BadInput for a name that the table does not have."""
    levels = {str(level) for each in entries for level in each.levels}
    for what, names, known in (
        ("protocol of this table", [request.protocol] if request.protocol else [], {each.protocol for each in entries}),
        ("method of this table", [*request.methods, *request.without], {each.method for each in entries}),
        ("noise level of this table", map(str, request.levels), levels),
    ):
        for name in names:
            if _underscored(name) not in set(map(_underscored, known)):
                raise unknown(what, name, known or {"none"})
    methods, without = set(map(_underscored, request.methods)), set(map(_underscored, request.without))
    chosen = [
        each._replace(levels=tuple(level for level in each.levels if not request.levels or level in request.levels))
        for each in entries
        if (not request.protocol or each.protocol == request.protocol)
        and (not methods or _underscored(each.method) in methods)
        and _underscored(each.method) not in without
    ]
    with_levels = {(each.protocol, each.method) for each in entries if each.levels}
    left = [each for each in chosen if each.levels or (each.protocol, each.method) not in with_levels]
    if not left:
        raise BadInput("--protocol, --method, --without and --noise together select nothing of the table; drop some")
    return left


def _underscored(name: str) -> str:
    return name.replace("-", "_")


def _reason(each: Wanted, request: RunRequest) -> str:
    """Why a method cannot run on a table's protocol, as far as is known before data are read, or an empty string."""
    protocol = catalog.find(each.protocol)
    try:
        method = registry.find(each.method)
    except BadInput as error:
        return str(error)
    offers = offered(protocol, "generated" if request.synthetic else "real", None)
    return why_not_applicable(method, protocol, offers, request.recipe)


def _grid(chosen: Sequence[Wanted], request: RunRequest, table_id: str, *, others: Sequence[str]) -> Grid:
    """The grid of one protocol; a method has only the levels that the table has for it."""
    protocol = chosen[0].protocol
    levels = tuple(sorted({level for each in chosen for level in each.levels}))
    methods = tuple(each.method for each in chosen)
    try:
        grid = make_grid(replace(request, protocol=protocol, methods=methods, without=(), levels=levels))
    except BadInput as error:
        raise BadInput(f"{error}{_hint(str(error), protocol, request, table_id, others)}") from error
    cells = {(registry.find(each.method).name, level) for each in chosen for level in each.levels or (None,)}
    return replace(grid, trials=tuple(trial for trial in grid.trials if (trial.method.name, trial.level) in cells))


def _hint(error: str, protocol: str, request: RunRequest, table_id: str, others: Sequence[str]) -> str:
    """What to add to an error of one protocol: how to fill the other rows or columns of the table."""
    if error.startswith("--method "):
        return "; to fill the other rows, leave such methods out with --without NAME"
    data = catalog.find(protocol).data
    rest = [f"--protocol {name}" for name in dict.fromkeys(others) if catalog.find(name).data != data]
    hint = f"; to fill only other columns of {table_id}: {' or '.join(rest)}"
    return hint if rest and not request.protocol else ""
