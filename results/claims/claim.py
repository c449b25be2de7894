"""What papers claim, as data: one file for each paper in `statements/`, one entry for each statement.

A statement is what a paper says in one place: "outperforms all methods" is one statement with a claim for each of
these methods. The paper's numbers are looked up in its tables (`papers/reported_numbers`); where they contradict the
statement, a remark says so.
"""

from __future__ import annotations

import functools
import itertools
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from ...protocols.errors import BadInput, unknown
from ..papers import reported as reported_tables
from .measures import is_known

PAPERS = (
    *("recot", "cocuring", "ulcag", "rhls", "mlcr"),
    # of methods by their names here: the one claim of each that every benchmark can try, against plain training
    *("nla", "resup", "man", "disc", "cores", "volminnet", "sop", "forward_correction"),
    *("hlc", "noise_rate_reweighting", "splc"),
)

GAINS = "gains more on real noise"

# ">": left is above right · "<": left is below right · ">=": left is above right less COMPARABLE · "by at least":
# above by the stated size; "around 5.5" and "a significant improvement of 2.9" are lower bounds
# "falls with noise": left loses from the lowest to the highest level · "falls less with noise": less than right
# GAINS: left's lead over right is larger on real noise than on synthetic noise, the mean over its levels
RELATIONS = (">", "<", ">=", "by at least", "falls with noise", "falls less with noise", GAINS)
COMPARABLE = 1.0
"""Points within which two numbers count as comparable: chosen here, since no paper defines the word."""

Level = float | None

_KEYS = {
    *("id", "quote", "place", "table", "left", "right", "measure", "relation", "protocols", "levels", "stand_in"),
    *("at_least", "printed", "unmeasured", "note", "beside", "all_levels", "unknown_rate"),
}
_ROUNDING = 0.051
PRINTED_DECIMALS = 6  # more than any paper prints; removes rounding errors of floating-point differences
_DOUBTS = {"mean": "not the mean of its row"}


@dataclass(frozen=True)
class Side:
    """What is measured: a method, with its variant, under a measure (see measures.py)."""

    method: str
    measure: str = "score"

    @property
    def words(self) -> str:
        """The side as text, such as "cocuring (memorised)"."""
        return self.method if self.measure == "score" else f"{self.method} ({self.measure})"


@dataclass(frozen=True)
class Place:
    """A protocol a claim can be tested on.

    Attributes:
        protocol: its name.
        levels: noise levels, ascending; (None,) where the noise has none; with `beside`, None and then its levels.
        stand_in: a freely available protocol in place of the claim's own.
        beside: GAINS: the protocol with synthetic noise, which has the levels; else "".
    """

    protocol: str
    levels: tuple[Level, ...]
    stand_in: bool = False
    beside: str = ""

    def at(self, level: Level) -> str:
        """The protocol that a level belongs to."""
        return self.beside if self.beside and level is not None else self.protocol

    @property
    def words(self) -> str:
        """Its name, with that of the protocol it is compared with."""
        return f"{self.protocol} compared with {self.beside}" if self.beside else self.protocol


@dataclass(frozen=True)
class Claim:
    """One comparison that a paper makes.

    Attributes:
        id: "paper/statement" or, where a statement makes several, "paper/statement/right"; unique.
        paper: one of PAPERS.
        name: the paper as cited.
        statement: claims of one statement are tested together.
        quote: the paper's words, at most a line; "" where only the ranking in a table makes the claim.
        where: section and table.
        left, right: the sides; right is None where a method is compared with itself at another level, or with methods
            that are only reported.
        unmeasured: compared methods that are not implemented here; such a claim is never run.
        relation: one of RELATIONS.
        at_least: by protocol, the points that the paper states.
        places: where it can be tested, the paper's own protocols first; stand-ins alone where there are none.
        printed: by protocol and level, the printed numbers of left and right; those of `beside` are under the protocol.
        remarks: sentences about contradictions and doubtful numbers in the paper.
        all_levels: the claim is about all noise levels.
        unknown_rate: it is about noise of unknown rate: methods that use the true rate cannot test it.
    """

    id: str
    paper: str
    name: str
    statement: str
    quote: str
    where: str
    left: Side
    right: Side | None
    unmeasured: tuple[str, ...]
    relation: str
    at_least: Mapping[str, float]
    places: tuple[Place, ...]
    printed: Mapping[str, Mapping[Level, tuple[float, float | None]]]
    remarks: tuple[str, ...]
    all_levels: bool = False
    unknown_rate: bool = False

    @property
    def margin(self) -> float:
        """Points that the contrast may be below zero while the claim holds."""
        return margin(self.relation)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of its sides."""
        return tuple(dict.fromkeys(side.method for side in (self.left, self.right) if side is not None))

    @property
    def words(self) -> str:
        """The comparison as text, such as "cocuring > nct"."""
        if self.unmeasured:
            return f"{self.left.words} {self.relation} {', '.join(self.unmeasured)}"
        if self.right is None:
            return f"{self.left.words} {self.relation}"
        if self.relation == "by at least":
            return f"{self.left.words} > {self.right.words} by at least {_sizes(self.at_least)}"
        if self.relation == "falls less with noise":
            return f"{self.left.words} falls less with noise than {self.right.words}"
        if self.relation == GAINS:
            return f"{self.left.words} − {self.right.words} is larger on real noise than on synthetic noise"
        return f"{self.left.words} {self.relation} {self.right.words}"

    def printed_difference(self, protocol: str, levels: Sequence[Level]) -> float | None:
        """The printed contrast over these levels, in points; None where the paper does not print all of it."""
        numbers = self.printed.get(protocol, {})
        if any(level not in numbers for level in levels) or not is_enough(self.relation, levels):
            return None
        left = {level: numbers[level][0] for level in levels}
        right = {level: value for level in levels if (value := numbers[level][1]) is not None}
        if self.right is not None and len(right) < len(left):
            return None
        return round(float(contrast(self.relation, left, right)), PRINTED_DECIMALS)


def margin(relation: str) -> float:
    """Points that a relation's contrast may be below zero while it holds: the null hypothesis is minus this margin."""
    return COMPARABLE if relation == ">=" else 0.0


def contrast(relation: str, left: Mapping[Level, Any], right: Mapping[Level, Any]) -> Any:
    """The number whose sign a relation is about: positive where it holds. For floats and for arrays.

    Args:
        relation: one of RELATIONS.
        left, right: values by noise level, the same levels on both sides; right may be empty for "falls with noise".
    """
    if relation == "falls with noise":
        return _fall(left)
    if relation == "falls less with noise":
        return _fall(right) - _fall(left)
    if relation == GAINS:
        real, synthetic = gains(left, right)
        return real - synthetic
    lead = sum(left[level] - right[level] for level in left) / len(left)
    return -lead if relation == "<" else lead


def gains(left: Mapping[Level, Any], right: Mapping[Level, Any]) -> tuple[Any, Any]:
    """Left's lead over right on real noise, which has no level, and its mean over the levels of synthetic noise."""
    levels = [level for level in left if level is not None]
    return left[None] - right[None], sum(left[level] - right[level] for level in levels) / len(levels)


def is_enough(relation: str, levels: Sequence[Level]) -> bool:
    """Whether these levels are enough for a relation: one, two, or real and synthetic noise."""
    if relation == GAINS and None not in levels:
        return False
    return len(levels) >= (2 if "noise" in relation else 1)


def _fall(values: Mapping[Level, Any]) -> Any:
    levels = sorted(level for level in values if level is not None)
    return values[levels[0]] - values[levels[-1]]


def claims(paper: str | None = None) -> tuple[Claim, ...]:
    """All claims, or those of one paper, in the papers' order.

    Raises:
        BadInput: no such paper, or a file that contradicts itself or the reported tables.
    """
    if paper is not None and paper not in PAPERS:
        raise unknown("paper", paper, PAPERS)
    return tuple(claim for name in PAPERS if paper in (None, name) for claim in _of_paper(name))


def _of_paper(paper: str) -> list[Claim]:
    try:
        content = tomllib.loads((files(__package__) / "statements" / f"{paper}.toml").read_text(encoding="utf-8"))
        found = [claim for part in content["statement"] for claim in _statement(paper, content["name"], part)]
        if repeated := [claim.id for claim in found if sum(other.id == claim.id for other in found) > 1]:
            raise ValueError(f"more than one claim is called {repeated[0]}")
    except (OSError, LookupError, ValueError, TypeError, AttributeError) as error:
        what = f"results/claims/statements/{paper}.toml is damaged ({type(error).__name__}: {error})"
        raise BadInput(f"{what}: install the package again") from error
    return found


def _statement(paper: str, name: str, part: Mapping[str, Any]) -> list[Claim]:
    """The claims of a statement: each left against each right side, and one against methods that are only reported."""
    measure = part.get("measure", "score")
    lefts, rights = _sides(part["left"], measure), _sides(part.get("right", []), measure)
    _check(part, [*lefts, *rights])
    against: list[Side | None] = [*rights] if rights or part.get("unmeasured") else [None]
    both = [(_alike(left, right), right) for left, right in itertools.product(lefts, against)]
    found = [_claim(paper, name, part, left, right, ()) for left, right in both]
    if part.get("unmeasured"):
        found.append(_claim(paper, name, part, lefts[0], None, tuple(part["unmeasured"])))
    return found if len(found) > 1 else [replace(found[0], id=f"{paper}/{part['id']}")]


def _check(part: Mapping[str, Any], sides: Sequence[Side]) -> None:
    """Check keys, relation and measures of a statement; ValueError where they are invalid."""
    name = part["id"]
    if unknown_keys := set(part) - _KEYS:
        raise ValueError(f"{name}: no such keys: {sorted(unknown_keys)}")
    if part["relation"] not in RELATIONS:
        raise ValueError(f"{name}: no such relation: {part['relation']}")
    if (part["relation"] == "by at least") != ("at_least" in part):
        raise ValueError(f"{name}: 'by at least' and at_least go together")
    if wrong := [side.measure for side in sides if not is_known(side.measure)]:
        raise ValueError(f"{name}: no such measure: {wrong[0]}")
    if (part["relation"] == GAINS) != ("beside" in part):
        raise ValueError(f"{name}: '{GAINS}' and beside go together")
    if part.get("levels") == []:
        raise ValueError(f"{name}: no level: leave levels out where the noise has none")
    if not (part.get("right") or part.get("unmeasured") or part["relation"] == "falls with noise"):
        raise ValueError(f"{name}: nothing to compare with")


def _sides(content: str | Mapping[str, str] | Sequence[Any], measure: str) -> list[Side]:
    if isinstance(content, str):
        return [Side(content, measure)]
    if isinstance(content, Mapping):
        return [Side(content["method"], content["measure"])]
    return [side for item in content for side in _sides(item, measure)]


def _alike(left: Side, right: Side | None) -> Side:
    """The left side, measured on the same AU as the right side where that is an AU."""
    return Side(left.method, right.measure) if right is not None and right.measure.startswith("AU") else left


def _claim(
    paper: str, name: str, part: Mapping[str, Any], left: Side, right: Side | None, unmeasured: tuple[str, ...]
) -> Claim:
    places = _places(part)
    at_least = part.get("at_least", {})
    if not isinstance(at_least, Mapping):
        at_least = dict.fromkeys(part["protocols"], float(at_least))
    printed, doubts = _printed(part, places, left, right) if not unmeasured else ({}, [])
    claim = Claim(
        id=f"{paper}/{part['id']}/{_name(part, left, right)}",
        paper=paper,
        name=name,
        statement=part["id"],
        quote=part.get("quote", ""),
        where=part["place"],
        left=left,
        right=right,
        unmeasured=unmeasured,
        relation=part["relation"],
        at_least=at_least,
        places=tuple(places),
        printed=printed,
        remarks=(),
        all_levels=part.get("all_levels", False),
        unknown_rate=part.get("unknown_rate", False),
    )
    remarks = [*part.get("note", []), *_against_itself(claim), *doubts]
    return replace(claim, remarks=tuple(remarks))


def _name(part: Mapping[str, Any], left: Side, right: Side | None) -> str:
    """The last part of an ID, unique within a statement."""
    if right is None:
        return "reported-only" if part.get("unmeasured") else left.method
    names = [left.method] if isinstance(part["left"], list) else []
    names += [right.measure] if right.measure.startswith("AU") else [right.method]
    return "-".join(names)


def _places(part: Mapping[str, Any]) -> list[Place]:
    """The protocols of a statement, then its stand-ins."""
    beside = part.get("beside", "")
    levels: tuple[Level, ...] = (None, *part["levels"]) if beside else tuple(part.get("levels", (None,)))
    own = [Place(protocol, levels, beside=beside) for protocol in part["protocols"]]
    stand_ins = part.get("stand_in", ())
    return own + [Place(each["protocol"], tuple(each.get("levels", (None,))), stand_in=True) for each in stand_ins]


# --- the printed numbers


def _printed(
    part: Mapping[str, Any], places: Sequence[Place], left: Side, right: Side | None
) -> tuple[dict[str, dict[Level, tuple[float, float | None]]], list[str]]:
    """Printed numbers by protocol and level, and what is doubtful about them."""
    if "printed" in part:
        given: Mapping[str, Mapping[str, float]] = part["printed"]
        explicit: dict[str, dict[Level, tuple[float, float | None]]] = {}
        for protocol, numbers in given.items():
            explicit[protocol] = {None: (numbers[left.method], numbers[right.method] if right else None)}
        return explicit, []
    named = part.get("table", [])
    tables = [_table(name) for name in ([named] if isinstance(named, str) else named)]
    found: dict[str, dict[Level, tuple[float, float | None]]] = {}
    doubts: dict[str, list[str]] = {}
    for place in places:
        for level in () if place.stand_in else place.levels:
            sides = [side for side in (left, right) if side is not None]
            cells = [cell for side in sides if (cell := _cell(tables, place.at(level), level, side)) is not None]
            values = [cell.value for cell in cells if cell.value is not None]
            if len(values) == len(sides):
                found.setdefault(place.protocol, {})[level] = (values[0], values[1] if right else None)
            for text, flag in ((cell.text, flag) for cell in cells for flag in cell.flags):
                doubts.setdefault(f"{_DOUBTS.get(flag.kind, flag.kind)}: {flag.note}", []).append(text)
    return found, [f"{', '.join(dict.fromkeys(texts))}, {doubt}." for doubt, texts in doubts.items()]


@functools.cache
def _table(name: str) -> reported_tables.ReportedTable:
    return reported_tables.find(name)


def _cell(
    tables: Sequence[reported_tables.ReportedTable], protocol: str, level: Level, side: Side
) -> reported_tables.ReportedCell | None:
    """The cell of the tables that prints a side; None where they print none, or print another measure."""
    au = side.measure if side.measure.startswith("AU") else None
    if au is None and side.measure != "score":
        return None
    target = reported_tables.Target(protocol, au)
    for panel in (panel for table in tables for panel in table.panels):
        for row in panel.rows:
            if row.method == side.method and row.level == level and target in panel.targets:
                return row.cells[panel.targets.index(target)]
    return None


def _against_itself(claim: Claim) -> list[str]:
    """Where the paper's own numbers contradict its words: at most a sentence."""
    places = []
    for protocol, numbers in claim.printed.items():
        least = claim.at_least.get(protocol, -claim.margin or 1e-9)
        for levels in [tuple(numbers)] if "noise" in claim.relation else [(level,) for level in numbers]:
            printed = claim.printed_difference(protocol, levels)
            if printed is not None and printed < least - (_ROUNDING if claim.at_least else 0.0):
                at = f" at {levels[0]:g}" if len(levels) == 1 and levels[0] is not None else ""
                places.append(f"{protocol}{at} ({_signed(printed)})")
    return [f"The paper's own numbers contradict {claim.words}: {', '.join(places)}."] if places else []


def _signed(points: float) -> str:
    """+1.25, −0.5, 0."""
    shown = round(points, 2)
    return f"{shown:+g}".replace("-", "−") if not math.isclose(shown, 0.0) else "0"


def _sizes(at_least: Mapping[str, float]) -> str:
    return " and ".join(f"{size:g}" for size in dict.fromkeys(at_least.values()))
