"""From what a user asks for to trials."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from ...protocols import catalog
from ...protocols.base import Protocol, Recipe
from ...protocols.definitions.native_recipes import native_recipe
from ...protocols.definitions.recipes import AT_PROFILE
from ...protocols.errors import BadInput
from ...protocols.loading import Data, DataIdentity, offered, open_data, places_read
from ...protocols.rows import Origin, Source
from .. import registry
from ..registry import MethodSpec
from ..remembered import recall, remember, stamps
from ..settings import Settings, check_compiler, check_precision, choose_device
from ..trial import Job, Trial

MOST_SEEDS = 1000
DEFAULT_SEEDS = {"paper": 3, "small": 3, "smoke": 1}


@dataclass(frozen=True)
class RunRequest:
    """What was typed; None and empty mean the default. Devices of other machines than this one cannot be asked."""

    protocol: str
    methods: tuple[str, ...] = ()
    all_methods: bool = False
    without: tuple[str, ...] = ()
    levels: tuple[float, ...] = ()
    folds: tuple[str, ...] = ()
    seeds: int | None = None
    profile: str | None = None
    synthetic: bool = False
    data_root: Path = Path()
    out: Path = Path("fernoise-runs")
    device: str = "auto"
    device_here: bool = True
    precision: str = "fp32"
    compiled: bool = False
    weights: str | None = None
    partial: bool = False
    recipe: str = "protocol"


@dataclass(frozen=True)
class Grid:
    """The trials of a run, in the order they are run, and the methods that are not applicable, with the reason.

    Real faces are opened here, since their content is part of a trial's identity; generated ones when a trial runs.
    """

    job: Job
    trials: tuple[Trial, ...]
    not_applicable: dict[str, str]
    data: Data | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods that run."""
        return tuple(dict.fromkeys(trial.method.name for trial in self.trials))

    @property
    def seeds(self) -> int:
        """Seeds of each cell."""
        return len({trial.seed for trial in self.trials})


def make_grid(request: RunRequest) -> Grid:
    """The grid of a request: seeds outermost, then levels, folds, methods, so that a cell's trials are neighbours.

    Raises:
        BadInput: anything asked for that does not exist or cannot be; nothing has been written then.
    """
    protocol = catalog.find(request.protocol)
    levels, folds = protocol.choose_levels(request.levels), protocol.choose_folds(request.folds)
    if request.seeds is not None and request.seeds < 1:
        raise BadInput(f"--seeds {request.seeds}: at least one seed is needed")
    if request.seeds is not None and request.seeds > MOST_SEEDS:
        raise BadInput(f"--seeds {request.seeds}: at most {MOST_SEEDS:,} seeds can be run")
    source: Source = "generated" if request.synthetic else "real"
    profile = request.profile or ("small" if request.synthetic else "paper")
    protocol.profile(profile)
    choose_methods(request, protocol, offered(protocol, source, None))  # what cannot be is said before data are read
    identity, data = DataIdentity(), None
    if source == "real":
        identity, data = identify_data(protocol, profile, request.data_root, partial=request.partial)
    methods, not_applicable = choose_methods(request, protocol, offered(protocol, source, identity))
    job = make_job(request, protocol, profile, source, identity)
    jobs = {method.name: _job_of(method, job, request) for method in methods}
    seeds = request.seeds or (protocol.runs if profile == "paper" else 0) or DEFAULT_SEEDS[profile]
    trials = tuple(
        Trial(jobs[method.name], method, fold, level, seed)
        for seed in range(seeds)
        for level in levels
        for fold in folds
        for method in methods
    )
    return Grid(job, trials, not_applicable, data)


def identify_data(
    protocol: Protocol, profile: str, data_root: Path, *, partial: bool
) -> tuple[DataIdentity, Data | None]:
    """The identity of real faces, and the faces where they had to be read for it.

    What was found when they were last read holds as long as their files keep their names, sizes and times.
    """
    question = {
        "data": str(data_root.resolve()),
        "protocol": [protocol.name, protocol.version, protocol.fingerprint(profile), profile],
        "partial": partial,
        "files": stamps(places_read(protocol, data_root)),
        "readers": _readers(),
    }
    if told := recall(question):
        return DataIdentity(Origin(*told["origin"]), told["aux"]), None
    data = open_data(protocol, profile, "real", data_root, partial=partial)
    found = data.identity
    remember(question, {"origin": [found.origin.layout, found.origin.digest], "aux": found.aux})
    return found, data


@cache
def _readers() -> str:
    """Of the code that reads data sets: what other code found is read again."""
    return stamps([Path(catalog.__file__).parent])


def make_job(request: RunRequest, protocol: Protocol, profile: str, source: Source, data: DataIdentity) -> Job:
    """What all trials share; the initial weights are looked at here so that a wrong file ends the run at once."""
    settings, asked = _settings(request, protocol.profile(profile).recipe)
    return Job(
        *(protocol, profile, source, request.data_root, request.out, settings, asked, request.partial, data.origin),
        aux=data.aux,
    )


def _job_of(method: MethodSpec, job: Job, request: RunRequest) -> Job:
    """The job of one method: the shared one, or with `--recipe native` that of its own paper's recipe."""
    if request.recipe == "protocol":
        return job
    recipe = native_recipe(method.name, job.protocol)
    assert recipe is not None  # methods without one were not chosen
    settings, asked = _settings(request, AT_PROFILE[job.profile](recipe))
    return replace(job, settings=settings, weights=asked, recipe="native", shared=job)


def _settings(request: RunRequest, recipe: Recipe) -> tuple[Settings, str]:
    """The settings of a recipe, and the weights they name."""
    asked = request.weights or recipe.weights
    device = choose_device(request.device) if request.device_here else request.device
    check_precision(request.precision, device)
    if request.compiled and request.device_here:
        check_compiler(device)
    kind, family, sha256 = _weights(asked, recipe.encoder, request.data_root)
    settings = Settings(
        device=device,
        precision=request.precision,
        weights=kind,
        weights_family=family,
        weights_sha256=sha256,
        recipe=replace(recipe, weights=kind),
        compiled=request.compiled,
    )
    return settings, asked


def _weights(asked: str, encoder: str, data_root: Path) -> tuple[str, str, str]:
    """Kind, family and SHA-256 of the initial weights."""
    if asked == "none":  # told without torch
        return "none", "", ""
    from ..networks.initial_weights import resolve

    found = resolve(asked, encoder, data_root)
    return found.kind, found.family, found.sha256


def choose_methods(
    request: RunRequest, protocol: Protocol, offers: frozenset[str]
) -> tuple[list[MethodSpec], dict[str, str]]:
    """The methods to run, and those of `--all-methods` that are not applicable, with the reason.

    Raises:
        BadInput: no method named, an unknown one, or one named that is not applicable.
    """
    if not request.methods and not request.all_methods:
        raise BadInput("name methods with --method NAME (repeat it), or run every applicable one with --all-methods")
    named = [registry.find(name) for name in request.methods]
    for method in named:
        if reason := _reason_against(method, request, protocol, offers):
            raise BadInput(f"--method {method.name} is not applicable to {protocol.name}: it {reason}")
    without = {registry.find(name).name for name in request.without}
    everything = [method for method in registry.all_base() if method.name not in without] if request.all_methods else []
    chosen = {method.name: method for method in [*everything, *named]}
    not_applicable = {
        name: reason
        for name, method in chosen.items()
        if (reason := _reason_against(method, request, protocol, offers))
    }
    methods = [method for name, method in chosen.items() if name not in not_applicable]
    if not methods:
        raise BadInput(f"--without leaves no method to run on {protocol.name}")
    return methods, not_applicable


def _reason_against(method: MethodSpec, request: RunRequest, protocol: Protocol, offers: frozenset[str]) -> str:
    """Why a method cannot run as wished, or an empty string."""
    reason = method.missing(protocol, offers)
    if not reason and request.recipe == "native" and not native_recipe(method.name, protocol):
        return "has no recipe of its own that is stated well enough"
    return reason


def numbers(text: str, option: str) -> tuple[float, ...]:
    """A comma-separated list of numbers; BadInput naming the option otherwise."""
    try:
        if not text.isascii():  # digits of other scripts are digits to Python
            raise ValueError(text)
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise BadInput(f"{option} {text}: expected numbers separated by commas, as in 0.2,0.4") from error


def check_writable(out: Path) -> None:
    """BadInput unless the output folder, or the nearest one above it that exists, can be written to."""
    nearest: Iterable[Path] = (path for path in (out, *out.absolute().parents) if os.path.exists(path))
    place = next(iter(nearest))
    if not place.is_dir():
        raise BadInput(f"--out {out}: {place} is a file, not a folder; choose another folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise BadInput(f"--out {out}: {place} is not writable; choose another folder")


def describe(trials: Sequence[Trial]) -> str:
    """How many trials, of what."""
    cells = {(trial.method.name, trial.fold, trial.level) for trial in trials}
    methods = {trial.method.name for trial in trials}
    return f"{len(trials)} trials ({len(methods)} methods, {len(cells)} cells)"
