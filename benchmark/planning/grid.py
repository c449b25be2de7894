"""Turns what a user asks for into trials."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from ...protocols import catalog
from ...protocols.base import Protocol, Recipe, Size
from ...protocols.definitions.native_recipes import native_recipe, variants_with_a_recipe
from ...protocols.definitions.recipes import at_profile
from ...protocols.errors import BadInput, unknown
from ...protocols.loading import Data, DataIdentity, draws_noise, offered, open_data, places_read
from ...protocols.readers.openface import what_is_there
from ...protocols.rows import Origin, Source
from .. import registry
from ..disk_cache import file_stamps, lookup, store
from ..progress import counted
from ..registry import MethodSpec
from ..settings import KEPT_EPOCHS, Settings, Which, check_compiler, check_precision, choose_device
from ..trial import Job, Trial

MOST_SEEDS = 1000
LONGEST_SALT = 64
DEFAULT_SEEDS = {"paper": 3, "transfer": 3, "small": 3, "smoke": 1}


@dataclass(frozen=True)
class RunRequest:
    """The options of a run; None and empty values stand for the defaults.

    `device_here` is False where trials run on other machines, whose devices cannot be queried.
    """

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
    noise_salt: str = ""
    keep_weights: Which | None = None


@dataclass(frozen=True)
class Grid:
    """The trials of a run on one protocol, in order, and the methods that cannot run, with the reasons.

    `data` are the faces, where they had to be read: the content of real faces is part of a trial's identity.
    """

    job: Job
    trials: tuple[Trial, ...]
    not_applicable: dict[str, str]
    data: Data | None = None

    def faces(self) -> Data:
        """The faces, read now where they were not yet."""
        job = self.job
        return self.data or open_data(job.protocol, job.profile, job.source, job.data_root, partial=job.partial)

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of the methods that run."""
        return tuple(dict.fromkeys(trial.method.name for trial in self.trials))


def _refuse_name_of_records(request: RunRequest) -> None:
    """Raises BadInput for a name that only results in the output folder have, so that its file must be named."""
    name, out = request.protocol, request.out
    if name.endswith(catalog.SUFFIX) or catalog.known(name) is not None or not out.is_dir():
        return
    if any(folder.name.rpartition("@")[0] == name for folder in out.iterdir()):
        raise BadInput(f"'{name}' is not a protocol here, though {out} has trials of it; name its TOML file")


def make_grid(request: RunRequest) -> Grid:
    """The trials of a request, ordered by seed, level, fold and method, so that those with equal data are neighbours.

    Raises:
        BadInput: something asked for does not exist or is impossible. Nothing has been written then.
    """
    _refuse_name_of_records(request)
    protocol = catalog.find(request.protocol)
    if request.synthetic and protocol.own is not None:
        raise BadInput(f"--synthetic: no faces are generated for {protocol.name}, a protocol of your own data")
    levels, folds = protocol.choose_levels(request.levels), protocol.choose_folds(request.folds)
    if request.seeds is not None and request.seeds < 1:
        raise BadInput(f"--seeds {request.seeds}: at least one seed is needed")
    if request.seeds is not None and request.seeds > MOST_SEEDS:
        raise BadInput(f"--seeds {request.seeds}: at most {MOST_SEEDS:,} seeds can be run")
    source: Source = "generated" if request.synthetic else "real"
    profile = request.profile or ("small" if request.synthetic else "paper")
    protocol.profile(profile)
    _check_salt(request.noise_salt, protocol, source)
    _check_kept_weights(request.keep_weights, protocol.profile(profile).size, protocol.name)
    choose_methods(request, protocol, offered(protocol, source, None))  # refuses methods before data are read
    identity, data = DataIdentity(), None
    if source == "real":
        identity, data = identify_data(protocol, profile, request.data_root, partial=request.partial)
    methods, not_applicable = choose_methods(request, protocol, offered(protocol, source, identity))
    # the initial weights are read here, so that a wrong file ends the run at once
    settings, weights = _settings(request, protocol.profile(profile).recipe)
    where = (request.data_root, request.out)
    job = Job(protocol, profile, source, *where, settings, weights, request.partial, identity.origin)
    job = replace(job, aux=identity.aux, annotators=identity.annotators)
    job = replace(job, noise_salt=request.noise_salt, keep_weights=request.keep_weights)
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


def _check_kept_weights(which: Which | None, size: Size, name: str) -> None:
    """Raises BadInput for an epoch whose weights cannot be kept."""
    if which is not None and which not in KEPT_EPOCHS:
        raise unknown("epoch whose weights to keep", which, KEPT_EPOCHS)
    if which == "best-validation" and size.validation == 0:
        raise BadInput(f"--keep-weights best-validation: {name} has no validation rows; keep the last epoch's")


def _check_salt(salt: str, protocol: Protocol, source: Source) -> None:
    """Raises BadInput for a salt that cannot be in a record, or for noise that is not drawn."""
    if salt and not (salt.isprintable() and salt == salt.strip() and len(salt) <= LONGEST_SALT):
        raise BadInput(f"--noise-salt: at most {LONGEST_SALT} printable characters, without blanks around them")
    if salt and not draws_noise(protocol, source):
        raise BadInput(
            f"--noise-salt: the noise of {protocol.name} comes with its data ({protocol.noise}) and is not drawn; "
            "leave --noise-salt out"
        )


def identify_data(
    protocol: Protocol, profile: str, data_root: Path, *, partial: bool
) -> tuple[DataIdentity, Data | None]:
    """The identity of real faces, and the faces themselves where they had to be read.

    The identity is taken from the disk cache as long as the files keep their names, sizes and times. A user's own data
    are read each time, since their pictures may lie anywhere.
    """
    if protocol.own is not None:
        own = open_data(protocol, profile, "real", data_root, partial=partial)
        return own.identity, own
    key = {
        "data": str(data_root.resolve()),
        "protocol": [protocol.name, protocol.version, protocol.fingerprint(profile), profile],
        "partial": partial,
        "files": file_stamps(places_read(protocol, data_root)),
        "readers": _stamp_of_readers(),
    }
    if found := lookup(key):
        return DataIdentity(Origin(**found["origin"]), found["aux"], found["annotators"]), None
    data = open_data(protocol, profile, "real", data_root, partial=partial)
    identity = data.identity
    store(key, {"origin": identity.origin.content, "aux": identity.aux, "annotators": identity.annotators})
    return identity, data


@cache
def _stamp_of_readers() -> str:
    """Of the code that reads data sets, so that what another version of it found is not used."""
    return file_stamps([Path(catalog.__file__).parent])


def _job_of(method: MethodSpec, job: Job, request: RunRequest) -> Job:
    """The job of one method: the given one, or with `--recipe native` one with the recipe of its own paper."""
    if request.recipe == "protocol":
        return job
    recipe = native_recipe(method.name, job.protocol)
    assert recipe is not None  # methods without one were not chosen
    epochs = job.protocol.profile(job.profile).recipe.epochs
    settings, weights = _settings(request, at_profile(recipe, job.profile, epochs))
    return replace(job, settings=settings, weights=weights, recipe="native", shared=job)


def _settings(request: RunRequest, recipe: Recipe) -> tuple[Settings, str]:
    """The settings for a recipe, and its initial weights as they were named."""
    named = request.weights or recipe.weights
    device = choose_device(request.device) if request.device_here else request.device
    check_precision(request.precision, device, here=request.device_here)
    if request.compiled and request.device_here:
        check_compiler(device)
    kind, family, sha256 = _weights(named, recipe.encoder, request.data_root)
    settings = Settings(
        device=device,
        precision=request.precision,
        weights=kind,
        weights_family=family,
        weights_sha256=sha256,
        recipe=replace(recipe, weights=kind),
        compiled=request.compiled,
    )
    return settings, named


def _weights(named: str, encoder: str, data_root: Path) -> tuple[str, str, str]:
    """Kind, family and SHA-256 of initial weights."""
    if named == "none":  # without importing torch
        return "none", "", ""
    from ..networks.initial_weights import resolve

    found = resolve(named, encoder, data_root)
    return found.kind, found.family, found.sha256


def choose_methods(
    request: RunRequest, protocol: Protocol, offers: frozenset[str]
) -> tuple[list[MethodSpec], dict[str, str]]:
    """The methods to run, and those of `--all-methods` that are not applicable, with the reason.

    Raises:
        BadInput: no method named, an unknown one, or one named that is not applicable.
    """
    if not request.methods and not request.all_methods:
        raise BadInput("name methods with --method NAME (can be repeated), or run all applicable ones: --all-methods")
    named = registry.find_each(request.methods)
    for method in named:
        if reason := why_not_applicable(method, protocol, offers, request.recipe):
            if "aux" in method.needs - offers and protocol.kind == "single" and not request.synthetic:
                reason += f": {what_is_there(request.data_root, protocol.data[0])}"
            raise BadInput(f"--method {method.name} is not applicable to {protocol.name}: it {reason}")
    without = {registry.find(name).name for name in request.without}
    every = [method for method in registry.all_base() if method.name not in without] if request.all_methods else []
    chosen = {method.name: method for method in [*every, *named]}
    not_applicable = {
        name: reason
        for name, method in chosen.items()
        if (reason := why_not_applicable(method, protocol, offers, request.recipe))
    }
    methods = [method for name, method in chosen.items() if name not in not_applicable]
    if not methods:
        raise BadInput(f"--without leaves no method to run on {protocol.name}")
    return methods, not_applicable


def why_not_applicable(method: MethodSpec, protocol: Protocol, offers: frozenset[str], recipe: str) -> str:
    """Why a method cannot run on a protocol with a kind of recipe ("protocol" or "native"), or an empty string."""
    reason = method.missing(protocol, offers)
    if not reason and recipe == "native" and not native_recipe(method.name, protocol):
        if with_one := variants_with_a_recipe(method.base):
            return f"has a native recipe as {with_one[0]} only, which trains as its authors do: name that variant"
        return "has no native recipe: its paper does not state one completely"
    return reason


def numbers(text: str, option: str) -> tuple[float, ...]:
    """The numbers of a comma-separated list; BadInput, which names the option, for anything else."""
    try:
        if not text.isascii():  # float() takes digits of other scripts too
            raise ValueError(text)
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise BadInput(f"{option} {text}: expected numbers separated by commas, as in 0.2,0.4") from error


def check_writable(out: Path) -> None:
    """Raises BadInput unless the output folder, or the nearest folder above it that exists, can be written to."""
    nearest = next(path for path in (out, *out.absolute().parents) if os.path.lexists(path))
    if not nearest.is_dir():
        raise BadInput(f"--out {out}: {nearest} is a file or a broken link, not a folder; choose another folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise BadInput(f"--out {out}: {nearest} is not writable; choose another folder")


def check_initial_weights(grid: Grid) -> None:
    """Builds the encoder once, so that missing or wrong weights end the run before anything is written."""
    from ..networks.encoders import build_model
    from ..networks.initial_weights import resolve

    job, recipe = grid.job, grid.job.settings.recipe
    build_model(recipe.encoder, resolve(job.weights, recipe.encoder, job.data_root), recipe.neck)


def describe(trials: Sequence[Trial]) -> str:
    """The numbers of trials, methods and cells as text."""
    cells = {(trial.method.name, trial.fold, trial.level) for trial in trials}
    methods = {trial.method.name for trial in trials}
    return f"{counted(len(trials), 'trial')} ({counted(len(methods), 'method')}, {counted(len(cells), 'cell')})"
