"""The methods and the protocols there are, as lists of named records."""

from __future__ import annotations

from typing import NamedTuple

from ...protocols.catalog import PROTOCOLS
from ...results.papers.methods import MethodPaper, method_papers
from ..method_summary import outline
from ..registry import names

_TASKS = {"single": "expressions", "multi": "action units"}


class MethodInfo(NamedTuple):
    """A method.

    Attributes:
        name: as `run` takes it.
        title: one line on what it does.
        paper, venue, year, url: of its paper; empty, and 0, for a method without one.
        tasks: "expressions" (one label a face), "action units", or both.
        needs: what it needs of a protocol besides, as "noise_rate", "votes" or "verified".
        variants: names of its variants, as in "cocuring:no-relabel".
    """

    name: str
    title: str
    paper: str
    venue: str
    year: int
    url: str
    tasks: tuple[str, ...]
    needs: tuple[str, ...]
    variants: tuple[str, ...]


class ProtocolInfo(NamedTuple):
    """A protocol.

    Attributes:
        name, version: as in tables.
        title: one line on what it is.
        task: "expressions" (one label a face) or "action units".
        labels: the classes or AUs, in column order.
        data: the folders of the data sets that it reads.
        noise: the kind of noise in the training labels.
        levels: noise levels; empty where the noise has none.
        folds: names of the test parts; empty for a fixed split.
        metric: "accuracy" or "f1".
        profiles: the sizes that it has.
        papers: which papers report it, in words.
    """

    name: str
    version: int
    title: str
    task: str
    labels: tuple[str, ...]
    data: tuple[str, ...]
    noise: str
    levels: tuple[float, ...]
    folds: tuple[str, ...]
    metric: str
    profiles: tuple[str, ...]
    papers: str


def list_methods() -> list[MethodInfo]:
    """Every method by name, those of other installed packages included; none of this package's is imported."""
    return [_method(name, target) for name, target in names().items()]


def list_protocols() -> list[ProtocolInfo]:
    """Every protocol by name."""
    return [
        ProtocolInfo(
            name=protocol.name,
            version=protocol.version,
            title=protocol.title,
            task=_TASKS[protocol.kind],
            labels=protocol.names,
            data=protocol.data,
            noise=protocol.noise,
            levels=protocol.levels,
            folds=protocol.folds,
            metric=protocol.metric,
            profiles=protocol.profiles,
            papers=dict(protocol.about).get("papers", ""),
        )
        for protocol in PROTOCOLS.values()
    ]


def _method(name: str, target: str) -> MethodInfo:
    found, paper = outline(target), method_papers().get(name, MethodPaper(""))
    return MethodInfo(
        name=name,
        title=found.about,
        paper=paper.words if paper.link else "",
        venue=paper.venue,
        year=paper.year or 0,
        url=paper.link,
        tasks=tuple(words for kind, words in _TASKS.items() if kind in found.needs),
        needs=tuple(sorted(found.needs - set(_TASKS))),
        variants=tuple(f"{name}:{variant}" for variant in found.variants),
    )
