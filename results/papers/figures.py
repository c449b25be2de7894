"""The papers' figures: the trials each needs, how it is drawn, and which figures are illustrations."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from msgspec import convert

from ...protocols.errors import BadInput, unknown
from ..analysis.grouping import grouped
from ..records.schema import Setting
from ..tables.parts import level_words

PROTOCOL_RECIPE = "protocol"

Kind = Literal["confusion", "epochs", "levels", "sweep", "confidence", "corrections", "rates", "histograms"]


@dataclass(frozen=True)
class Point:
    """One place of a sweep: its name on the axis, what is measured there, and the number the paper prints, if any."""

    name: str
    protocol: str
    method: str
    printed: float | None = None


@dataclass(frozen=True)
class PaperFigure:
    """A figure of a paper.

    Attributes:
        id: as `fernoise-bench figure` takes it.
        paper, number, caption: what the paper calls it.
        kind: how it is drawn.
        protocols, methods: a panel for each protocol; empty for a sweep.
        level: the noise level; None where the kind shows all, or the noise has none.
        points: of a sweep, empty for the other kinds.
        axis: what a sweep's places are.
        names: what the paper calls a method, where it differs from the name here.
        au: the action unit of a histogram.
        stand_ins: one of the methods is enough; the others are variants for protocols where the first cannot run.
        remark: what differs from the printed figure, a sentence; or "".
    """

    id: str
    paper: str
    number: str
    caption: str
    kind: Kind
    protocols: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    level: float | None = None
    points: tuple[Point, ...] = ()
    axis: str = ""
    names: tuple[tuple[str, str], ...] = ()
    au: str = ""
    stand_ins: bool = False
    remark: str = ""


def _read() -> tuple[Mapping[str, PaperFigure], Mapping[str, str]]:
    content = tomllib.loads(Path(__file__).with_name("figures.toml").read_text(encoding="utf-8"))
    drawings: dict[str, str] = content.pop("drawings")
    figures = {name: convert({"id": name, **fields}, PaperFigure) for name, fields in content.items()}
    return MappingProxyType(figures), MappingProxyType(drawings)


# The figures by id; those without measurements, with what they show.
FIGURES, DRAWINGS = _read()


def find_figure(name: str) -> PaperFigure:
    """The figure of that name.

    Raises:
        BadInput: no such figure, or one that shows no measurement; the message names those there are.
    """
    if name in DRAWINGS:
        paper = name.partition("-")[0]
        others = ", ".join(other for other in FIGURES if other.startswith(f"{paper}-"))
        raise BadInput(f"{name} is {DRAWINGS[name]}: there is nothing to measure; its paper's others: {others}")
    if name not in FIGURES:
        raise unknown("figure", name, [*FIGURES, *DRAWINGS])
    return FIGURES[name]


def methods_of(figure: PaperFigure) -> tuple[str, ...]:
    """The methods that a figure shows."""
    return tuple(dict.fromkeys([*figure.methods, *(point.method for point in figure.points)]))


def with_methods(figure: PaperFigure, methods: Collection[str]) -> PaperFigure:
    """The figure with some of its methods."""
    return replace(
        figure,
        methods=tuple(method for method in figure.methods if method in methods),
        points=tuple(point for point in figure.points if point.method in methods),
    )


def asked(figure: PaperFigure, protocol: str = "") -> tuple[tuple[str, str], ...]:
    """What a figure needs, as (protocol, method) in its order; of a method and its stand-ins the method itself.

    Args:
        figure: the figure.
        protocol: one of its protocols, or one that stands in for all; empty: its own.
    """
    methods = figure.methods[:1] if figure.stand_ins else figure.methods
    found = [(point.protocol, point.method) for point in figure.points]
    found += [(each, method) for each in figure.protocols for method in methods]
    return tuple(dict.fromkeys((protocol or each, method) for each, method in found))


def commands(needed: Iterable[tuple[str, str]], options: str) -> tuple[str, ...]:
    """The commands that run these (protocol, method), one for each protocol, with options (" --noise 0.4")."""
    return tuple(
        f"fernoise-bench run --protocol {protocol} {' '.join(f'--method {method}' for _, method in each)}{options}"
        for protocol, each in grouped(needed, lambda one: one[0]).items()
    )


def run_options(level: float | None, setting: Setting | None) -> str:
    """The options of a run at the setting of existing records: noise level, faces, profile and recipe."""
    options = "" if level is None else f" --noise {level:g}"
    if setting is None:
        return options
    generated, profile, recipe = setting.source == "generated", setting.profile, setting.recipe
    options += " --synthetic" if generated else ""
    options += f" --profile {profile}" if profile != ("small" if generated else "paper") else ""
    return options + (f" --recipe {recipe}" if recipe != PROTOCOL_RECIPE else "")


def figure_title(figure: PaperFigure, setting: Setting, protocol: str, level: float | None) -> str:
    """A figure's title: the paper's number and caption, the setting, and what differs from the paper."""
    parts = list(setting.words)
    own = {each for each, _ in asked(figure)}
    parts += [f"on {protocol}, not the paper's data"] if protocol and protocol not in own else []
    parts += [f"{level_words(level)}, not the paper's"] if level not in (None, figure.level) else []
    return f"{figure.paper}, {figure.number}: {figure.caption} [measured: {', '.join(parts)}]"


def pairs_remark(kind: Kind, counts: Collection[int], *, has_folds: bool) -> str:
    """Over how many (seed, draw) pairs a figure's numbers are, and what its bands show.

    Args:
        kind: how the figure is drawn.
        counts: finished pairs of each line or panel, at least one number.
        has_folds: whether a pair is a mean over folds.
    """
    number = " to ".join(str(count) for count in dict.fromkeys((min(counts), max(counts))))
    pairs = f"{number} (seed, draw) pair{'s' * (max(counts) > 1)}"
    if kind in ("confusion", "histograms"):
        return f"All trials of {pairs} pooled."
    if kind == "rates":
        return "Test labels of one (seed, draw) pair, all folds pooled: they are the same for every pair."
    if max(counts) == 1:
        return f"One (seed, draw) pair{', the mean over its folds' * has_folds}: no bands."
    each = ", each the mean over its folds" * has_folds
    return f"Means over {pairs}{each}; bands: ± standard deviation (n − 1) over pairs."
