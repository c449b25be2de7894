"""The papers' figures: what is run for each, how it is drawn, and what records cannot show."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

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
        names: how the paper calls a method, where the harness's own name says less.
        au: the action unit of a histogram.
        stand_ins: any one of the methods will do, the others are variants for where the first cannot run.
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


_NO_FACES = "The paper shows single faces; records hold neither pictures nor a face's own confidence: means by epoch."
_NAMES = (("ensemble", "Baseline"), ("cocuring", "Co-curing"))  # the paper's baseline: two networks, averaged
_BETAS = {
    "cocuring:beta-0": "β = 0",
    "cocuring:beta-0.25": "β = 0.25",
    "cocuring": "β = 0.65",
    "cocuring:beta-1": "β = 1",
    "cocuring:beta-6": "β = 6",
}
_SMOOTHED = {
    "supervised": "Baseline",
    "label_smoothing": "Label smoothing",
    "rhls": "Robin Hood label smoothing",
}
_TUNE = "disfa-3fold-plain:tune"
_EMOTIONET = "emotionet-3split"

COCURING = (
    PaperFigure(
        id="cocuring-fig2",
        paper="Co-curing",
        number="Fig. 2",
        caption="Confusion plots",
        kind="confusion",
        protocols=("rafdb-sym", "ferplus-sym", "affectnet-sym"),
        methods=("cocuring",),
        level=0.0,
    ),
    PaperFigure(
        id="cocuring-fig3",
        paper="Co-curing",
        number="Fig. 3",
        caption="Confusion plots, automatically annotated AffectNet",
        kind="confusion",
        protocols=("affectnet-auto",),
        methods=("cocuring",),
    ),
    PaperFigure(
        id="cocuring-fig4",
        paper="Co-curing",
        number="Fig. 4",
        caption="Accuracy by epoch on RAF-DB",
        kind="epochs",
        protocols=("rafdb-sym",),
        methods=("ensemble", "cocuring"),
        level=0.4,
        names=_NAMES,
    ),
    PaperFigure(
        id="cocuring-fig5",
        paper="Co-curing",
        number="Fig. 5",
        caption="Accuracy by epoch on FERPlus",
        kind="epochs",
        protocols=("ferplus-sym",),
        methods=("ensemble", "cocuring"),
        level=0.4,
        names=_NAMES,
    ),
    PaperFigure(
        id="cocuring-fig6",
        paper="Co-curing",
        number="Fig. 6",
        caption="Influence of the dynamic balancing factor β",
        kind="levels",
        protocols=("rafdb-sym",),
        methods=tuple(_BETAS),
        names=tuple(_BETAS.items()),
    ),
)

ULC_AG = (
    PaperFigure(
        id="ulcag-fig5",
        paper="ULC-AG",
        number="Fig. 5",
        caption="Confidence in the target branch",
        kind="confidence",
        protocols=("rafdb-sym", "affectnet7-sym"),
        methods=("ulc_ag", "ulc_ag:no-auxiliary"),
        level=0.3,
        stand_ins=True,
        remark=_NO_FACES,
    ),
    PaperFigure(
        id="ulcag-fig6",
        paper="ULC-AG",
        number="Fig. 6",
        caption="Corrections by the auxiliary branch",
        kind="corrections",
        protocols=("rafdb-sym", "affectnet7-sym"),
        methods=("ulc_ag",),
        level=0.3,
        remark=_NO_FACES,
    ),
    PaperFigure(
        id="ulcag-fig7",
        paper="ULC-AG",
        number="Fig. 7",
        caption="Confusion matrices",
        kind="confusion",
        protocols=("rafdb-sym", "affectnet7-sym"),
        methods=("ulc_ag", "ulc_ag:no-auxiliary"),
        level=0.0,
        stand_ins=True,
        remark="The paper does not say at which noise: here at none.",
    ),
)

RHLS = (
    PaperFigure(
        id="rhls-fig2",
        paper="RHLS",
        number="Fig. 2",
        caption="Action unit rates",
        kind="rates",
        protocols=("bp4d-3fold-plain", "disfa-3fold-plain"),
        methods=("supervised",),
    ),
    PaperFigure(
        id="rhls-fig3",
        paper="RHLS",
        number="Fig. 3",
        caption="β validation on DISFA",
        kind="sweep",
        points=tuple(Point(beta, _TUNE, f"rhls:beta-{beta}") for beta in ("0", "0.25", "0.5", "0.75", "1")),
        axis="β",
    ),
    PaperFigure(
        id="rhls-fig4",
        paper="RHLS",
        number="Fig. 4",
        caption="Predictions on positive and negative labels",
        kind="histograms",
        protocols=("disfa-3fold-plain",),
        methods=tuple(_SMOOTHED),
        names=tuple(_SMOOTHED.items()),
        au="AU2",
    ),
)

# Printed values: the mean F1 of the appendix's tables, with pre-training.
RECOT = (
    PaperFigure(
        id="recot-noisy-set",
        paper="ReCoT",
        number="appendix",
        caption="Number of noisy images",
        kind="sweep",
        points=(
            Point("10k", f"{_EMOTIONET}:noisy-10k", "recot", 69.8),
            Point("50k", _EMOTIONET, "recot", 70.6),
            Point("100k", f"{_EMOTIONET}:noisy-100k", "recot", 70.2),
        ),
        axis="noisy images",
    ),
    PaperFigure(
        id="recot-noise-model",
        paper="ReCoT",
        number="appendix",
        caption="Model of the label noise",
        kind="sweep",
        points=(
            Point("additive", _EMOTIONET, "recot:additive", 70.6),
            Point("multiplicative", _EMOTIONET, "recot:multiplicative", 70.2),
            Point("mixed", _EMOTIONET, "recot:mixed", 70.3),
        ),
        axis="noise model",
    ),
    PaperFigure(
        id="recot-views",
        paper="ReCoT",
        number="appendix",
        caption="View that predicts",
        kind="sweep",
        points=(
            Point("view 1", _EMOTIONET, "recot:view1", 70.0),
            Point("view 2", _EMOTIONET, "recot:view2", 70.1),
            Point("average", _EMOTIONET, "recot", 70.6),
        ),
        axis="prediction",
    ),
    PaperFigure(
        id="recot-encoder",
        paper="ReCoT",
        number="appendix",
        caption="Encoder",
        kind="sweep",
        points=(
            Point("ResNet-18", f"{_EMOTIONET}:resnet18", "supervised:clean-selective", 65.2),
            Point("ResNet-34", _EMOTIONET, "supervised:clean-selective", 65.9),
            Point("ResNet-50", f"{_EMOTIONET}:resnet50", "supervised:clean-selective", 65.3),
        ),
        axis="encoder",
        remark="The paper's text says its own method, its numbers are those of its baseline, so here is that.",
    ),
)

FIGURES = MappingProxyType({figure.id: figure for figure in (*COCURING, *ULC_AG, *RHLS, *RECOT)})

# Figures that show no measurement.
DRAWINGS = MappingProxyType(
    {
        "recot-fig1": "a drawing of learning settings",
        "recot-fig2": "a drawing of the method",
        "cocuring-fig1": "a drawing of the method",
        "ulcag-fig1": "a choice of faces of licensed data sets",
        "ulcag-fig2": "a drawing of the method",
        "ulcag-fig3": "a drawing of the method",
        "ulcag-fig4": "a drawing of the method",
        "rhls-fig1": "a choice of faces of licensed data sets",
    }
)


def find_figure(name: str) -> PaperFigure:
    """The figure of that name.

    Raises:
        BadInput: no such figure, or one that shows no measurement; the message names those there are.
    """
    if name in DRAWINGS:
        paper = name.partition("-")[0]
        others = ", ".join(other for other in FIGURES if other.startswith(f"{paper}-"))
        raise BadInput(f"{name} is {DRAWINGS[name]}: there is nothing to measure; of the same paper: {others}")
    if name not in FIGURES:
        raise unknown("figure", name, [*FIGURES, *DRAWINGS])
    return FIGURES[name]


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
    """The commands that run some (protocol, method), one a protocol, with these options (" --noise 0.4")."""
    return tuple(
        f"fernoise-bench run --protocol {protocol} {' '.join(f'--method {method}' for _, method in each)}{options}"
        for protocol, each in grouped(needed, lambda one: one[0]).items()
    )


def run_options(level: float | None, setting: Setting | None) -> str:
    """The options of a run that fits records there are: its noise level, faces, profile and recipe."""
    options = "" if level is None else f" --noise {level:g}"
    if setting is None:
        return options
    generated, profile, recipe = setting.source == "generated", setting.profile, setting.recipe
    options += " --synthetic" if generated else ""
    options += f" --profile {profile}" if profile != ("small" if generated else "paper") else ""
    return options + (f" --recipe {recipe}" if recipe != PROTOCOL_RECIPE else "")


def figure_title(figure: PaperFigure, setting: Setting, protocol: str, level: float | None) -> str:
    """What a figure shows: the paper's number and caption, where it was measured, and what differs from the paper."""
    parts = list(setting.words)
    own = {each for each, _ in asked(figure)}
    parts += [f"on {protocol}, not the paper's data"] if protocol and protocol not in own else []
    parts += [f"{level_words(level)}, not the paper's"] if level not in (None, figure.level) else []
    return f"{figure.paper}, {figure.number}: {figure.caption} [measured: {', '.join(parts)}]"


def pairs_remark(kind: Kind, counts: Collection[int], *, has_folds: bool) -> str:
    """How many (seed, draw) pairs stand behind what a figure shows, and what its bands are.

    Args:
        kind: how the figure is drawn.
        counts: finished pairs of each thing shown, at least one number.
        has_folds: whether a pair is a mean over folds.
    """
    number = " to ".join(str(count) for count in dict.fromkeys((min(counts), max(counts))))
    pairs = f"{number} (seed, draw) pair{'s' * (max(counts) > 1)}"
    if kind in ("confusion", "histograms"):
        return f"All trials of {pairs} together."
    if kind == "rates":
        return "Test labels of one (seed, draw) pair, all folds together: the others test the same."
    if max(counts) == 1:
        return f"One (seed, draw) pair{', the mean over its folds' * has_folds}: no bands."
    each = ", each the mean over its folds" * has_folds
    return f"Means over {pairs}{each}; bands: ± standard deviation (n − 1) over pairs."
