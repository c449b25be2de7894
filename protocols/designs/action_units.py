"""Design for action units: annotated frames, split by subject or at random, with or without a noisy set."""

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
from ..packs.prepare import Pack
from ..readers import emotionet
from ..rows import GENERATED, Array, CellData, Origin, Rows, Source, describe_noise, fixed_choice, join, rows
from .pack_access import joint_origin, open_for
from .splits import VALIDATION_SEED

POSITIVE_INTENSITY = 2
SPLIT_SEED = 1_000_033  # makes random splits independent of the choice of rows
MANUAL_ROWS, TRAINING_ROWS = 20_722, 15_000  # ReCoT §4.1: 15,000 of the 20,722 manual EmotioNet rows are for training


@dataclass(frozen=True)
class Loaded:
    """Annotated frames, and the noisy set.

    Attributes:
        annotated: verified where the protocol offers verified rows; `given` are the owners' labels.
        noisy: the rows of the noisy set; unlabelled where their given labels are simulated or predicted by a model.
        noisy_faces: the generated faces of `noisy`, which the automatic annotator labels in each draw; None for real
            ones.
        origin: the origin of the images.
    """

    annotated: Rows
    noisy: Rows
    noisy_faces: Faces | None = None
    origin: Origin = GENERATED


def load(protocol: Protocol, profile: Profile, source: Source, data_root: Path, *, partial: bool) -> Loaded:
    """Opens the packs of a protocol, or generates its faces.

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
    """The rows of one fold, with the label noise or noisy set of this draw."""
    noisy, seed = loaded.noisy, protocol.noise_seed + draw
    if loaded.noisy_faces is not None and not protocol.noisy_labels_from:
        noisy = noisy.with_given(automatic_annotator(loaded.noisy_faces, seed))
    training, held_out, test, share = _split(protocol, profile.size, loaded.annotated, fold)
    for part, purpose in ((training, "training"), (test, "test")):
        if not len(part):
            what = f"no annotated row for {purpose}; this copy lacks the subjects or rows of the fold"
            raise BadInput(f"{protocol.name}, {fold}: {what}")
    if "flip" in protocol.noise:
        rate, balanced = level or 0.0, protocol.noise.startswith("balanced")
        training = training.with_given(noise.au_flip(training.reference, rate, seed, balanced))
        held_out = held_out.with_given(noise.au_flip(held_out.reference, rate, seed + VALIDATION_SEED, balanced))
    kept = len(noisy) - int(len(noisy) * share)
    training_noisy, held_out_noisy = noisy.take(np.arange(kept)), noisy.take(np.arange(kept, len(noisy)))
    validation = join(held_out, held_out_noisy) if len(held_out) else None
    described = describe_noise(protocol.noise, level, training_noisy if len(noisy) else training)
    return CellData(join(training, training_noisy), validation, test, described)


def binary(intensity: Array) -> Array:
    """Labels in {-1, +1} of intensities 0-5: present from intensity 2 on."""
    return np.where(intensity >= POSITIVE_INTENSITY, 1, -1).astype(np.int8)


def subjects_of(protocol: Protocol, size: Size, fold: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The training, validation and test subjects of a fold."""
    part, _, sixth = fold.partition(".")
    others = [subject for name, subjects in protocol.parts if name != part for subject in subjects]
    test = dict(protocol.parts)[part]
    if sixth:  # tuning: test subjects are a share of the training subjects, and the test part is not used
        test = tuple(others[int(sixth) - 1 :: int(protocol.option("tune"))])
        others = [subject for subject in others if subject not in test]
    held_out = set(fixed_choice(len(others), size.validation or 0, protocol.noise_seed).tolist())
    training, validation = (
        tuple(subject for at, subject in enumerate(others) if (at in held_out) == chosen) for chosen in (False, True)
    )
    return training, validation, test


def _split(protocol: Protocol, size: Size, annotated: Rows, fold: str | None) -> tuple[Rows, Rows, Rows, float]:
    """Training, validation and test rows of a fold, and the share of validation in training and validation."""
    if not protocol.parts:
        return _split_at_random(protocol, size, annotated, fold)
    parts = subjects_of(protocol, size, fold or "")
    training, validation, test = (annotated.take(np.isin(annotated.group, np.array(part, str))) for part in parts)
    return training, validation, test, len(parts[1]) / (len(parts[0]) + len(parts[1]))


def _split_at_random(
    protocol: Protocol, size: Size, annotated: Rows, fold: str | None
) -> tuple[Rows, Rows, Rows, float]:
    """The fixed random split of a fold; a copy with fewer rows is split in the published proportion."""
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
    specification = FaceSpecification(
        count=max(1, wanted // len(subjects)) * len(subjects) if subjects else wanted,
        size=size.generated_side or size.side,
        subjects=subjects,
        content="aus",
        au_names=protocol.names,
        au_rates=protocol.rates,
    )
    count = size.noisy if size.generated_noisy is None else size.generated_noisy
    frames = faces(specification, protocol.noise_seed)
    others = faces(replace(specification, count=count or 0, subjects=()), protocol.noise_seed + 1)
    labels, reference = binary(frames.aus), binary(others.aus)
    group = frames.subjects if subjects else None
    annotated = _with_verified(protocol, rows(frames.images, labels, labels, group=group))
    noisy = _own_groups(rows(others.images, np.zeros_like(reference), reference, first_id=len(labels)))
    return Loaded(annotated, noisy, others)


def _real(protocol: Protocol, size: Size, data_root: Path, *, partial: bool) -> Loaded:
    packs = {name: open_for(protocol, name, data_root, partial=partial) for name in protocol.data}
    pack = packs[protocol.data[0]]
    labels = _columns(pack.labels, pack.names, protocol.names)
    annotated = _with_verified(protocol, rows(of_pool(pack.pixels, size.side), labels, labels, group=pack.group))
    chosen = pack.part != emotionet.AUTOMATIC
    if protocol.parts:
        frames = (size.train or 0) // sum(len(part) for _, part in protocol.parts)
        chosen &= frames_of_each(pack.group, frames, protocol.noise_seed) if frames else True
    annotated = annotated.take(chosen)
    if not len(annotated):
        raise BadInput(f"{data_root / protocol.data[0]}: no annotated row is left; see data verify {protocol.data[0]}")
    noisy = annotated.take(np.zeros(0, dtype=np.int64))
    if size.noisy:
        noisy = _own_groups(_noisy_set(protocol, size, packs, data_root))
    return Loaded(annotated, noisy, None, joint_origin(packs.values()))


def _noisy_set(protocol: Protocol, size: Size, packs: dict[str, Pack], data_root: Path) -> Rows:
    """EmotioNet pictures with automatic labels; any of its pictures if it has none and a model predicts the labels."""
    pack = packs["emotionet"]
    automatic = np.flatnonzero(pack.part == emotionet.AUTOMATIC)
    if not len(automatic) and protocol.noisy_labels_from:
        automatic = np.arange(len(pack))
    if not len(automatic):
        what = f"{data_root / 'emotionet'}: no picture with automatic labels, which {protocol.name} needs for training"
        raise BadInput(f"{what}; ask its owners for them, or see data verify emotionet")
    chosen = automatic[fixed_choice(len(automatic), size.noisy, protocol.noise_seed)]
    unknown = np.zeros((len(chosen), len(protocol.names)), np.int8)
    given = unknown if protocol.noisy_labels_from else _columns(pack.labels[chosen], pack.names, protocol.names)
    first = sum(len(other) for other in packs.values())
    return rows(of_pool(pack.pixels, size.side)[chosen], given, unknown, first_id=first)


def _columns(labels: Array, names: Iterable[str], wanted: tuple[str, ...]) -> Array:
    """The labels of the wanted AUs, in that order; unknown for AUs that the data set does not have."""
    place = {name: column for column, name in enumerate(names)}
    unknown = np.zeros(len(labels), np.int8)
    return np.stack([labels[:, place[name]] if name in place else unknown for name in wanted], axis=1).astype(np.int8)


def frames_of_each(group: Array, frames: int, seed: int) -> Array:
    """A number of frames of every subject, selected by the seed: bool [N]."""
    chosen = np.zeros(len(group), dtype=bool)
    for subject in np.unique(group):
        own = np.flatnonzero(group == subject)
        chosen[own[fixed_choice(len(own), frames, seed)]] = True
    return chosen


def _with_verified(protocol: Protocol, annotated: Rows) -> Rows:
    """The annotated rows, marked as verified if the protocol declares them clean."""
    return replace(annotated, verified=np.full(len(annotated), "verified" in protocol.offers))


def _own_groups(noisy: Rows) -> Rows:
    """The rows of the noisy set, each as its own group."""
    return replace(noisy, group=np.array([f"wild-{number}" for number in range(len(noisy))], str))
