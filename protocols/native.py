"""Recipes of methods' own papers and code, for `--recipe native`: each makes a column of its own.

Only methods whose training is stated well enough are here. What a source leaves open is taken from the shared
recipe and marked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from .base import Protocol, Recipe
from .recipes import (
    COCURING,
    COCURING_OVERSAMPLED,
    RECOT,
    RECOT_EMOTIONET,
    RECOT_SCRATCH,
    RHLS_BP4D,
    RHLS_DISFA,
)

SHARED = "unstated: as the shared recipe"

SCN = replace(
    COCURING,
    weights="imagenet",
    epochs=70,
    batch_size=64,
    learning_rate=1e-3,
    head_factor=1.0,
    weight_decay=1e-4,
    decay=0.9,
    max_steps=None,
    sources=(
        ("epochs, batch_size, learning_rate, weight_decay, decay", "authors' code, src/train.py:22-32,194,202"),
        ("weights", "authors' code: ImageNet"),
        ("augmentation", SHARED),
    ),
)
ULC_AG = replace(
    COCURING,
    batch_size=512,
    optimizer="sgd",
    learning_rate=0.01,
    head_factor=1.0,
    weight_decay=1e-4,
    schedule="steps",
    decay=0.1,
    milestones=(10, 20),
    max_steps=None,
    sources=(
        ("batch_size, learning_rate, milestones", "ULC-AG §III-B"),
        ("weights", "ULC-AG §III-B: MS-Celeb-1M"),
        ("optimizer, weight_decay", "unstated: SGD with momentum 0.9 and 1e-4"),
        ("epochs", "unstated: 40"),
        ("graph learning rate", "ULC-AG §III-B says 0.005, which may be a weight decay: not kept apart here"),
        ("augmentation", SHARED),
    ),
)
EAC = replace(
    COCURING,
    epochs=60,
    batch_size=32,
    learning_rate=2e-4,
    head_factor=1.0,
    weight_decay=1e-4,
    decay=0.9,
    max_steps=None,
    sources=(
        ("epochs, batch_size, learning_rate, weight_decay, decay", "authors' code, src/main.py:31-36,168-169"),
        ("augmentation", SHARED),
    ),
)
RUL = replace(EAC, batch_size=64, sources=(("all but augmentation", "authors' code, src/main.py"), EAC.sources[-1]))
NCT = replace(
    COCURING,
    weights="none",
    epochs=200,
    optimizer="sgd",
    learning_rate=0.1,
    head_factor=1.0,
    weight_decay=5e-4,
    schedule="steps",
    decay=0.2,
    milestones=(60, 120, 160),
    max_steps=None,
    sources=(("all but encoder and augmentation", "authors' code, train_nct.py:29-47"), ("augmentation", SHARED)),
)
MIXUP = replace(
    NCT,
    weight_decay=1e-4,
    decay=0.1,
    milestones=(100, 150),
    sources=(("all but encoder and augmentation", "authors' code, train.py:26-40,220-228"), ("augmentation", SHARED)),
)
MLCR = replace(
    RECOT,
    epochs=50,
    augmentation=replace(RECOT.augmentation, jitter=(0.0, 0.0, 0.0, 0.0), grayscale=0.0),
    sources=(
        ("epochs", "authors' code: 30, then 20 for the graph, whose number is unstated"),
        ("augmentation", "authors' code: crop and flip"),
        ("learning_rate, weight_decay", "authors' code, main.py"),
        ("batch_size, verified_per_batch", "authors' code has 10 a batch; unstated share: as ReCoT"),
    ),
)

NATIVE: Mapping[str, Recipe] = MappingProxyType(
    {
        "cocuring": COCURING,
        "eac": EAC,
        "mixup": MIXUP,
        "mlcr": MLCR,
        "nct": NCT,
        "recot": RECOT,
        "rul": RUL,
        "scn": SCN,
        "ulc_ag": ULC_AG,
    }
)
_RHLS = frozenset({"rhls", "label_smoothing", "frequency_weighting"})


def native_recipe(method: str, protocol: Protocol) -> Recipe | None:
    """The recipe of a method's own paper on a protocol, or None where there is none; variants train as their method.

    Where a paper trains differently by data set, the protocol's is taken: ReCoT's 70 epochs on EmotioNet, Co-curing's
    sampling by class on AffectNet, RHLS's learning rate on DISFA.
    """
    base, data = method.partition(":")[0], protocol.data[0] if protocol.data else ""
    if base in _RHLS and protocol.kind == "multi":
        return RHLS_DISFA if data == "disfa" else RHLS_BP4D
    if base == "recot" and data == "emotionet":
        return RECOT_SCRATCH if protocol.paper.recipe.weights == "none" else RECOT_EMOTIONET
    if base == "cocuring" and data == "affectnet":
        return COCURING_OVERSAMPLED
    return NATIVE.get(base)
