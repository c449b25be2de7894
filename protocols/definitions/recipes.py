"""The training recipes shared by protocols, with the source of each value."""

from __future__ import annotations

from dataclasses import replace

from ..base import Augmentation, Recipe, Sources

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
        ("epochs", "authors' code, main_rafdb.py:51; not stated in the paper"),
        ("batch_size", "Co-curing §4.2"),
        ("augmentation.crop, resize", "Co-curing §4.2"),
        ("augmentation.flip", "Co-curing §4.2; probability from the authors' code, main_rafdb.py:258"),
        (
            "augmentation.jitter, jitter_probability",
            "Co-curing §4.2; strengths and probability from the authors' code, main_rafdb.py:258-271",
        ),
        ("augmentation.translate, scale", "authors' code, main_rafdb.py:258-271; the paper has no affine transform"),
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


COCURING_OVERSAMPLED = replace(
    COCURING,
    sampler="oversample",
    sources=(
        *(line for line in COCURING.sources if line[0] != "sampler"),
        (
            "sampler",
            "authors' code for AffectNet: weight 1 / count of the given class, with replacement; weights computed once",
        ),
    ),
)


def _with_source(recipe: Recipe, name: str, text: str) -> Sources:
    """The recipe's sources with one of them replaced."""
    return (*(line for line in recipe.sources if line[0] != name), (name, text))


RECOT_EMOTIONET = replace(RECOT, epochs=70, sources=_with_source(RECOT, "epochs", "ReCoT appendix, Table 1: EmotioNet"))
RECOT_SCRATCH = replace(
    RECOT_EMOTIONET,
    weights="none",
    sources=_with_source(RECOT_EMOTIONET, "weights", "ReCoT Table 4: without pre-training"),
)


def pooled(recipe: Recipe) -> Recipe:
    """The recipe with batches from the shuffled union of clean and noisy rows, in whatever ratio."""
    text = (
        "ReCoT §4.2: clean and noisy sampled at random; read as sampling from their union, as MLCR's loss also allows"
    )
    sources = _with_source(recipe, "sampler, verified_per_batch", text)
    return replace(recipe, sampler="shuffle", verified_per_batch=0, sources=sources)


def of_the_appendix(recipe: Recipe) -> Recipe:
    """ReCoT's recipe for BP4D and DISFA with the number of epochs of its appendix."""
    text = "ReCoT appendix, Table 1; its §4.2 says 25"
    return replace(recipe, epochs=30, sources=_with_source(recipe, "epochs", text))


def with_encoder(recipe: Recipe, encoder: str, source: str) -> Recipe:
    """The recipe with another encoder, and the source of this choice."""
    return replace(recipe, encoder=encoder, sources=_with_source(recipe, "encoder", source))


TOKENS, TOKEN_SIZE = 196, 768  # 14 x 14 positions; the width of the ViT that RHLS uses
TRANSFORMER_RATE = 4e-8  # RHLS §3.2: times batch size and number of queries, divided by the root of the width


def _rhls(convolutional_rate: float, aus: int) -> Recipe:
    """RHLS's recipe: 2 epochs, and learning rates of the transformer by its number of queries."""
    batch_size = 32
    rates = {part: TRANSFORMER_RATE * batch_size * queries / TOKEN_SIZE**0.5 for part, queries in (
        ("self_attention", TOKENS), ("cross_attention", aus)
    )}  # fmt: skip
    return Recipe(
        encoder="resnet50",
        weights="vggface2",
        epochs=2,
        batch_size=batch_size,
        augmentation=Augmentation(crop=224, resize=240, flip=0.5),
        optimizer="adamw",
        learning_rate=convolutional_rate,
        head_factor=rates["self_attention"] / convolutional_rate,
        weight_decay=0.01,
        schedule="exponential",
        decay=0.75,
        sampler="shuffle",
        neck="attention",
        neck_factors=tuple((part, rate / convolutional_rate) for part, rate in rates.items()),
        sources=(
            ("encoder, weights", "RHLS §3.2: ResNet-50 pre-trained on VGGFace2"),
            (
                "neck",
                "RHLS §3.2: 1x1 convolution to 768, self-attention over 196 tokens, a query and a layer for each AU",
            ),
            ("epochs, batch_size, optimizer, decay", "RHLS §3.2"),
            ("learning_rate", "RHLS §3.2: of the convolutional part"),
            ("neck_factors", "RHLS §3.2: 4e-8 x batch x queries / sqrt(768), divided by the convolutional rate"),
            ("head_factor", "unstated: as the self-attention"),
            ("weight_decay", "unstated: AdamW's default"),
            ("augmentation", "unstated: crop from 240 px and flip, as in the other action unit protocols"),
        ),
    )


RHLS_BP4D = _rhls(5e-5, 12)
RHLS_DISFA = _rhls(1e-5, 8)


def _with_ours(sources: Sources, changed: tuple[str, ...]) -> Sources:
    """The sources with those of the changed values replaced by "ours"."""
    kept = []
    for names, text in sources:
        owner, dot, rest = names.rpartition(".")
        unchanged = [part for part in rest.split(", ") if f"{owner}{dot}{part}" not in changed]
        if unchanged:
            kept.append((f"{owner}{dot}{', '.join(unchanged)}", text))
    return (*kept, *((name, OURS) for name in changed if name != "pixel noise"))


SMALL_SIDE = 48
SMALL_EPOCHS = 15


def at_small(recipe: Recipe, epochs: int = SMALL_EPOCHS) -> Recipe:
    """The recipe at the small profile: a narrow ResNet without pre-training on 48 px, epochs of some 4,000 rows.

    Of the augmentation only the flip and, where the paper crops, the shift of the crop are kept, so that a network of
    this size can fit wrong labels in 15 epochs, as a full-size one does in its own training. Small batches compensate
    for the few rows. The head has the learning rate of the encoder, which is not pre-trained. SGD keeps its learning
    rate. The milestones of a step schedule are scaled to the epochs; an exponential schedule keeps its decay per epoch.
    """
    paper = recipe.augmentation
    shift = (paper.resize or paper.crop) - paper.crop
    pad = max(0, round(shift / 2 * SMALL_SIDE / paper.crop))
    augmented = ("crop", "resize", "pad", "jitter", "jitter_probability", "translate", "scale", "grayscale")
    changed = (
        *("encoder", "weights", "epochs", "batch_size", "head_factor", "max_steps"),
        *(("learning_rate",) if recipe.optimizer != "sgd" else ()),
        *(("milestones",) if recipe.milestones else ()),
        *(("neck", "neck_factors", "decay") if recipe.neck else ()),
        *(f"augmentation.{name}" for name in augmented),
        "pixel noise",
    )
    return replace(
        recipe,
        encoder="small",
        weights="none",
        epochs=epochs,
        batch_size=32,
        verified_per_batch=16 if recipe.sampler == "fixed" else 0,
        learning_rate=recipe.learning_rate if recipe.optimizer == "sgd" else 3e-3,
        milestones=_scaled_milestones(recipe, epochs),
        head_factor=1.0,
        max_steps=None,
        neck="",
        neck_factors=(),
        # the same total decay as in RHLS's 2 epochs
        decay=recipe.decay ** (1 / (epochs - 1)) if recipe.neck else recipe.decay,
        augmentation=Augmentation(crop=SMALL_SIDE, pad=pad, flip=paper.flip),
        sources=_with_ours(recipe.sources, changed),
    )


TRANSFER_SIDE = 64
TRANSFER_EPOCHS = 9
TRANSFER_RATE = 3e-4
TRANSFER_RATE_SOURCE = (
    "ours: plain training on clean FER+ labels (ferplus-sym at 0, seed 0, 6 epochs, decay 0.6) reached 73.3 % with "
    "1e-4, 73.5 % with 3e-4, 70.7 % with 1e-3"
)
TRANSFER_DECAY_SOURCE = (
    "ours: with 9 epochs and 0.8 plain training reaches 75.4 % from clean labels, and falls from 68.2 to 65.1 % at "
    "40 % noise as it memorises; with 6 epochs and 0.6 it memorises 7 % of the wrong labels only"
)


def at_transfer(recipe: Recipe) -> Recipe:
    """The recipe at the profile transfer: dlib's face recognition network, fine-tuned on 64 px for 9 epochs.

    As in the papers, training starts from a network that knows faces and no expressions. Of the augmentation the flip
    is kept, with the shift of a crop and light colour jitter. The classifier learns ten times as fast as the encoder,
    and an exponential schedule ends at 17 % of the learning rate. SGD keeps its learning rate and schedule.
    """
    adam = recipe.optimizer != "sgd"
    changed = (
        *("encoder", "weights", "epochs", "batch_size", "head_factor", "max_steps"),
        *(("learning_rate", "schedule", "decay") if adam else ("milestones",)),
        *(f"augmentation.{name}" for name in ("crop", "resize", "pad", "jitter", "jitter_probability")),
        *(f"augmentation.{name}" for name in ("translate", "scale", "grayscale", "erase")),
        "pixel noise",
    )
    return replace(
        recipe,
        encoder="dlib29",
        weights="dlib",
        epochs=TRANSFER_EPOCHS,
        batch_size=64,
        learning_rate=TRANSFER_RATE if adam else recipe.learning_rate,
        schedule="exponential" if adam else recipe.schedule,
        decay=0.8 if adam else recipe.decay,
        milestones=_scaled_milestones(recipe, TRANSFER_EPOCHS),
        head_factor=10.0,
        max_steps=None,
        augmentation=Augmentation(
            crop=TRANSFER_SIDE,
            resize=TRANSFER_SIDE,
            pad=3,
            flip=recipe.augmentation.flip,
            jitter=(0.2, 0.2, 0.2, 0.0),
            jitter_probability=0.5,
        ),
        sources=_transfer_sources(recipe, changed) if adam else _with_ours(recipe.sources, changed),
    )


def _transfer_sources(recipe: Recipe, changed: tuple[str, ...]) -> Sources:
    """The sources at this profile, with the curves that chose learning rate and decay."""
    kept = tuple(line for line in _with_ours(recipe.sources, changed) if line[0] not in ("learning_rate", "decay"))
    return (*kept, ("learning_rate", TRANSFER_RATE_SOURCE), ("decay", TRANSFER_DECAY_SOURCE))


def at_smoke(recipe: Recipe) -> Recipe:
    """The small recipe with 3 epochs, for tests of seconds that everything runs."""
    return replace(at_small(recipe), epochs=3, milestones=_scaled_milestones(recipe, 3))


def _scaled_milestones(recipe: Recipe, epochs: int) -> tuple[int, ...]:
    """The milestones scaled to another number of epochs."""
    return tuple(round(milestone * epochs / recipe.epochs) for milestone in recipe.milestones)


def at_profile(recipe: Recipe, profile: str, epochs: int) -> Recipe:
    """The recipe of a method's own paper at a profile, where small trains for as many epochs as the protocol does."""
    if profile == "paper":
        return recipe
    if profile == "transfer":
        return at_transfer(recipe)
    return at_smoke(recipe) if profile == "smoke" else at_small(recipe, epochs)
