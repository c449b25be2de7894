"""The reference leaderboard that ships with the package: `results/reference/*.zip`, a bundle per protocol and seed.

Beside each bundle lies its summary, so that only what needs predictions unpacks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ...protocols.activity import doing
from ...protocols.errors import BadInput
from ...protocols.files import read_arrays
from .bundle import expanded, write_bundle
from .cache import cache_folder, load_cached
from .record import Record
from .schema import Identity, Status
from .store import find_trials
from .summaries import read_summary, write_summary
from .trial_files import read_part

FOLDER = Path(__file__).parents[1] / "reference"


def shipped_records(folder: Path | None = None, names: str = "*") -> tuple[list[Record], list[str]]:
    """The records of every bundle in a folder (that of the package), and a message for each damaged trial.

    Args:
        folder: None: that of the package.
        names: a pattern of the bundles' names, to read only some.
    """
    records: list[Record] = []
    damaged: list[str] = []
    shared: dict[bytes, Any] = {}
    with doing("reading the results that ship"):
        for bundle in _bundles(folder or FOLDER, names):
            summarised = read_summary(bundle, shared)
            found, wrong = load_cached(_expanded(bundle)) if summarised is None else (summarised, [])
            records += found
            damaged += wrong
    return records, damaged


def shipped_like(trials: Sequence[Record]) -> list[Record]:
    """The shipped records of the comparability keys, levels and folds of some trials; marked as shipped.

    Those of a protocol, profile and source that nothing ships for cost no time: their bundles do not exist.
    """
    wanted = {(record.identity.key, record.level, record.fold) for record in trials}
    names = dict.fromkeys(f"{_bundle_start(record.identity)}-seed*" for record in trials)
    found = [record for each in names for record in shipped_records(names=each)[0]]
    return [as_shipped(r) for r in found if (r.identity.key, r.level, r.fold) in wanted]


def as_shipped(record: Record) -> Record:
    """The record, marked as one that ships."""
    return replace(record, shipped=True)


def predictions_file(record: Record, runs: Sequence[Path]) -> Path:
    """Where the predictions of a record lie: in one of the output folders it was read from, or among what ships."""
    bundles = (*_bundles(FOLDER, f"{_bundle_start(record.identity)}-seed*"), *_bundles(FOLDER))  # the likely ones first
    roots = chain(() if record.shipped else runs, map(_expanded, bundles))  # they are expanded only if needed
    files = (root / record.folder / "predictions.npz" for root in roots)
    return next((file for file in files if file.is_file()), runs[0] / record.folder / "predictions.npz")


def read_predictions(record: Record, runs: Sequence[Path]) -> dict[str, NDArray[Any]]:
    """The arrays of a record that `joined` or `records_or_shipped` gave for output folders, shipped or not.

    Raises:
        BadInput: they are missing or damaged.
    """
    return read_arrays(predictions_file(record, runs))


def _bundles(folder: Path, names: str = "*") -> list[Path]:
    """The bundles in a folder, in order."""
    return sorted(folder.glob(f"{names}.zip"))


def _expanded(bundle: Path) -> Path:
    """The output folder that a bundle stands for."""
    return expanded(bundle, cache_folder("reference"))


def bundle_runs(runs: Path, folder: Path = FOLDER) -> list[Path]:
    """Writes the trials of an output folder that are done or diverged as bundles, one for each protocol and seed.

    Returns:
        The bundles written.

    Raises:
        BadInput: a trial is damaged, or one failed.
    """
    groups: dict[str, list[Path]] = {}
    for trial in find_trials(runs):
        state = read_part(trial, Status).state if (trial / "status.json").is_file() else "not run"
        if state == "failed":
            raise BadInput(f"{trial} failed: run it again, since means without failed trials would be biased")
        if state in ("done", "diverged"):
            groups.setdefault(_bundle_name(read_part(trial, Identity)), []).append(trial)
    folder.mkdir(exist_ok=True)
    for name, trials in groups.items():
        write_bundle(runs, trials, folder / f"{name}.zip")
    return [folder / f"{name}.zip" for name in groups]


def summarise(folder: Path = FOLDER) -> list[Path]:
    """Writes the summary of every bundle in a folder that lacks it, or has that of another bundle. Returns these.

    Raises:
        BadInput: a bundle, or one of its trials, is damaged.
    """
    return [write_summary(bundle) for bundle in _bundles(folder) if read_summary(bundle, {}) is None]


def _bundle_name(identity: Identity) -> str:
    return f"{_bundle_start(identity)}-seed{identity.seed}"


def _bundle_start(identity: Identity) -> str:
    """Protocol, profile, faces unless real ones."""
    faces = () if identity.source == "real" else (identity.source,)
    return "-".join([identity.protocol.name, identity.profile, *faces]).replace(":", ".")


def records_or_shipped(runs: Path, *, named: bool = False) -> tuple[list[Record], list[str], str]:
    """The records below an output folder; where it holds no trial, those that ship.

    Args:
        runs: the folder.
        named: the user named this folder, so the shipped records do not replace it.

    Returns:
        Records, a message for each damaged trial, and a notice for the command line ("" for the user's own trials).
    """
    with doing(f"reading the trials in {runs}"):
        records, damaged = load_cached(runs)
    if named or records or damaged or find_trials(runs):
        return records, damaged, ""
    records, damaged = shipped_records()
    # a notice for the command line; a page describes the records with `statement`
    told = (
        f"no trials in {runs}: this is the reference leaderboard that ships with fernoise-bench; "
        "trials of your own take its place, or stand beside it with --with-reference"
    )
    return records, damaged, told if records else ""


def statement(records: Sequence[Record]) -> list[str]:
    """What the shipped records are, in plain sentences made from the records; none without records."""
    if not records:
        return []
    made: dict[str, list[str]] = {}
    pairs = dict.fromkeys((record.protocol, record.identity.profile) for record in records)
    for protocol, profile in pairs:
        several = sum(name == protocol for name, _ in pairs) > 1
        alike = [record for record in records if (record.protocol, record.identity.profile) == (protocol, profile)]
        made.setdefault(_made_with(alike), []).append(f"{protocol} at {profile}" if several else protocol)
    alone = len(made) == 1
    told = [
        f"{words[:1].upper()}{words[1:]}." if alone else f"{', '.join(keys)}: {words}." for words, keys in made.items()
    ]
    return [
        "This is the reference leaderboard that ships with fernoise-bench: results of small networks on "
        "freely available data. They show the effect of wrong labels, not the best results the methods can reach.",
        *told,
    ]


def _made_with(records: Sequence[Record]) -> str:
    """Encoder, pixels, epochs, faces, processor and seeds of one protocol's records."""
    recipes = [record.identity.settings.recipe for record in records]
    sides = dict.fromkeys(recipe.augmentation.crop for recipe in recipes)
    parts = [
        " or ".join(dict.fromkeys(_encoder_words(record) for record in records)),
        " or ".join(f"{side}×{side} pixels" for side in sides if side),
        _span([recipe.epochs for recipe in recipes], "epoch"),
        _span([record.environment.rows.train or None for record in records], "training face"),
        "trained on " + " and ".join(sorted({_device_words(record) for record in records})),
        _seeds(records),
    ]
    return ", ".join(part for part in parts if part)


def _encoder_words(record: Record) -> str:
    name, weights = record.identity.settings.recipe.encoder, record.identity.settings.weights
    words = "a small encoder" if name == "small" else f"the encoder {name}"
    return f"{words} from scratch" if weights in ("", "none") else f"{words} that starts from {weights}"


def _device_words(record: Record) -> str:
    device = record.environment.device or "an unknown device"
    return "a CPU" if device.partition(",")[0].lower() == "cpu" else device  # with or without its vector instructions


def _seeds(records: Sequence[Record]) -> str:
    """The number of seeds of each method; one seed gives no ranking."""
    by_method: dict[str, set[int]] = {}
    for record in records:
        by_method.setdefault(record.method, set()).add(record.identity.seed)
    counts = [len(seeds) for seeds in by_method.values()]
    words = _span(counts, "seed")
    return f"{words} of each method" + (": no ranking" if max(counts) == 1 else "")


def _span(numbers: Sequence[int | None], word: str) -> str:
    """Such as "1 seed" or "3 to 8 seeds"; empty without a number."""
    known = sorted({number for number in numbers if number is not None})
    if not known:
        return ""
    many = " to ".join(f"{number:,}" for number in dict.fromkeys([known[0], known[-1]]))
    return f"{many} {word}{'s' * (known[-1] != 1)}"
