"""What the page says of each method besides its results: paper, task, hyper-parameters with their sources, variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..analysis.grouping import grouped
from ..papers.methods import MethodPaper, method_papers
from ..records.record import Record

_TASKS = {("single",): "expressions", ("multi",): "action units", ("multi", "single"): "expressions and action units"}
_EXTRA = {
    "noise_rate": "the true noise rate (oracle knowledge)",
    "transition": "the true shares of wrong labels by class (oracle knowledge)",
    "annotators": "the labels that several people gave a face, and who gave which",
    "verified": "verified rows: training faces whose labels are known to be right",
    "aux": "action unit labels by OpenFace",
    "votes": "the votes of all annotators of a face, where other methods have one label",
}


@dataclass(frozen=True)
class MethodCard:
    """A method as this version of the project defines it.

    Attributes:
        about: the first line of its documentation; description: the rest, with its reference.
        needs: of a protocol, as the registry has them ("single", "verified", "teacher:supervised:clean").
        digest: of its code, which results made with other code do not have.
        rows: (hyper-parameter, value, source).
        variants: what each changes, by name.
    """

    about: str
    description: str
    needs: Sequence[str]
    digest: str
    rows: Sequence[tuple[str, str, str]]
    variants: Mapping[str, str]


def methods_of(records: Sequence[Record], cards: Mapping[str, MethodCard]) -> list[dict[str, Any]]:
    """The methods of some records, variants under their method, by name.

    Args:
        records: any.
        cards: by method; a user's own methods may lack one.

    Returns:
        "name", "recorded" (names in the records, with variants), "paper" or null, and of the card, or null: "about",
        "description", "task", "extra" (what it uses beyond faces and given labels), "digest", "rows", "variants".
    """
    bases = grouped(sorted({record.method for record in records}), base_of)
    return [
        {"name": name, "recorded": recorded, "paper": _paper(method_papers().get(name)), "card": _card(cards.get(name))}
        for name, recorded in sorted(bases.items())
    ]


def base_of(method: str) -> str:
    """The method without its variant."""
    return method.partition(":")[0]


def _paper(paper: MethodPaper | None) -> dict[str, Any] | None:
    return None if paper is None else {**asdict(paper), "code_link": paper.code_link}


def _card(card: MethodCard | None) -> dict[str, Any] | None:
    if card is None:
        return None
    kinds = tuple(sorted({"single", "multi"} & set(card.needs)))
    teachers = [need.partition(":")[2] for need in card.needs if need.startswith("teacher:")]
    extra = [words for need, words in _EXTRA.items() if need in card.needs]
    return {
        "about": card.about,
        "description": card.description,
        "task": _TASKS.get(kinds, ""),
        "extra": [*extra, *(f"the predictions of a teacher, {teacher}" for teacher in teachers)],
        "digest": card.digest,
        "rows": [list(row) for row in card.rows],
        "variants": dict(card.variants),
    }
