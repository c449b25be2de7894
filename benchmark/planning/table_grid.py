"""From a paper's table to the trials that fill it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...protocols import catalog
from ...protocols.definitions.native_recipes import native_recipe
from ...protocols.errors import BadInput, unknown
from ...protocols.loading import offered
from ...results.papers.tables import Wanted, wanted
from .. import registry
from .grid import Grid, RunRequest, make_grid


@dataclass(frozen=True)
class TableGrid:
    """The grids of a table, one a protocol, and methods that cannot run, as "method on protocol" with the reason."""

    table_id: str
    grids: tuple[Grid, ...]
    left_out: dict[str, str]


def make_table_grid(table_id: str, request: RunRequest) -> TableGrid:
    """The trials of a table. What is typed beside the table narrows it: a protocol, methods, noise levels, folds.

    Args:
        table_id: such as "cocuring-2".
        request: the other options; without a profile the paper's, on generated faces the small one.

    Raises:
        BadInput: no such table, a table without anything to measure, something asked for that the table has not, or
            data that are absent; nothing has been written then.
    """
    asked = wanted(table_id)
    if not asked:
        raise BadInput(f"--table {table_id} holds nothing to measure; to read it: fernoise-bench table {table_id}")
    if request.all_methods:
        raise BadInput("--all-methods: a table names its own methods; leave it out, or name a --protocol instead")
    chosen = _narrowed(asked, request)
    left_out: dict[str, str] = {}
    grids = []
    for protocol in dict.fromkeys(each.protocol for each in chosen):
        mine = [each for each in chosen if each.protocol == protocol]
        reasons = {each.method: _reason(each, request) for each in mine}
        left_out |= {f"{method} on {protocol}": reason for method, reason in reasons.items() if reason}
        runnable = [each for each in mine if not reasons[each.method]]
        if runnable:
            grids.append(_grid(runnable, request, table_id, others=[each.protocol for each in asked]))
    if not grids:
        named, reason = next(iter(left_out.items()))
        raise BadInput(f"--table {table_id}: none of the methods asked for can run ({named}: {reason}); name others")
    return TableGrid(table_id, tuple(grids), left_out)


def _narrowed(asked: Sequence[Wanted], request: RunRequest) -> list[Wanted]:
    """What the options leave of a table; each must name something the table has."""
    for option, names, known in (
        ("protocol of this table", [request.protocol] if request.protocol else [], {each.protocol for each in asked}),
        ("method of this table", [*request.methods, *request.without], {each.method for each in asked}),
        (
            "noise level of this table",
            map(str, request.levels),
            {str(level) for each in asked for level in each.levels},
        ),
    ):
        for name in names:
            if _plain(name) not in set(map(_plain, known)):
                raise unknown(option, name, known or {"none"})
    methods, without = {_plain(name) for name in request.methods}, {_plain(name) for name in request.without}
    chosen = [
        each._replace(levels=tuple(level for level in each.levels if not request.levels or level in request.levels))
        for each in asked
        if (not request.protocol or each.protocol == request.protocol)
        and (not methods or _plain(each.method) in methods)
        and _plain(each.method) not in without
    ]
    levelled = {(each.protocol, each.method) for each in asked if each.levels}
    left = [each for each in chosen if each.levels or (each.protocol, each.method) not in levelled]
    if not left:
        raise BadInput("the options leave nothing of the table to run; give fewer of --protocol, --method and --noise")
    return left


def _plain(name: str) -> str:
    return name.replace("-", "_")


def _reason(each: Wanted, request: RunRequest) -> str:
    """Why a method cannot run where a table wants it, as far as can be said before data are read; or ""."""
    protocol = catalog.find(each.protocol)
    try:
        method = registry.find(each.method)
    except BadInput as error:
        return str(error)
    reason = method.missing(protocol, offered(protocol, "generated" if request.synthetic else "real", None))
    if not reason and request.recipe == "native" and not native_recipe(method.name, protocol):
        return "has no recipe of its own that is stated well enough"
    return reason


def _grid(chosen: Sequence[Wanted], request: RunRequest, table_id: str, *, others: Sequence[str]) -> Grid:
    """The grid of one protocol, without the levels at which the table has no such row."""
    protocol = chosen[0].protocol
    levels = tuple(sorted({level for each in chosen for level in each.levels}))
    methods = tuple(each.method for each in chosen)
    narrow = replace(request, protocol=protocol, methods=methods, without=(), levels=levels)
    try:
        grid = make_grid(narrow)
    except BadInput as error:
        raise BadInput(f"{error}{_hint(str(error), protocol, request, table_id, others)}") from error
    cells = {(registry.find(each.method).name, level) for each in chosen for level in each.levels or (None,)}
    return replace(grid, trials=tuple(trial for trial in grid.trials if (trial.method.name, trial.level) in cells))


def _hint(error: str, protocol: str, request: RunRequest, table_id: str, others: Sequence[str]) -> str:
    """How the rest of a table can be filled: without a method that lacks something, or on other data."""
    if error.startswith("--method "):
        return "; to fill the other rows, leave such methods out with --without NAME"
    data = catalog.find(protocol).data
    rest = [f"--protocol {name}" for name in dict.fromkeys(others) if catalog.find(name).data != data]
    alone = f"; to fill other columns of {table_id} alone: {' or '.join(rest)}"
    return alone if rest and not request.protocol else ""
