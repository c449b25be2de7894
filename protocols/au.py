"""Action units with verified frames of known subjects and noisy faces in the wild."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from . import bp4d, emotionet_labels
from .base import Profile, Protocol
from .data import GENERATED, Array, CellData, Origin, Rows, Source, describe_noise, fixed_choice, join, rows
from .errors import BadInput
from .faces import Faces, FaceSpecification, automatic_coder, faces

WHERE_TO_ASK = {"bp4d": bp4d.HOME, "emotionet": emotionet_labels.ASK}
POSITIVE_INTENSITY = 2


@dataclass(frozen=True)
class Loaded:
    """Annotated frames of all subjects, and the faces the automatic coder labels."""

    annotated: Rows
    wild: Faces
    origin: Origin = GENERATED


def load(protocol: Protocol, profile: Profile, source: Source, data_root: Path, *, partial: bool) -> Loaded:
    """Draws the faces of a protocol once.

    Raises:
        BadInput: real data asked for and absent, or in a layout that is not read.
    """
    if source == "real":
        raise _not_on_real_data(protocol, data_root)
    subjects = tuple(subject for _, part in protocol.parts for subject in part)
    frames = max(1, (profile.size.train or 0) // len(subjects))
    posed = FaceSpecification(
        count=frames * len(subjects),
        size=profile.size.side,
        subjects=subjects,
        content="aus",
        au_names=protocol.names,
        au_rates=protocol.rates,
    )
    wild = replace(posed, count=profile.size.noisy or 0, subjects=())
    drawn = faces(posed, protocol.noise_seed)
    labels = binary(drawn.aus)
    annotated = rows(drawn.images, labels, labels, group=drawn.subjects)
    return Loaded(replace(annotated, verified=np.ones(len(labels), dtype=bool)), faces(wild, protocol.noise_seed + 1))


def cell(
    protocol: Protocol,
    profile: Profile,
    source: Source,
    loaded: Loaded,
    fold: str | None,
    level: float | None,
    draw: int,
) -> CellData:
    """The rows of one fold: the part named `fold` tests, the others train, beside the noisy faces of this draw."""
    parts = dict(protocol.parts)
    training = [subject for part, subjects in protocol.parts if part != fold for subject in subjects]
    held_out = fixed_choice(len(training), profile.size.validation or 0, protocol.noise_seed)
    group, subjects = loaded.annotated.group, np.array(training)
    clean = loaded.annotated.take(np.isin(group, np.delete(subjects, held_out)))
    noisy = rows(
        loaded.wild.images,
        automatic_coder(loaded.wild, protocol.noise_seed + draw),
        binary(loaded.wild.aus),
        first_id=len(loaded.annotated),
        group=np.char.add("wild-", np.arange(len(loaded.wild.images)).astype(str)),
    )
    kept = len(noisy) - len(noisy) * len(held_out) // len(training)
    train = join(clean, noisy.take(np.arange(kept)))
    validation = None
    if len(held_out):
        seen = loaded.annotated.take(np.isin(group, subjects[held_out]))
        validation = join(seen, noisy.take(np.arange(kept, len(noisy))))
    test = loaded.annotated.take(np.isin(group, parts[fold or ""]))
    return CellData(train, validation, test, describe_noise(protocol.noise, level, noisy.take(np.arange(kept))))


def binary(intensity: Array) -> Array:
    """Intensities 0-5 as labels in {-1, +1}: present from intensity 2 on."""
    return np.where(intensity >= POSITIVE_INTENSITY, 1, -1).astype(np.int8)


def _not_on_real_data(protocol: Protocol, data_root: Path) -> BadInput:
    for name in protocol.data:
        folder = data_root / name
        if not folder.is_dir():
            return BadInput(
                f"{protocol.name} needs {name}: looked for {folder}; ask for it at {WHERE_TO_ASK[name]}, "
                "or add --synthetic to run the same protocol on generated faces"
            )
    return BadInput(
        f"{protocol.name} does not run on real {' and '.join(protocol.data)} yet, though data verify reads them; "
        "add --synthetic to run the same protocol on generated faces"
    )
