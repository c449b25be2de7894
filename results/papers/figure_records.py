"""The records that a paper's figure needs, by panel. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...protocols.errors import BadInput
from ..analysis.grouping import Block, blocks, grouped, refusal
from ..analysis.view import Expected, View, known_folds, view_of
from ..records.record import Record, differing_fields
from ..tables.parts import level_words
from .figures import PROTOCOL_RECIPE, PaperFigure, asked, methods_of


class FigurePlace(NamedTuple):
    """A protocol of a figure: its records as a view, and the noise level shown."""

    protocol: str
    view: View
    level: float | None

    @property
    def words(self) -> str:
        """The protocol and, where it has one, the noise level."""
        return self.protocol if self.level is None else f"{self.protocol}, {level_words(self.level)}"


def pairs_shown(figure: PaperFigure, places: Sequence[FigurePlace]) -> set[int]:
    """The numbers of finished pairs of what is shown."""
    found = {
        len(place.view.paired(entry, level).complete)
        for place in places
        for entry in place.view.rows
        for level in levels_shown(figure, place)
    }
    return found - {0}


def levels_shown(figure: PaperFigure, place: FigurePlace) -> Sequence[float | None]:
    """The noise levels of a place that a figure shows."""
    return place.view.levels if figure.kind == "levels" else (place.level,)


def records_about(records: Sequence[Record], figure: PaperFigure, protocol: str, recipe: str) -> list[Record]:
    """The records of a figure; BadInput where they are of several settings."""
    chosen = records_for(records, figure, protocol, recipe)
    if fields := differing_fields(record.identity.setting._asdict() for record in chosen):
        raise BadInput(f"{figure.id}: {refusal(fields, 'figure')}")
    return chosen


def records_for(records: Sequence[Record], figure: PaperFigure, protocol: str, recipe: str) -> list[Record]:
    """The records of a figure, of any settings."""
    protocols = {each for each, _ in asked(figure, protocol)}
    methods = methods_of(figure)
    return [r for r in records if r.protocol in protocols and r.method in methods and r.identity.recipe == recipe]


def view_for(records: Sequence[Record], protocol: str, figure: PaperFigure) -> View:
    """A figure's records of a protocol as a view; BadInput where they are of several settings."""
    mine = [record for record in records if record.protocol == protocol]
    own = mine[0].identity.recipe != PROTOCOL_RECIPE  # each method has its own recipe, and so its own comparability key
    parts = grouped(mine, lambda record: record.method if own else "").values()
    block = Block(tuple(record for part in parts for record in blocks(part, what="figure")[0].records))
    return view_of(block, Expected(methods=figure.methods, folds=known_folds(protocol)))


def level_shown(view: View, wanted: float | None, figure: PaperFigure) -> float | None:
    """The level shown: the requested one; without a request, the only one of the records."""
    if wanted is not None and view.levels != (None,):
        return wanted
    return view.levels[0] if len(view.levels) == 1 or figure.kind == "levels" else wanted


def lacking(figure: PaperFigure, places: Sequence[FigurePlace], protocol: str) -> list[tuple[str, str]]:
    """What has no finished pair, as (protocol, method)."""
    done = {
        (place.protocol, entry.method)
        for place in places
        for entry in place.view.rows
        for level in levels_shown(figure, place)
        if place.view.summary(entry, level, lambda record: 1.0).values
    }
    served = {each for each, _ in done} if figure.stand_ins else set()
    return [each for each in asked(figure, protocol) if each not in done and each[0] not in served]
