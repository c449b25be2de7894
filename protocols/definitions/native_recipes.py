"""Training recipes of the methods' own papers and code, for `--recipe native`; their results are reported separately.

Only methods whose training is sufficiently specified are included. Unspecified values are those of the shared recipe,
and marked as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from ..base import Augmentation, Protocol, Recipe
from .recipes import (
    COCURING,
    COCURING_OVERSAMPLED,
    RECOT,
    RECOT_EMOTIONET,
    RECOT_SCRATCH,
    RHLS_BP4D,
    RHLS_DISFA,
)

NOISE = ("pixel noise", "authors' code, with a quarter or half of the images: left out")
ERASED = Augmentation(crop=224, resize=224, flip=0.25, erase=0.5)
PADDED = Augmentation(crop=224, resize=224, pad=28, flip=0.5)

SCN = replace(
    COCURING,
    weights="imagenet",
    epochs=70,
    batch_size=64,
    augmentation=ERASED,
    learning_rate=1e-3,
    head_factor=1.0,
    weight_decay=1e-4,
    decay=0.9,
    max_steps=None,
    sources=(
        ("encoder", "SCN: ResNet-18"),
        ("epochs, batch_size, weight_decay, schedule, decay", "authors' code, src/train.py:22-32,194,202"),
        ("optimizer, learning_rate", "authors' code, src/train.py:194: Adam, 1e-3; --lr applies to SGD only"),
        ("head_factor, sampler, max_steps", "authors' code, src/train.py: none"),
        ("weights", "authors' code: ImageNet"),
        ("augmentation", "authors' code, src/train.py: flip or pixel noise with probability 1/2, erasing with 1/2"),
        NOISE,
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
        ("encoder", "ULC-AG §III-B: ResNet-18"),
        ("batch_size, learning_rate, schedule, decay, milestones", "ULC-AG §III-B"),
        ("weights", "ULC-AG §III-B: MS-Celeb-1M"),
        ("optimizer, momentum, weight_decay", "unstated: SGD with momentum 0.9 and 1e-4"),
        ("epochs", "unstated: 40"),
        ("graph learning rate", "ULC-AG §III-B says 0.005, which may be a weight decay: not distinguished here"),
        ("augmentation", "unstated: as in the shared recipe"),
    ),
)
EAC = replace(
    COCURING,
    epochs=60,
    batch_size=32,
    augmentation=Augmentation(crop=224, resize=224, flip=0.0),
    learning_rate=2e-4,
    head_factor=1.0,
    weight_decay=1e-4,
    decay=0.9,
    max_steps=None,
    sources=(
        ("encoder, weights", "authors' README: ResNet-18 of MS-Celeb-1M; their main.py has ResNet-50 of VGGFace2"),
        ("epochs, batch_size, weight_decay, schedule, decay, optimizer", "authors' code, src/main.py"),
        ("learning_rate", "authors' README for ResNet-18; main.py has 1e-4 for ResNet-50"),
        ("head_factor, sampler, max_steps", "authors' code, src/main.py: none"),
        ("augmentation", "authors' code, src/main.py, dataset.py; mirroring and erasing are part of the method"),
        NOISE,
    ),
)
RUL = replace(
    EAC,
    batch_size=64,
    augmentation=ERASED,
    head_factor=10.0,
    sources=(
        ("encoder, weights", "authors' code, src/main.py: ResNet-18 of MS-Celeb-1M"),
        ("epochs, batch_size, weight_decay, schedule, decay, optimizer", "authors' code, src/main.py"),
        ("learning_rate", "authors' code, src/main.py: 2e-4"),
        (
            "head_factor",
            "authors' code, src/main.py: classifier 2e-3; here also the two branches, which have 2e-4 there",
        ),
        ("sampler, max_steps", "authors' code, src/main.py: none"),
        (
            "augmentation",
            "authors' code, src/dataset.py, main.py: flip or pixel noise with probability 1/2, erasing with 1/2",
        ),
        NOISE,
    ),
)
MAN = replace(
    COCURING,
    epochs=100,
    augmentation=replace(COCURING.augmentation, erase=0.5),
    head_factor=1.0,
    weight_decay=1e-4,
    decay=0.9,
    max_steps=None,
    sources=(
        ("encoder, weights", "authors' code: ResNet-18 of MS-Celeb-1M, for both networks"),
        ("epochs, weight_decay, schedule, decay", "authors' code, main.py:283-284,337"),
        ("optimizer, learning_rate", "authors' code, main.py:283-284: Adam at its default; --lr is not used"),
        ("batch_size", "authors' code, main.py:283-284,337"),
        ("head_factor, max_steps", "authors' code, main.py: none"),
        ("sampler", "as in the shared recipe"),
        ("augmentation", "authors' code: Co-curing's, then random erasing; the strong view is the usual one"),
    ),
)
NCT = replace(
    COCURING,
    weights="none",
    epochs=200,
    augmentation=PADDED,
    optimizer="sgd",
    learning_rate=0.1,
    head_factor=1.0,
    weight_decay=5e-4,
    schedule="steps",
    decay=0.2,
    milestones=(60, 120, 160),
    max_steps=None,
    sources=(
        ("encoder", "the shared recipe's; the authors' PreActResNet-18 is for 32 px"),
        ("epochs, batch_size, optimizer, learning_rate, momentum, weight_decay", "authors' code, train_nct.py:29-47"),
        ("schedule, decay, milestones, weights", "authors' code, train_nct.py:29-47"),
        ("head_factor, sampler, max_steps", "authors' code, train_nct.py: none"),
        ("augmentation", "authors' code, train_nct.py: 32 px padded by 4, random flip; here the same share of 224 px"),
    ),
)
MIXUP = replace(
    NCT,
    weight_decay=1e-4,
    decay=0.1,
    milestones=(100, 150),
    sources=(
        ("encoder", "the shared recipe's; the authors' ResNet-18 is for 32 px"),
        ("epochs, batch_size, optimizer, learning_rate, momentum, weight_decay", "authors' code, train.py:26-40"),
        ("schedule, decay, milestones, weights", "authors' code, train.py:220-228"),
        ("head_factor, sampler, max_steps", "authors' code, train.py: none"),
        ("augmentation", "authors' code, train.py: 32 px padded by 4, random flip; here the same share of 224 px"),
    ),
)
RESUP = replace(
    COCURING,
    epochs=30,
    batch_size=96,
    augmentation=Augmentation(crop=224, resize=224, flip=0.5, erase=0.5),
    learning_rate=2e-4,
    head_factor=1.0,
    schedule="steps",
    decay=0.1,
    milestones=(10, 20),
    max_steps=None,
    sources=(
        ("encoder", "the shared recipe's"),
        (
            "weights",
            "authors' code, model.py: MS-Celeb-1M; their second network's are ImageNet's, here both have these",
        ),
        ("epochs, batch_size, optimizer, learning_rate, weight_decay", "authors' code, main.py:19-34,80-88"),
        ("schedule, decay, milestones", "authors' code, main.py:80-88"),
        ("head_factor, sampler, max_steps", "authors' code, main.py: none"),
        ("augmentation", "authors' code, main.py:50-55: flip, and erasing of 2 to 25 % with 1/2"),
        ("padded crop", "authors' code, main.py:50-55, of a fifth of the images: left out"),
    ),
)
MLCR = replace(
    RECOT,
    epochs=50,
    batch_size=10,
    verified_per_batch=5,
    augmentation=replace(RECOT.augmentation, jitter=(0.0, 0.0, 0.0, 0.0), grayscale=0.0),
    sources=(
        ("encoder, weights", "authors' code, net/resnet_multi_view.py: ResNet-34 of ImageNet"),
        ("epochs", "authors' code: 30; then 20 for the graph, whose number is unstated"),
        ("augmentation", "authors' code: crop and flip; normalised by ImageNet's channel means, not by its own"),
        ("optimizer", "unstated: Adam, as ReCoT"),
        ("learning_rate, schedule, weight_decay", "authors' code, main.py"),
        ("head_factor, max_steps", "authors' code, main.py: none"),
        ("batch_size", "authors' code, main.py:18: 10"),
        ("sampler, verified_per_batch", "unstated: half of a batch, as ReCoT"),
    ),
)
NLA = replace(
    COCURING,
    epochs=60,
    batch_size=32,
    augmentation=Augmentation(crop=224, resize=224, flip=0.5, erase=0.5, erase_area=(0.02, 0.3)),
    learning_rate=1e-4,
    head_factor=1.0,
    weight_decay=1e-4,
    decay=0.9,
    max_steps=None,
    sources=(
        ("encoder, weights", "authors' code, main_rafdb.py: ResNet-18 of MS-Celeb-1M"),
        ("epochs, batch_size", "authors' code, main_rafdb.py:28-34"),
        ("optimizer, learning_rate, head_factor, weight_decay", "authors' code, main_rafdb.py:115: Adam, 1e-4 for all"),
        ("schedule, decay", "authors' code, main_rafdb.py:116: times 0.9 after every epoch"),
        ("sampler, max_steps", "authors' code, main_rafdb.py: none"),
        (
            "augmentation",
            "authors' code, main_rafdb.py:78-85: flip with probability 1/2, erasing of 2 to 30 % with 1/2; mirroring "
            "for the second view is part of the method",
        ),
        NOISE,
    ),
)
CORES = replace(
    NCT,
    epochs=100,
    batch_size=64,
    momentum=0.0,
    weight_decay=0.0,
    decay=0.1,
    milestones=(50,),
    sources=(
        ("encoder", "the shared recipe's; the authors' ResNet is for 32 px"),
        ("epochs, batch_size, schedule, decay, milestones", "authors' code, phase1.py: 0.1 for 50 epochs, 0.01 for 50"),
        (
            "optimizer, learning_rate, momentum, weight_decay",
            "authors' code, phase1.py: SGD, 0.1, no momentum, no decay",
        ),
        (
            "learning_rate divided by 1 + β",
            "authors' code, phase1.py:45-47: the variant cores:divided divides the loss",
        ),
        ("weights", "unstated: none, as the authors train on CIFAR"),
        ("head_factor, sampler, max_steps", "authors' code, phase1.py: none"),
        ("augmentation", "unstated: 32 px padded by 4, random flip, as is usual on CIFAR; the same share of 224 px"),
    ),
)
HLC = replace(
    RECOT,
    encoder="resnet50",
    epochs=30,
    batch_size=128,
    augmentation=Augmentation(crop=224, resize=224, flip=0.5, scale=(1.0, 2.0)),
    learning_rate=5e-5,
    sampler="shuffle",
    verified_per_batch=0,
    sources=(
        ("encoder, weights", "authors' code, gcn_ours.py: ResNet-50 of ImageNet"),
        ("epochs, batch_size", "authors' code, main.py:36, 49"),
        ("optimizer, learning_rate", "authors' code, main.py:320: Adam, 5e-5; --optimizer and --momentum do nothing"),
        ("weight_decay", "authors' code, main.py:320: none; --weight_decay does nothing"),
        ("schedule, head_factor", "authors' code, main.py:320: one constant learning rate"),
        (
            "sampler, verified_per_batch",
            "authors' code, main.py:297: each row once an epoch, in fixed order; here shuffled",
        ),
        (
            "augmentation",
            "authors' code, main.py:73: flip, and crops of 1, .875, .75, .66 or .5 of the side at 13 places; here "
            "zooms of 1 to 2 at the centre",
        ),
        ("gradient clipping", "authors' code, main.py:183: norm 10: left out"),
    ),
)
NOISE_RATE_REWEIGHTING = replace(
    HLC,
    epochs=40,
    sources=(
        ("encoder, weights", "authors' code: ResNet-50 of ImageNet"),
        ("epochs", "authors' code, script/*.sh: 20 of warm-up and 20 of reweighting on VOC; on COCO 30 and 30"),
        ("batch_size, optimizer, learning_rate, weight_decay", "authors' code, script/*.sh: 128, Adam, 5e-5, none"),
        ("schedule, head_factor, sampler, verified_per_batch", "authors' code: none"),
        ("augmentation", "unstated: as HLC, which trains on the same data sets"),
        ("gradient clipping", "authors' code: norm 10 during the warm-up: left out"),
    ),
)

NATIVE: Mapping[str, Recipe] = MappingProxyType(
    {
        "cocuring": COCURING,
        "cores:divided": CORES,  # its authors divide the learning rate by 1 + β, here the variant the loss
        "eac": EAC,
        "hlc": HLC,
        "man": MAN,
        "mixup": MIXUP,
        "mlcr": MLCR,
        "nct": NCT,
        "nla": NLA,
        "noise_rate_reweighting": NOISE_RATE_REWEIGHTING,
        "recot": RECOT,
        "resup": RESUP,
        "rul": RUL,
        "scn": SCN,
        "ulc_ag": ULC_AG,
    }
)
_RHLS = frozenset({"rhls", "label_smoothing", "frequency_weighting"})


def native_recipe(method: str, protocol: Protocol) -> Recipe | None:
    """The recipe of a method's own paper on a protocol, or None if there is none; variants use that of their method.

    A recipe that one variant alone trains by, since the method itself would not train as its authors do, is no recipe
    of the method or of its other variants: see `variants_with_a_recipe`.

    Where a paper trains differently by data set, the recipe is that for the protocol's data set: ReCoT's 70 epochs on
    EmotioNet, Co-curing's sampling by class on AffectNet, RHLS's learning rate on DISFA.
    """
    base, data = method.partition(":")[0], protocol.data[0] if protocol.data else ""
    if base in _RHLS and protocol.kind == "multi":
        return RHLS_DISFA if data == "disfa" else RHLS_BP4D
    if base == "recot" and data == "emotionet":
        return RECOT_SCRATCH if protocol.paper.recipe.weights == "none" else RECOT_EMOTIONET
    if base == "cocuring" and data == "affectnet":
        return COCURING_OVERSAMPLED
    return NATIVE.get(method) or NATIVE.get(base)


def variants_with_a_recipe(method: str) -> tuple[str, ...]:
    """The variants, as "name:variant", that alone have a recipe where their method, named without one, has none."""
    return tuple(name for name in NATIVE if name.startswith(f"{method}:"))
