"""The recipes protocols share, each value with its source."""

from __future__ import annotations

from dataclasses import replace

from .base import Augmentation, Recipe, Sources

OURS = "ours: the size of this profile"

COCURING: Recipe = Recipe(
    encoder="resnet18",
    weights="msceleb",
    epochs=40,
    batch_size=128,
    augmentation=Augmentation(
        crop=224,
        resize=224,
        flip=0.5,
        jitter=(0.25, 0.25, 0.25, 0.25),
        jitter_probability=0.5,
        translate=0.1,
        scale=(1.0, 1.25),
    ),
    optimizer="adam",
    learning_rate=1e-3,
    head_factor=10.0,
    schedule="exponential",
    decay=0.95,
    sampler="shuffle",
    max_steps=401,
    sources=(
        ("encoder", "Co-curing §4.2"),
        ("weights", "Co-curing §4.2: MS-Celeb-1M"),
        ("epochs", "authors' code, main_rafdb.py:51; the paper is silent"),
        ("batch_size", "Co-curing §4.2"),
        ("augmentation.crop, resize", "Co-curing §4.2"),
        ("augmentation.flip", "Co-curing §4.2; probability from the authors' code, main_rafdb.py:258"),
        (
            "augmentation.jitter, jitter_probability",
            "Co-curing §4.2; strengths and probability from the authors' code, main_rafdb.py:258-271",
        ),
        ("augmentation.translate, scale", "authors' code, main_rafdb.py:258-271; the paper names no affine map"),
        ("pixel noise", "in the authors' code only (variance 30, a quarter of the images)"),
        ("optimizer", "Co-curing §4.2"),
        ("learning_rate", "Co-curing §4.2"),
        ("head_factor", "Co-curing §4.2: 0.01 for the classification layer"),
        ("weight_decay", "authors' code, noiserobustfer.py:76-82: none"),
        ("schedule, decay", "Co-curing §4.2"),
        ("sampler", "authors' code, main_rafdb.py:298-303: shuffled, last incomplete batch dropped"),
        ("max_steps", "authors' code, noiserobustfer.py:157: 401 an epoch"),
    ),
)

RECOT: Recipe = Recipe(
    encoder="resnet34",
    weights="imagenet",
    epochs=25,
    batch_size=100,
    augmentation=Augmentation(
        crop=224, resize=240, flip=0.5, jitter=(0.4, 0.4, 0.4, 0.0), jitter_probability=1.0, grayscale=0.2
    ),
    optimizer="adam",
    learning_rate=1e-3,
    sampler="fixed",
    verified_per_batch=50,
    sources=(
        ("encoder", "ReCoT §4.2"),
        ("weights", "ReCoT §4.2"),
        ("epochs", "ReCoT §4.2; its appendix says 30"),
        ("batch_size", "ReCoT §4.2"),
        ("augmentation.crop, resize", "ReCoT §4.1"),
        ("augmentation.flip", "ReCoT §4.1; probability unstated: 0.5"),
        ("augmentation.jitter, jitter_probability", "ReCoT §4.1; strengths and probability unstated: ME-GraphAU's"),
        ("augmentation.grayscale", "ReCoT §4.1; probability unstated: 0.2"),
        ("optimizer", "ReCoT §4.2; betas unstated: Adam's own"),
        ("learning_rate", "ReCoT §4.2, constant"),
        ("schedule", "ReCoT §4.2: constant"),
        ("head_factor", "unstated: 1"),
        ("weight_decay", "unstated: 0"),
        ("sampler, verified_per_batch", "ReCoT §4.2: clean and noisy sampled at random; the ratio is unstated: half"),
    ),
)


def _relabelled(sources: Sources, changed: tuple[str, ...]) -> Sources:
    """The sources with those of the changed values replaced by "ours"."""
    kept = tuple((name, text) for name, text in sources if not any(name.startswith(part) for part in changed))
    return kept + tuple((name, OURS) for name in changed if name != "pixel noise")


SMALL_SIDE = 48


def at_small(recipe: Recipe) -> Recipe:
    """The recipe at the small profile: narrow ResNet from scratch on 48 px, 15 epochs of 4,000 rows on one CPU core.

    Flip and, where the paper crops, the crop's shift are kept; nothing else is augmented, so that a network of this
    size can fit wrong labels in 15 epochs, as a full-size one does in its own. Small batches make up for the few rows.
    The head learns at the encoder's rate, since there is no pre-trained part to protect.
    """
    paper = recipe.augmentation
    shift = (paper.resize or paper.crop) - paper.crop
    pad = round(shift / 2 * SMALL_SIDE / paper.crop)
    changed = (
        *("encoder", "weights", "epochs", "batch_size", "learning_rate", "head_factor", "max_steps"),
        *("augmentation.crop", "augmentation.resize", "augmentation.pad", "augmentation.jitter"),
        *("augmentation.translate", "augmentation.scale", "augmentation.grayscale", "pixel noise"),
    )
    return replace(
        recipe,
        encoder="small",
        weights="none",
        epochs=15,
        batch_size=32,
        verified_per_batch=16 if recipe.sampler == "fixed" else 0,
        learning_rate=3e-3,
        head_factor=1.0,
        max_steps=None,
        augmentation=Augmentation(crop=SMALL_SIDE, pad=pad, flip=paper.flip),
        sources=_relabelled(recipe.sources, changed),
    )


def at_smoke(recipe: Recipe) -> Recipe:
    """The small recipe cut down to seconds: it shows that everything runs, not how well."""
    return replace(at_small(recipe), epochs=3)
