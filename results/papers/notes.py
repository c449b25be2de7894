"""The notes below a paper's table: its marks, sources of numbers, missing cells, and the command that fills them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from ..analysis.grouping import unique
from ..analysis.view import DAGGER, RISING_WORDS, SHIPPED_WORDS
from ..records.record import Record
from ..records.schema import Setting
from .figures import run_options
from .measured import MeasuredBlock
from .reported import Flag, ReportedTable

SUSPECT = "§"

_PRINTED_MARKS = {
    ("best", "second"): "Bold: best; brackets: second best, among the rows the paper compares",
    ("best",): "Bold: best",
}


class Counts(NamedTuple):
    """Cells of a table: measured with all their pairs, tried but with pairs missing, not run, and only reported."""

    measured: int
    unfinished: int
    missing: int
    reported_only: int


def notes_of_table(
    table: ReportedTable, block: MeasuredBlock, counts: Counts, rule_words: str, runs: str = ""
) -> tuple[str, ...]:
    """The notes of a table, a sentence each; last the command that fills it, with the folder of the records."""
    notes = [f"{_kind(table)}, as {table.paper} prints it."]
    if block.setting is not None:
        notes += _measured_notes(table, block, block.setting, rule_words)
    if counts.unfinished:
        notes.append("Where pairs are missing (counts, or ‡), the mean is over the finished ones only: not comparable.")
    marks = _PRINTED_MARKS.get(table.marks, "")
    if block.comparable and counts.measured:
        alike = "measured cells are marked the same way" if marks else "Bold: best measured cell of a column"
        notes.append("; ".join(filter(None, [marks, f"{alike}, separately and only where no pair is missing."])))
    elif marks:
        notes.append(f"{marks}.")
    notes += table.notes
    notes += _flag_notes(table.flags)
    only = unique([" ".join(row.labels) for row in table.rows if row.method is None])
    if counts.reported_only:
        notes.append(f"Reported only, not implemented here: {', '.join(only)}.")
    if counts.measured + counts.unfinished + counts.missing:
        unfinished = f"{counts.unfinished} with pairs missing, " if counts.unfinished else ""
        notes.append(
            f"Cells: {counts.measured} measured, {unfinished}{counts.missing} not run, "
            f"{counts.reported_only} reported only."
        )
    if counts.missing + counts.unfinished:
        notes.append(f"To fill the {'empty cells' if counts.missing else 'table'}: {_command(table, block, runs)}")
    return tuple(notes)


def _command(table: ReportedTable, block: MeasuredBlock, runs: str) -> str:
    """The command that fills the empty cells at the block's setting and its number of seeds."""
    options = run_options(None, block.setting) + options_of_place(block.records, runs)
    return f"fernoise-bench run --table {table.id}{options}"


def options_of_place(records: Sequence[Record], runs: str) -> str:
    """The options of a run that adds to records: their number of seeds, and their folder where it is named."""
    seeds = f" --seeds {1 + max(record.identity.seed for record in records)}" if records else ""
    return seeds + (f" --out {shlex.quote(runs)}" if runs else "")


def _kind(table: ReportedTable) -> str:
    return f"Reported: {table.metric}" if table.metric else "Reported"


def _measured_notes(table: ReportedTable, block: MeasuredBlock, setting: Setting, rule_words: str) -> list[str]:
    notes = [
        f"Measured: {rule_words}, {_over(block.pair_counts, any(record.fold for record in block.records))} "
        "Difference: measured − reported, in points. An empty cell was not run; – is reported only.",
    ]
    if setting[:3] != ("paper", "real", False):
        what = f"the {setting.profile} profile on {setting.source} faces"
        what += ", a partial copy of the data" if setting.partial else ""
        what += ", all networks trained from scratch" if _all_from_scratch(block.records) else ""
        notes.append(f"Measured at {what}: the differences do not test the paper's numbers.")
    if not block.comparable:
        notes.append("Measured with the recipe of each method's own paper: rows are not comparable with each other.")
    known = {row.labels[0]: ", ".join(block.knows(row.method)) for row in table.rows if block.knows(row.method)}
    if known:
        users = "; ".join(f"{label} ({names})" for label, names in known.items())
        own = " (after a space; else it is the paper's own)" if any(DAGGER in label for label in known) else ""
        notes.append(f"{DAGGER}{own} uses oracle knowledge where measured: {users}.")
    rising = unique([row.labels[0] for row in table.rows if block.is_rising(row.method, "")])
    if rising:
        notes.append(f"{RISING_WORDS}: {', '.join(rising)}.")
    if any(record.shipped for record in block.records):
        shipped = unique([row.labels[0] for row in table.rows if block.ships(row.method, "")])
        notes.append(f"{SHIPPED_WORDS}: {', '.join(shipped)}.")
    several = sorted({record.method for record in block.records if len(block.versions(record.method)) > 1})
    if several:
        what = "source or parameters, their own or their teachers'"
        notes.append(f"#: several versions ({what}) of {', '.join(several)}, in separate rows.")
    return notes


def _all_from_scratch(records: Sequence[Record]) -> bool:
    """Whether no network started from pre-trained weights, whatever the paper did."""
    return {record.identity.settings.weights for record in records} == {"none"}


def _over(counts: Sequence[int], has_folds: bool) -> str:
    """Over how many pairs measured numbers are means."""
    if counts in ((), (1,)):
        return f"one (seed, draw) pair{', the mean over its folds' * has_folds}: no spread."
    number = " to ".join(str(count) for count in unique([counts[0], counts[-1]]))
    return (
        f"mean ± standard deviation (n − 1) over {number} (seed, draw) pairs"
        f"{', each the mean over its folds' * has_folds}"
        f"{' (one pair: no spread).' if counts[0] == 1 else '.'}"
    )


def _flag_notes(flags: Sequence[Flag]) -> list[str]:
    """A sentence for each flag: copied rows, wrong marks, and the reason for each §."""
    notes = []
    for flag in flags:
        rows, where = ", ".join(flag.rows), _where(flag)
        if flag.kind == "copied":
            notes.append(f"Copied ({flag.note}): {rows}.")
        elif flag.kind == "mark":
            notes.append(f"{where}: marked wrongly in the paper: {flag.note}.")
        else:
            notes.append(f"{SUSPECT} {where} ({flag.kind}): {flag.note}.")
    return notes


def _where(flag: Flag) -> str:
    columns = f"column {', '.join(flag.columns)}" if flag.columns else ""
    groups = f"group {', '.join(flag.groups)}" if flag.groups else ""
    return ", ".join(filter(None, [", ".join(flag.rows), groups, columns]))
