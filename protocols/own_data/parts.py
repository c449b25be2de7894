"""Training, validation and test rows of each fold, and the checks that they can be trained and tested on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..base import Protocol
from ..errors import BadInput
from ..files import Array
from .labelled import Labelled

FOLD_SEED, HELD_OUT_SEED = 1_000_081, 1_000_099  # keep folds and validation independent of other random numbers


@dataclass(frozen=True)
class Parts:
    """The row numbers of a fold, int64, ascending."""

    train: Array
    validation: Array
    test: Array


def parts_of(protocol: Protocol, rows: Labelled) -> Mapping[str | None, Parts]:
    """The parts of each fold, of None for a fixed split; rows without the labels they need are left out.

    Training and validation need given labels or votes; tests need reference labels, or given ones where the data have
    no reference.

    Raises:
        BadInput: an empty part, a subject in two parts, a class or action unit without a label to train on.
    """
    labelled = rows.known(rows.given)
    if protocol.noise == "votes" and rows.votes is not None:
        labelled = (rows.votes.sum(axis=1) > 0) & (~rows.verified | (rows.given >= 0))  # a tie is no verified label
    judged = rows.known(rows.given if protocol.option("reference") == "none" else rows.reference)
    fold_of = assigned(protocol, rows)
    nobody = np.zeros(len(rows), bool)
    found: dict[str | None, Parts] = {}
    for fold in protocol.folds or (None,):
        test = np.equal(fold_of, fold or "test")
        train = np.equal(fold_of, "train") if fold is None else (fold_of != "") & ~test
        held_out = np.equal(fold_of, "validation") if fold is None else nobody
        if protocol.option("validation share") != "0":
            held_out = train & _held_out(protocol, rows, train)
        train = train & ~held_out
        chosen = (np.flatnonzero(part) for part in (train & labelled, held_out & labelled, test & judged))
        found[fold] = Parts(*chosen)
        _check(protocol, rows, fold, found[fold], (train, held_out, test))
    return found


def assigned(protocol: Protocol, rows: Labelled) -> Array:
    """The part or fold of each row: unicode [N]."""
    if protocol.option("split") in ("parts", "fold column"):
        return rows.part
    groups, member = np.unique(rows.group, return_inverse=True)
    if len(groups) < len(protocol.folds):
        what = f"{len(groups):,} {'subjects' if rows.has_subjects else 'rows'} for {len(protocol.folds)} folds"
        raise BadInput(f"{_file(protocol)}: {what}; ask for fewer in split.folds")
    seed = [FOLD_SEED, int(protocol.option("split seed"))]
    folds: Array = np.array(protocol.folds, str)[balanced(np.bincount(member), len(protocol.folds), seed)[member]]
    return folds


def balanced(sizes: Array, count: int, seed: Sequence[int]) -> Array:
    """The fold of each group: the largest first, those of one size in drawn order, each to the smallest fold so far.

    Args:
        sizes: int64 [G], rows of each group.
        count: number of folds.
        seed: of the order in which groups of one size are taken.

    Returns:
        int64 [G], the fold of each group, 0 to count - 1.
    """
    drawn = np.random.default_rng(seed).permutation(len(sizes))
    order = drawn[np.argsort(-sizes[drawn], kind="stable")]
    totals = np.zeros(count, np.int64)
    fold_of = np.empty(len(sizes), np.int64)
    for group in order.tolist():
        smallest = int(totals.argmin())
        fold_of[group] = smallest
        totals[smallest] += sizes[group]
    return fold_of


def _held_out(protocol: Protocol, rows: Labelled, train: Array) -> Array:
    """The rows of the subjects (rows, where they are not known) that are held out of training: bool [N]."""
    groups = np.unique(rows.group[train])
    count = max(1, round(float(protocol.option("validation share")) * len(groups)))
    drawn = np.random.default_rng([HELD_OUT_SEED, int(protocol.option("split seed"))]).permutation(len(groups))
    held_out: Array = np.isin(rows.group, groups[drawn[:count]])
    return held_out


def crossing(rows: Labelled, parts: tuple[Array, Array, Array]) -> list[str]:
    """The subjects that are in more than one part of a fold, each part bool [N]; none where they are not known."""
    if not rows.has_subjects:
        return []
    here = [set(rows.subject[part].tolist()) - {""} for part in parts]
    return sorted((here[0] & here[1]) | (here[0] & here[2]) | (here[1] & here[2]))


def _check(
    protocol: Protocol, rows: Labelled, fold: str | None, parts: Parts, whole: tuple[Array, Array, Array]
) -> None:
    where = f"{_file(protocol)}{f', {fold}' if fold else ''}"
    named = dict(protocol.own.parts).values() if protocol.own else ()
    for name in ("train", "test", *(["validation"] if "validation" in named else [])):
        if not len(getattr(parts, name)):
            what = f"no row for {'training' if name == 'train' else name}"
            raise BadInput(f"{where}: {what} with the labels it needs; check [split] and the table")
    subjects = crossing(rows, whole)
    if subjects and protocol.option("subjects in one part") == "yes":
        what = f"subject {subjects[0]} is in two parts, and so are {len(subjects) - 1:,} others"
        raise BadInput(f"{where}: {what}; put each in one, or set split.exclusive = false")
    if "verified" in protocol.offers and not rows.verified[parts.train].any():
        raise BadInput(f"{where}: no training row is verified; mark some, or leave data.columns.verified out")
    _check_labels(protocol, rows, parts, where)


def _check_labels(protocol: Protocol, rows: Labelled, parts: Parts, where: str) -> None:
    """Raises BadInput for a class without a training row, and for an action unit without a label to train on."""
    judged = rows.given if protocol.option("reference") == "none" else rows.reference
    train, test = rows.given[parts.train], judged[parts.test]
    if protocol.noise == "votes" and rows.votes is not None:
        trained = known = rows.votes[parts.train].any(axis=0)
    elif protocol.kind == "single":
        trained = known = np.bincount(train, minlength=len(protocol.names)) > 0
    else:
        trained, known = (train > 0).any(axis=0), (train != 0).any(axis=0)
        if known.any() and not trained.any():
            what = "no action unit is present in a training row"
            raise BadInput(f"{where}: {what}; check data.present_from, the smallest value of one that is")
    tested = np.bincount(test, minlength=len(protocol.names)) > 0 if test.ndim == 1 else (test > 0).any(axis=0)
    if (lacking := np.flatnonzero(tested & ~trained)).size:
        name = protocol.names[int(lacking[0])]
        what = f"{name} is in the test rows and in no training row"
        raise BadInput(f"{where}: {what}; add some, or take {name} out of protocol.labels")
    if (lacking := np.flatnonzero(~known)).size:
        name = protocol.names[int(lacking[0])]
        units = protocol.kind == "multi"
        what = f"{name} has no known label in the training rows" if units else f"{name} is in no training row"
        column = protocol.own.column(f"given {name}") if protocol.own else ""
        remedy = "add some" if column or not units else "name its column in [data.columns.given]"
        raise BadInput(f"{where}: {what}; {remedy}, or take {name} out of protocol.labels")


def _file(protocol: Protocol) -> str:
    return protocol.own.file if protocol.own else protocol.name
