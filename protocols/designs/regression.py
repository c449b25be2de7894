"""The protocols of regression checks: small ones that ask everything of a method within seconds.

Three train the small profiles' encoder and tell whether a method still learns; two train an encoder of one layer, in
which rounding hardly grows, and tell whether it still computes the same. They are no benchmark and in no list.
Generated faces, a few of them seen often and each time with another label, so that networks grow sure of themselves
and rules that wait for it act; some action unit labels are unknown. A method is judged on the faces that trained it,
by their right labels: how well it saw through the wrong ones.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ..base import Augmentation, Profile, Protocol, Recipe, Size
from ..definitions.action_units import BP4D_RATES, EMOTIONET_3SPLIT
from ..definitions.expressions import FER2013_REAL, FERPLUS_SYM
from ..errors import BadInput
from ..rows import Array, CellData, Source
from . import action_units
from .splits import Splits, generated, noisy_cell

REPEATS = 8  # rows of every expression's face, each with a label of its own
LEVEL = 0.2
UNKNOWN_SHARE = 0.15
UNKNOWN_SEED = 1_000_037  # keeps what is unknown apart from the other draws of a cell


def _recipe(of: Protocol, side: int, epochs: int, rate: float) -> Recipe:
    """The small recipe cut down further: the same sampler and schedule on small batches of small faces."""
    recipe = of.small.recipe
    return replace(
        recipe,
        epochs=epochs,
        batch_size=16,
        verified_per_batch=8 if recipe.sampler == "fixed" else 0,
        learning_rate=rate,
        augmentation=Augmentation(crop=side, pad=1, flip=0.5),
        sources=(),
    )


def _expressions(of: Protocol, side: int, epochs: int, rate: float, train: int) -> Profile:
    size = Size(train, None, train // 4, None, side=side, generated=(train, train // 4, 0))
    return Profile(_recipe(of, side, epochs, rate), size)


def _units(of: Protocol, side: int, epochs: int, rate: float, train: int) -> Profile:
    rows, others = train // 2, train // 8
    size = Size(rows, rows, others, others, side=side, generated=(rows + 2 * others, 0, 0))
    return Profile(_recipe(of, side, epochs, rate), size)


def _check(of: Protocol, name: str, smoke: Profile, small: Profile) -> Protocol:
    """A check protocol with the labels and the noise of another."""
    return replace(
        of,
        name=f"check-{name}",
        version=1,
        design="check",
        paper=small,
        small=small,
        smoke=smoke,
        title=f"regression check after {of.name}",
        about=(),
    )


CHECK_SINGLE = _check(
    replace(FERPLUS_SYM, levels=(LEVEL,)),
    "single",
    smoke=_expressions(FERPLUS_SYM, 32, 8, 4e-3, 128),
    small=_expressions(FERPLUS_SYM, 48, 12, 3e-3, 480),
)
CHECK_AU = _check(
    replace(EMOTIONET_3SPLIT, folds=EMOTIONET_3SPLIT.folds[:1], rates=BP4D_RATES),
    "au",
    smoke=_units(EMOTIONET_3SPLIT, 32, 8, 4e-3, 128),
    small=_units(EMOTIONET_3SPLIT, 48, 12, 3e-3, 480),
)
CHECK_REAL = _check(
    FER2013_REAL,
    "real",
    smoke=_expressions(FER2013_REAL, 32, 8, 4e-3, 128),
    small=_expressions(FER2013_REAL, 48, 12, 3e-3, 480),
)


def _one_layer(of: Protocol, name: str, profile: Profile, rate: float) -> Protocol:
    """The same faces and noise for an encoder of one layer, in small plain steps."""
    recipe = replace(profile.recipe, encoder="one-layer", optimizer="sgd", learning_rate=rate)
    return _check(of, name, *2 * (replace(profile, recipe=recipe),))


CHECK_STEPS = (
    _one_layer(CHECK_SINGLE, "single-steps", CHECK_SINGLE.smoke, 1e-3),
    _one_layer(CHECK_AU, "au-steps", CHECK_AU.smoke, 3e-4),
)
CHECK_PROTOCOLS = MappingProxyType(
    {protocol.name: protocol for protocol in (CHECK_SINGLE, CHECK_AU, CHECK_REAL, *CHECK_STEPS)}
)


def load(
    protocol: Protocol, profile: Profile, source: Source, data_root: Path, *, partial: bool
) -> action_units.Loaded | Splits:
    """Draws the faces once; raises BadInput for real ones, of which a check has none."""
    if source != "generated":
        raise BadInput(f"{protocol.name}: regression checks are made on generated faces only; use --synthetic")
    if protocol.kind == "multi":
        return action_units.load(protocol, profile, source, data_root, partial=partial)
    splits = generated(protocol, profile)
    size = len(splits.train)
    faces = splits.train.take(np.arange(size // REPEATS))
    repeated = replace(splits.train.take(np.arange(size) % len(faces)), sample_id=splits.train.sample_id)
    return replace(splits, train=repeated, test=faces)


def cell(
    protocol: Protocol, profile: Profile, source: Source, loaded: Any, fold: str | None, level: float | None, draw: int
) -> CellData:
    """The rows of a cell; of action units, auxiliary ones too, a share is unknown, as in pictures from the web."""
    seed = protocol.noise_seed + draw
    if protocol.kind == "single":
        whole = noisy_cell(protocol, source, loaded, level, draw)
        return replace(whole, train=replace(whole.train, aux=_forgotten(whole.train.aux, seed)))
    whole = action_units.cell(protocol, profile, source, loaded, fold, level, draw)
    return replace(whole, train=whole.train.with_given(_forgotten(whole.train.given, seed)), test=whole.train)


def _forgotten(labels: Array, seed: int) -> Array:
    """Action unit labels of which a share is unknown, whether their row is verified or not."""
    known = np.random.default_rng([seed, UNKNOWN_SEED]).random(labels.shape) >= UNKNOWN_SHARE
    return np.where(known, labels, 0).astype(labels.dtype)
