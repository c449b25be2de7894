"""Action units: annotated frames of known subjects or of strangers, with or without noisy faces in the wild."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .. import noise
from ..base import Profile, Protocol, Size
from ..errors import BadInput
from ..faces.generate import Faces, FaceSpecification, automatic_annotator, faces
from ..images.image_pool import of_pool
from ..readers import emotionet
from ..rows import GENERATED, Array, CellData, Origin, Rows, Source, describe_noise, fixed_choice, join, rows
from .pack_access import joint_origin, open_for
from .splits import VALIDATION_SEED

POSITIVE_INTENSITY = 2
SPLIT_SEED = 1_000_033  # keeps random splits apart from the choice of rows
MANUAL_ROWS, TRAINING_ROWS = 20_722, 15_000  # ReCoT §4.1: of 20,722 manual EmotioNet rows 15,000 train


@dataclass(frozen=True)
class Loaded:
    """Annotated frames, and the faces of the noisy set.

    Attributes:
        annotated: verified where the protocol offers verified rows; `given` are the owners' labels.
        wild: without given labels where the protocol has them drawn or taught.
        coder: generated faces of `wild`, which the automatic coder labels anew in each draw; None for real ones.
    """

    annotated: Rows
    wild: Rows
    coder: Faces | None = None
    origin: Origin = GENERATED


def load(protocol: Protocol, profile: Profile, source: Source, data_root: Path, *, partial: bool) -> Loaded:
    """Opens the packs of a protocol, or draws its faces, once.

    Raises:
        BadInput: real data absent, not prepared, damaged, or not as published (unless partial).
    """
    if source == "generated":
        return _generated(protocol, profile.size)
    return _real(protocol, profile.size, data_root, partial=partial)


def cell(
    protocol: Protocol,
    profile: Profile,
    source: Source,
    loaded: Loaded,
    fold: str | None,
    level: float | None,
    draw: int,
) -> CellData:
    """The rows of one fold: those that test, the others train, beside the noisy faces of this draw."""
    wild, seed = loaded.wild, protocol.noise_seed + draw
    if loaded.coder is not None and not protocol.noisy_labels_from:
        wild = wild.with_given(automatic_annotator(loaded.coder, seed))
    training, held_out, test, share = _split(protocol, profile.size, loaded.annotated, fold)
    for part, what in ((training, "trains"), (test, "tests")):
        if not len(part):
            where = f"{protocol.name}, {fold}"
            raise BadInput(f"{where}: no annotated row {what}; this copy lacks the subjects or rows that would")
    if "flip" in protocol.noise:
        balanced = protocol.noise.startswith("balanced")
        training = training.with_given(noise.au_flip(training.reference, level or 0.0, seed, balanced))
        held_out = held_out.with_given(
            noise.au_flip(held_out.reference, level or 0.0, seed + VALIDATION_SEED, balanced)
        )
    kept = len(wild) - int(len(wild) * share)
    noisy = wild.take(np.arange(kept))
    validation = join(held_out, wild.take(np.arange(kept, len(wild)))) if len(held_out) else None
    described = describe_noise(protocol.noise, level, noisy if len(wild) else training)
    return CellData(join(training, noisy), validation, test, described)


def binary(intensity: Array) -> Array:
    """Intensities 0-5 as labels in {-1, +1}: present from intensity 2 on."""
    return np.where(intensity >= POSITIVE_INTENSITY, 1, -1).astype(np.int8)


def subjects_of(protocol: Protocol, size: Size, fold: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The subjects of a fold that train, that validate and that test."""
    part, _, sixth = fold.partition(".")
    seen = [subject for name, subjects in protocol.parts if name != part for subject in subjects]
    tested = dict(protocol.parts)[part]
    if sixth:  # tuning: a share of the training subjects tests, and the fold's own test part is never looked at
        tested = tuple(seen[int(sixth) - 1 :: int(protocol.option("tune"))])
        seen = [subject for subject in seen if subject not in tested]
    held_out = set(fixed_choice(len(seen), size.validation or 0, protocol.noise_seed).tolist())
    training, validation = (
        tuple(subject for at, subject in enumerate(seen) if (at in held_out) == wanted) for wanted in (False, True)
    )
    return training, validation, tested


def _split(protocol: Protocol, size: Size, annotated: Rows, fold: str | None) -> tuple[Rows, Rows, Rows, float]:
    """Training, validation and test rows of a fold, and the validation's share of what could train."""
    if not protocol.parts:
        return _split_strangers(protocol, size, annotated, fold)
    parts = subjects_of(protocol, size, fold or "")
    training, validation, test = (annotated.take(np.isin(annotated.group, np.array(part, str))) for part in parts)
    return training, validation, test, len(parts[1]) / (len(parts[0]) + len(parts[1]))


def _split_strangers(
    protocol: Protocol, size: Size, annotated: Rows, fold: str | None
) -> tuple[Rows, Rows, Rows, float]:
    """Random splits, a fixed one for each fold; a copy with fewer rows is split in the published proportion."""
    count, number = len(annotated), protocol.folds.index(fold or "")
    order = np.random.default_rng(protocol.noise_seed + SPLIT_SEED + number).permutation(count)
    most = (size.train or TRAINING_ROWS) + (size.validation or 0)
    wanted = min(most, round(count * TRAINING_ROWS / MANUAL_ROWS))
    held_out = round(wanted * (size.validation or 0) / most)
    parts = (order[: wanted - held_out], order[wanted - held_out : wanted], order[wanted:][: size.test])
    training, validation, test = (annotated.take(np.sort(part)) for part in parts)
    return training, validation, test, held_out / max(1, wanted)


def _generated(protocol: Protocol, size: Size) -> Loaded:
    subjects = tuple(subject for _, part in protocol.parts for subject in part)
    wanted = sum(size.generated)
    posed = FaceSpecification(
        count=max(1, wanted // len(subjects)) * len(subjects) if subjects else wanted,
        size=size.generated_side or size.side,
        subjects=subjects,
        content="aus",
        au_names=protocol.names,
        au_rates=protocol.rates,
    )
    count = size.noisy if size.generated_noisy is None else size.generated_noisy
    drawn = faces(posed, protocol.noise_seed)
    strangers = faces(replace(posed, count=count or 0, subjects=()), protocol.noise_seed + 1)
    labels, reference = binary(drawn.aus), binary(strangers.aus)
    annotated = _declared(protocol, rows(drawn.images, labels, labels, group=drawn.subjects if subjects else None))
    wild = _wild(rows(strangers.images, np.zeros_like(reference), reference, first_id=len(labels)))
    return Loaded(annotated, wild, strangers)


def _real(protocol: Protocol, size: Size, data_root: Path, *, partial: bool) -> Loaded:
    packs = {name: open_for(protocol, name, data_root, partial=partial) for name in protocol.data}
    pack = packs[protocol.data[0]]
    labels = _columns(pack.labels, pack.names, protocol.names)
    annotated = _declared(protocol, rows(of_pool(pack.pixels, size.side), labels, labels, group=pack.group))
    wanted = pack.part != emotionet.AUTOMATIC
    if protocol.parts:
        frames = (size.train or 0) // sum(len(part) for _, part in protocol.parts)
        wanted &= _some_of_each(pack.group, frames, protocol) if frames else True
    annotated = annotated.take(wanted)
    if not len(annotated):
        raise BadInput(f"{data_root / protocol.data[0]}: no annotated row is left; see data verify {protocol.data[0]}")
    wild = annotated.take(np.zeros(0, dtype=np.int64))
    if size.noisy:
        wild = _wild(_noisy_set(protocol, size, packs, data_root))
    return Loaded(annotated, wild, None, joint_origin(packs.values()))


def _noisy_set(protocol: Protocol, size: Size, packs: dict, data_root: Path) -> Rows:  # type: ignore[type-arg]
    """Faces in the wild: those EmotioNet has automatic labels for, or any where a copy has none of them."""
    pack = packs["emotionet"]
    automatic = np.flatnonzero(pack.part == emotionet.AUTOMATIC)
    if not len(automatic) and protocol.noisy_labels_from:
        automatic = np.arange(len(pack))
    if not len(automatic):
        lack = f"{data_root / 'emotionet'}: no picture with automatic labels, which {protocol.name} trains on"
        raise BadInput(f"{lack}; ask its owners for them, or see data verify emotionet")
    chosen = automatic[fixed_choice(len(automatic), size.noisy, protocol.noise_seed)]
    nothing = np.zeros((len(chosen), len(protocol.names)), np.int8)
    given = nothing if protocol.noisy_labels_from else _columns(pack.labels[chosen], pack.names, protocol.names)
    first = sum(len(other) for other in packs.values())
    return rows(of_pool(pack.pixels, size.side)[chosen], given, nothing, first_id=first)


def _columns(labels: Array, names: Iterable[str], wanted: tuple[str, ...]) -> Array:
    """The wanted AUs' columns, in that order; unknown throughout where a data set does not code an AU."""
    place = {name: column for column, name in enumerate(names)}
    missing = np.zeros(len(labels), np.int8)
    return np.stack([labels[:, place[name]] if name in place else missing for name in wanted], axis=1).astype(np.int8)


def _some_of_each(group: Array, frames: int, protocol: Protocol) -> Array:
    """The same `frames` frames of every subject for everybody: bool [N]."""
    wanted = np.zeros(len(group), dtype=bool)
    for subject in np.unique(group):
        mine = np.flatnonzero(group == subject)
        wanted[mine[fixed_choice(len(mine), frames, protocol.noise_seed)]] = True
    return wanted


def _declared(protocol: Protocol, annotated: Rows) -> Rows:
    """Annotated rows as verified ones, where the protocol declares them clean."""
    return replace(annotated, verified=np.full(len(annotated), "verified" in protocol.offers))


def _wild(noisy: Rows) -> Rows:
    return replace(noisy, group=np.array([f"wild-{number}" for number in range(len(noisy))], str))
