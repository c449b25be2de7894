"""Protocols of regression checks, which exercise all parts of a method within seconds.

Four train the encoder of the small profiles and test that a method still learns; three train an encoder of one layer,
in which rounding errors hardly grow, and test that a method still computes the same. One of either kind is for methods
that learn from people's votes. They are not part of the benchmark.
A few generated faces are repeated many times with different labels, so that networks become confident and rules that
depend on confidence are applied; some action unit labels are unknown. Methods are evaluated on their training faces
with the reference labels, i.e. on their robustness to the wrong labels.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ..base import Augmentation, Profile, Protocol, Recipe, Size
from ..definitions.action_units import BP4D_RATES, EMOTIONET_3SPLIT
from ..definitions.expressions import FER2013_REAL, FERPLUS_ANNOTATOR, FERPLUS_SYM
from ..errors import BadInput
from ..rows import Array, CellData, Rows, Source
from . import action_units, splits
from .cremad import simulated_annotators
from .splits import Splits

REPEATS = 8  # rows of each face in expression checks, with independent given labels
LEVEL = 0.2
UNKNOWN_SHARE = 0.15
UNKNOWN_SEED = 1_000_037  # makes the selection of unknown labels independent of the other random numbers of a cell


def _recipe(of: Protocol, side: int, epochs: int, rate: float) -> Recipe:
    """The small recipe with the same sampler and schedule on smaller batches of smaller faces."""
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
    """The check protocol with the labels and noise of another protocol."""
    return replace(
        of,
        name=f"check-{name}",
        version=1,
        design="check",
        paper=small,
        transfer=None,
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
CHECK_PEOPLE = _check(
    FERPLUS_ANNOTATOR,
    "people",
    smoke=_expressions(FERPLUS_ANNOTATOR, 32, 8, 4e-3, 128),
    small=_expressions(FERPLUS_ANNOTATOR, 48, 12, 3e-3, 480),
)


def _one_layer(of: Protocol, name: str, profile: Profile, rate: float) -> Protocol:
    """The same faces and noise for an encoder of one layer, trained by SGD with a small learning rate."""
    recipe = replace(profile.recipe, encoder="one-layer", optimizer="sgd", learning_rate=rate)
    return _check(of, name, *2 * (replace(profile, recipe=recipe),))


CHECK_STEPS = (
    _one_layer(CHECK_SINGLE, "single-steps", CHECK_SINGLE.smoke, 1e-3),
    _one_layer(CHECK_AU, "au-steps", CHECK_AU.smoke, 3e-4),
)
CHECK_PEOPLE_STEPS = _one_layer(CHECK_PEOPLE, "people-steps", CHECK_PEOPLE.smoke, 1e-3)
_OF_PEOPLE = (CHECK_PEOPLE, CHECK_PEOPLE_STEPS)
CHECK_PROTOCOLS = MappingProxyType(
    {protocol.name: protocol for protocol in (CHECK_SINGLE, CHECK_AU, CHECK_REAL, *CHECK_STEPS, *_OF_PEOPLE)}
)


def is_checked_on(protocol: Protocol, needs: frozenset[str]) -> bool:
    """Whether a check is for a method with such needs: those of people's votes are for those that learn from them."""
    return protocol not in _OF_PEOPLE or bool(needs & {"votes", "annotators"})


def load(
    protocol: Protocol, profile: Profile, source: Source, data_root: Path, *, partial: bool
) -> action_units.Loaded | Splits:
    """Generates the faces; raises BadInput for real ones, which checks do not use."""
    if source != "generated":
        raise BadInput(f"{protocol.name}: regression checks are made on generated faces only; use --synthetic")
    if protocol.kind == "multi":
        return action_units.load(protocol, profile, source, data_root, partial=partial)
    found = splits.generated(protocol, profile)
    size = len(found.train)
    faces = found.train.take(np.arange(size // REPEATS))
    face, by_row = np.arange(size) % len(faces), None
    if found.votes is not None:
        faces = _asked(faces, found.votes[: len(faces)], protocol.noise_seed)
        by_row = np.concatenate([faces.votes[face, : len(protocol.names)], found.votes[size:]])
    repeated = replace(faces.take(face), sample_id=found.train.sample_id)
    return replace(found, train=repeated, test=faces, votes=by_row)


def _asked(faces: Rows, votes: Array, seed: int) -> Rows:
    """The faces with the people who gave so many votes [N, C]; a share of them cannot tell, and gives no label."""
    told = simulated_annotators(np.stack([np.repeat(np.arange(len(row)), row) for row in votes]), seed)
    cannot = np.random.default_rng([seed, UNKNOWN_SEED]).random(told.shape[:2]) < UNKNOWN_SHARE
    annotators = np.where(cannot[:, :, None], -1, told)
    counted = [(annotators[:, :, 1] == label).sum(axis=1) for label in range(votes.shape[1])]
    nobody = np.zeros(len(votes), np.int64)
    return replace(faces, annotators=annotators, votes=np.stack([*counted, cannot.sum(axis=1), nobody], axis=1))


def cell(
    protocol: Protocol, profile: Profile, source: Source, loaded: Any, fold: str | None, level: float | None, draw: int
) -> CellData:
    """The rows of a cell; a share of the AU labels, also of auxiliary ones, is unknown."""
    seed = protocol.noise_seed + draw
    if protocol.kind == "single":
        whole = splits.cell(protocol, profile, source, loaded, fold, level, draw)
        return replace(whole, train=replace(whole.train, aux=_partly_unknown(whole.train.aux, seed)))
    whole = action_units.cell(protocol, profile, source, loaded, fold, level, draw)
    return replace(whole, train=whole.train.with_given(_partly_unknown(whole.train.given, seed)), test=whole.train)


def _partly_unknown(labels: Array, seed: int) -> Array:
    """The AU labels with a random share set to unknown, in verified rows as well."""
    known = np.random.default_rng([seed, UNKNOWN_SEED]).random(labels.shape) >= UNKNOWN_SHARE
    return np.where(known, labels, 0).astype(labels.dtype)
