"""What the tables of a protocol have in common: row labels, headings, titles, notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ..analysis.grouping import MISSING, Entry, grouped, unique
from ..analysis.plausibility import implausible
from ..analysis.view import (
    DAGGER_WORDS,
    RISING_WORDS,
    SEVERAL_WORDS,
    SHIPPED_WORDS,
    View,
    has_levels,
    marked,
    marks_of,
    oracle_knowledge,
)
from .cell import Cell


def label_cell(view: View, entry: Entry) -> Cell:
    """A row's name with its marks, as `marks_of` has them."""
    if marks := marks_of(view, entry):
        return Cell(marked(view, entry, entry.label), printed=entry.label, flags="; ".join(marks.values()))
    return Cell(entry.label)


def leading_cells(view: View, entry: Entry, level: float | None) -> tuple[Cell, ...]:
    """The cells that name a row: the method and, where the protocol has noise levels, the level."""
    noise = Cell(MISSING) if level is None else Cell(f"{level:g}", level)
    return (label_cell(view, entry), noise) if has_levels(view) else (label_cell(view, entry),)


def leading_columns(view: View) -> tuple[str, ...]:
    """The headings of those cells."""
    return ("method", "noise") if has_levels(view) else ("method",)


def unstated_cell(entry: Entry) -> Cell:
    """How many of a method's hyper-parameters neither its paper nor its authors' code states."""
    counts = {len(record.environment.unstated) for record in entry.records if record.environment.known}
    return count_cell(max(counts)) if counts else Cell(MISSING)


def count_cell(count: int) -> Cell:
    """A plain number."""
    return Cell(str(count), float(count))


def level_words(level: float | None) -> str:
    """A noise level as a heading."""
    return "no level" if level is None else f"noise {level:g}"


def title_of(view: View, what: str) -> str:
    """The table's title: the protocol, what is shown, and where the faces come from."""
    identity = view.identity
    title = ", ".join([f"{identity.protocol.key}: {what}", *identity.setting.words])
    salted = f"noise_salt = {identity.noise_salt}"  # is among the setting's words
    rest = "; ".join(part for part in view.block.distinction.split("; ") if not identity.noise_salt or part != salted)
    return f"{title} [{rest}]" if rest else title


def _judged_by(view: View) -> Iterator[str]:
    """Where a user's own data have no reference labels, what the numbers are measured against."""
    if view.identity.data.judged_by == "given":
        noise = [record.environment.noise for entry in view.rows for record in entry.records]
        audited = any(one is not None and one.realised is not None for one in noise)
        audit = "counts the noise that was added alone" if audited else "is off"
        yield f"Test labels are the given ones, since the data have no reference labels; the audit {audit}."


def notes_of(
    view: View,
    first: Sequence[str],
    cells: Sequence[Sequence[Cell]],
    *,
    compared: Sequence[int] | None = None,
    unlisted: Sequence[str] = (),
) -> tuple[str, ...]:
    """The table's notes: those given, then what its marks mean and which methods it leaves out.

    Args:
        view: what the table shows.
        first: sentences that come first.
        cells: the table's rows; only marks that occur are explained.
        compared: the (seed, draw) pairs of each cell where these are differences; None: cells are scores.
        unlisted: labels of the view that are no rows of the table, and have no marks there.
    """
    notes = [*_judged_by(view), *first]
    folds = [fold for fold in view.folds if fold is not None]
    if folds:
        notes.append(f"Folds: {', '.join(folds)}; a (seed, draw) pair counts only when all of them have finished.")
    expected = (len(view.pairs(level)) for level in view.levels) if compared is None else compared
    counts = sorted({*expected} - {0})
    if counts:
        spread = any("±" in cell.text for row in cells for cell in row)
        notes.append(_pairs_note(counts, spread=spread, folds=bool(folds)))
    partial = any(cell.status and cell.value is not None for row in cells for cell in row)
    if partial and compared is not None:
        notes.append("(n/m): n pairs in common, of m that a method has here.")
    elif partial:
        notes.append("Where pairs are missing (counts, or ‡), the mean is over finished pairs only: not comparable.")
    listed = replace(view, rows=tuple(entry for entry in view.rows if entry.label not in unlisted))
    known = {entry.label: oracle_knowledge(entry.records) for entry in listed.rows}
    users = [f"{label} ({', '.join(names)})" for label, names in known.items() if names]
    if users:
        notes.append(f"{DAGGER_WORDS}: {'; '.join(users)}.")
    notes.extend(_marked(listed))
    notes.extend(_idle_or_apart(view))
    notes.extend(_implausible(view))
    versions = sorted(name for name, count in Counter(entry.method for entry in view.rows).items() if count > 1)
    if versions:
        what = "source code or hyper-parameters, its own or its teachers'"
        notes.append(f"#: a row for each version ({what}) of {', '.join(versions)}, the latest first.")
    if view.not_applicable:
        notes.append(f"Not applicable: {_by_reason(view.not_applicable)}.")
    return tuple(notes)


def _marked(view: View) -> Iterator[str]:
    """What the marks of methods mean, and which have them."""
    if apart := [entry.label for entry in view.rows if entry.label in view.apart]:
        yield f"{SEVERAL_WORDS}: {', '.join(apart)}."
    if rising := [entry.label for entry in view.rows if entry.label in view.rising]:
        yield f"{RISING_WORDS}; with more epochs it might rank otherwise: {', '.join(rising)}."
    if shipped := shipped_rows(view):
        yield f"{SHIPPED_WORDS}: {', '.join(shipped)}."


def shipped_rows(view: View) -> list[str]:
    """The rows whose trials ship, "all" for all of them; of a row that has others too, how many."""
    found = []
    for entry in view.rows:
        shipped = sum(record.shipped for record in entry.records)
        part = f" ({shipped} of {len(entry.records)} trials)" if shipped < len(entry.records) else ""
        found += [f"{entry.label}{part}"] if shipped else []
    every = all(record.shipped for record in view.block.records)
    return ["all trials"] if every and found else found


def _by_reason(refused: Mapping[str, str]) -> str:
    """Methods that cannot run, together where they have the reason in common: "recot, rhls: needs AU labels; …"."""
    names = grouped(refused, lambda name: refused[name])
    return "; ".join(f"{', '.join(members)}: {reason}" for reason, members in names.items())


def _idle_or_apart(view: View) -> list[str]:
    """Methods with trials whose last epoch updated no weights, as when two networks agree on every sample.

    Also those without the protocol's encoder: the counts of passes do not show their updates.
    """
    found = []
    for entry in view.rows:
        done = [record for record in entry.records if record.done]
        last = [record.epochs[-1] for record in done]
        idle = sum(line.compute.backwards == 0 and line.loss is None for line in last)
        if idle:
            found.append(f"{entry.label}: the last epoch updated no weights in {idle} of {len(done)} trials.")
        own = sum(record.environment.networks == 0 for record in done)
        if own:
            what = "networks of its own in place of the protocol's encoder: not comparable"
            found.append(f"{entry.label}: in {own} of {len(done)} trials {what}.")
    return found


def _implausible(view: View) -> list[str]:
    """Methods that knew reference labels better than their test scores allow."""
    found = {entry.label: [words for record in entry.records if (words := implausible(record))] for entry in view.rows}
    return [
        f"{label}: in {len(words)} trials the method {words[0]}: it may know labels that it was not given."
        for label, words in found.items()
        if words
    ]


def _pairs_note(counts: Sequence[int], *, spread: bool, folds: bool) -> str:
    if counts == [1]:
        return "One (seed, draw) pair: no spread."
    number = " to ".join(str(count) for count in unique([counts[0], counts[-1]]))
    words = f"over {number} (seed, draw) pairs{', each the mean over its folds' if folds else ''}."
    return f"± is the standard deviation (n − 1) {words}" if spread else f"Means {words}"
