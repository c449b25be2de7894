"""Labels beside those of a data set, and how they were joined: OpenFace's output, noisy lists, single annotators'."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..errors import BadInput
from ..readers.cremad_votes import RESPONSES, read_responses, read_votes, tabulated
from ..readers.fer2013 import read as read_ferplus
from ..readers.listing import Check, Listing
from ..readers.openface import auxiliary_of, auxiliary_of_ferplus, has_output
from ..readers.rafdb_noise_lists import is_plausible, noisy_lists, read_noisy_list, stated_rate
from .catalog import RAW, listing_of

_PEOPLE = f"single annotators, {RESPONSES}"


@dataclass(frozen=True)
class Beside:
    """A source of further labels.

    Attributes:
        what: the source, how its rows were found to belong to pictures, and the program that wrote it.
        checks: what was counted; nobody published these labels for this copy, so that none makes the copy partial.
    """

    what: str
    checks: tuple[Check, ...]


def beside(name: str, data_root: Path) -> tuple[Beside, ...]:
    """The further labels of a data set that are on disk; none for the sets of action units, which have their own.

    CREMA-D's are those of single annotators. A source that cannot be used is reported with the reason.

    Raises:
        BadInput: an absent data set.
    """
    found = []
    if name not in RAW and has_output(data_root, name):
        found.append(_or_reason("OpenFace", lambda: _openface(name, data_root)))
    if name == "rafdb":
        listing = listing_of(name, data_root)
        for path in noisy_lists(listing.root):
            what = f"noisy labels, {path.relative_to(listing.root).as_posix()}"
            found.append(_or_reason(what, partial(_noisy_list, what, path, listing)))
    if name == "cremad" and (data_root / name / RESPONSES).is_file():
        found.append(_or_reason(_PEOPLE, lambda: _annotators(data_root / name)))
    return tuple(found)


def _or_reason(what: str, read: Callable[[], Beside]) -> Beside:
    try:
        return read()
    except BadInput as error:
        return Beside(what, (Check("usable", "yes", "no", str(error)),))


def _openface(name: str, data_root: Path) -> Beside:
    if name == "ferplus":
        found = auxiliary_of_ferplus(data_root, read_ferplus(data_root / name, partial=True))
    else:
        found = auxiliary_of(data_root, name, listing_of(name, data_root).path.tolist())
    return Beside(f"OpenFace, {found.layout}", found.checks)


def _noisy_list(what: str, path: Path, listing: Listing) -> Beside:
    found = read_noisy_list(path, listing)
    changed = f"{found.test_changed:,} of them differ from the owners' labels" if found.test_rows else ""
    rate = f"{found.rate:.2%} of them differ from the owners' labels"
    checks: tuple[Check, ...] = (
        Check("rows of training pictures", len(found.given), len(found.given), rate),
        Check("rows of test pictures, not used", found.test_rows, found.test_rows, changed),
    )
    if (stated := stated_rate(path)) is not None:
        plausible = "yes" if is_plausible(found, stated) else f"no, {found.rate:.2%}"
        checks += (Check(f"about the share of wrong labels in its name, {stated:.0%}", "yes", plausible),)
    return Beside(what, checks)


def _annotators(root: Path) -> Beside:
    """Who labelled CREMA-D's clips, compared with the votes, which the owners counted without late responses."""
    table, found = read_votes(root), read_responses(root)
    assert found is not None  # its file is there
    here, voted = tabulated(found, table), table.number >= 0
    equal = (here == table.counts).all(axis=2) & voted
    late = "" if found.late < 0 else f"{found.late:,} late ones are left out"
    checks = (
        Check("annotators", len(set(found.annotator.tolist())), len(set(found.annotator.tolist()))),
        Check("their labels", len(found), len(found), late),
        Check.none("labels of what is no clip", found.others),
        Check.none("labels without a person or an answer, left out", found.unknown),
        Check("clips and ways of presentation with the votes of the table", int(voted.sum()), int(equal.sum())),
    )
    return Beside(_PEOPLE, checks)
