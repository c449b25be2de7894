"""The protocols for action units (multi-label)."""

from __future__ import annotations

from dataclasses import replace

from ..base import Profile, Protocol, Recipe, Size, Sources
from ..labels import BP4D_AUS, BP4D_PARTS, DISFA_AUS, DISFA_PARTS, EMOTIONET_AUS
from .recipes import (
    RECOT,
    RECOT_EMOTIONET,
    RECOT_SCRATCH,
    RHLS_BP4D,
    RHLS_DISFA,
    at_small,
    at_smoke,
    of_the_appendix,
    pooled,
    with_encoder,
)

BP4D_RATES = (0.211, 0.171, 0.203, 0.462, 0.549, 0.594, 0.562, 0.466, 0.169, 0.344, 0.165, 0.152)
DISFA_RATES = (0.050, 0.043, 0.152, 0.079, 0.042, 0.129, 0.277, 0.088)
# Rough estimates, for generated faces only, since EmotioNet's rates are not published.
EMOTIONET_RATES = (0.10, 0.07, 0.15, 0.06, 0.30, 0.06, 0.40, 0.06, 0.04, 0.45, 0.15, 0.08)

# Epochs of the small profile, after which the median method no longer gains a point of F1 in five epochs.
EPOCHS = 30
DISFA_EPOCHS = 40

PARTS = ("part1", "part2", "part3")
LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4)
LABELLED_BY_MODEL: Sources = (
    (
        "noise",
        "noisy labels are predicted by supervised:clean, trained on the fold's verified frames with the same seed",
    ),
    ("validation", "small and smoke: three training subjects and the same share of the noisy faces; paper: none"),
)
TEST: Sources = (("test", "annotated frames of the part after which the fold is named; each subject is in one part"),)
SIZES: Sources = (("sizes", "frames of all subjects; noisy faces; subjects held out for validation"),)


def _frames(total: int, noisy: int, validation: int) -> Size:
    """The size with a number of frames, for real or generated faces."""
    return Size(train=total, noisy=noisy, validation=validation, generated=(total, 0, 0))


def _paper(recipe: Recipe, frames: int, noisy: int) -> Profile:
    """The paper profile: all real frames, or a number of generated frames."""
    size = Size(noisy=noisy, validation=0, side=240, generated=(frames, 0, 0), generated_side=128)
    return Profile(recipe, replace(size, generated_noisy=8_000) if noisy else size)


BP4D_3FOLD = Protocol(
    name="bp4d-3fold",
    version=3,
    design="au",
    kind="multi",
    names=BP4D_AUS,
    data=("bp4d", "emotionet"),
    metric="f1",
    noise="labelled by a teacher",
    noise_seed=0,
    noisy_labels_from="supervised:clean",
    offers=frozenset({"verified"}),
    folds=PARTS,
    parts=BP4D_PARTS,
    rates=BP4D_RATES,
    paper=_paper(RECOT, 12_300, 50_000),
    small=Profile(at_small(RECOT, EPOCHS), _frames(2_952, 2_000, 3)),
    smoke=Profile(at_smoke(RECOT), _frames(328, 160, 3)),
    options=(("side", "240"),),
    title="BP4D, three subject-exclusive folds, with a noisy set",
    about=(
        ("training", "annotated frames of two parts (verified), and 50,000 EmotioNet faces"),
        *LABELLED_BY_MODEL,
        *TEST,
        *SIZES,
        ("alignment", "five landmarks to 240 px"),
        ("papers", "ReCoT Table 2"),
    ),
)

DISFA_3FOLD = replace(
    BP4D_3FOLD,
    name="disfa-3fold",
    version=2,
    names=DISFA_AUS,
    data=("disfa", "emotionet"),
    parts=DISFA_PARTS,
    rates=DISFA_RATES,
    paper=_paper(RECOT, 12_150, 50_000),
    small=Profile(at_small(RECOT, DISFA_EPOCHS), _frames(2_943, 2_000, 3)),
    smoke=Profile(at_smoke(RECOT), _frames(324, 160, 3)),
    title="DISFA, three subject-exclusive folds, with a noisy set",
    about=(*BP4D_3FOLD.about[:-1], ("positive", "intensity 2 or more"), ("papers", "ReCoT Table 3")),
)

_PLAIN: Sources = (
    ("training", "annotated frames of two parts only"),
    ("validation", "small and smoke: three training subjects; paper: none, RHLS tunes separately (variant tune)"),
    *TEST,
    ("alignment", "five landmarks to 240 px; RHLS does not state its alignment"),
    ("noise", "errors of the annotators; not measurable"),
)
BP4D_PLAIN = replace(
    BP4D_3FOLD,
    name="bp4d-3fold-plain",
    version=2,
    data=("bp4d",),
    noise="annotators",
    noisy_labels_from="",
    offers=frozenset(),
    paper=_paper(RHLS_BP4D, 12_300, 0),
    small=Profile(at_small(RHLS_BP4D, EPOCHS), _frames(2_952, 0, 3)),
    smoke=Profile(at_smoke(RHLS_BP4D), _frames(328, 0, 3)),
    runs=5,
    title="BP4D, three subject-exclusive folds, annotated frames alone",
    about=(*_PLAIN, ("papers", "RHLS Table 2")),
)

DISFA_PLAIN = replace(
    DISFA_3FOLD,
    name="disfa-3fold-plain",
    data=("disfa",),
    noise="annotators",
    noisy_labels_from="",
    offers=frozenset(),
    paper=_paper(RHLS_DISFA, 12_150, 0),
    small=Profile(at_small(RHLS_DISFA, DISFA_EPOCHS), _frames(2_943, 0, 3)),
    smoke=Profile(at_smoke(RHLS_DISFA), _frames(324, 0, 3)),
    runs=5,
    title="DISFA, three subject-exclusive folds, annotated frames alone",
    about=(*_PLAIN, ("positive", "intensity 2 or more"), ("papers", "RHLS Tables 1 and 2")),
)


def _tuned(plain: Protocol) -> Protocol:
    """Sixfold validation within the training subjects: 18 folds, which do not use the test part."""
    return replace(
        plain,
        name=f"{plain.name}:tune",
        folds=tuple(f"{part}.{sixth}" for part in PARTS for sixth in range(1, 7)),
        options=(*plain.options, ("tune", "6")),
        title=f"{plain.title}: sixfold validation inside each training part",
        about=(
            ("training", "five sixths of the subjects of two parts"),
            ("test", "the other sixth (part1.2: the second sixth of the training subjects of fold part1)"),
            ("sixths", "every sixth subject in the published order; RHLS does not list them"),
            *(line for line in plain.about if line[0] in ("alignment", "noise", "positive")),
            ("papers", "RHLS Fig. 3: the mean of these 18 runs chooses β"),
        ),
    )


def _flipped(plain: Protocol, variant: str, noise: str, how: str) -> Protocol:
    """Known label noise added to the annotators' labels."""
    return replace(
        plain,
        name=f"{plain.name}:{variant}",
        noise=noise,
        levels=LEVELS,
        title=f"{plain.title}, with {noise} noise",
        about=(
            *(line for line in plain.about if line[0] not in ("noise", "papers")),
            ("noise", how),
            ("papers", "no paper has this protocol"),
        ),
    )


EMOTIONET_3SPLIT = replace(
    BP4D_3FOLD,
    name="emotionet-3split",
    version=2,
    names=EMOTIONET_AUS,
    data=("emotionet",),
    noise="automatic coder",
    noisy_labels_from="",
    folds=("split1", "split2", "split3"),
    parts=(),
    rates=EMOTIONET_RATES,
    paper=Profile(
        RECOT_EMOTIONET,
        Size(
            train=15_000,
            noisy=50_000,
            validation=0,
            side=240,
            generated=(6_000, 0, 2_000),
            generated_noisy=8_000,
            generated_side=128,
        ),
    ),
    small=Profile(at_small(RECOT_EMOTIONET, EPOCHS), Size(2_000, 2_000, 200, 1_000, generated=(2_200, 0, 838))),
    smoke=Profile(at_smoke(RECOT_EMOTIONET), Size(160, 160, 32, 73, generated=(192, 0, 73))),
    title="EmotioNet, three random splits, with a noisy set",
    about=(
        ("training", "15,000 manually annotated images (verified), and 50,000 with automatic AU labels"),
        ("test", "the other manual images: 5,722 of ReCoT's 20,722; a smaller copy is split in the same proportion"),
        ("splits", "three fixed random splits, not the authors', which are not published"),
        ("validation", "small and smoke: rows held out of training and the same share of the noisy ones; paper: none"),
        ("alignment", "five landmarks to 240 px"),
        ("noise", "errors of the automatic AU labels; not measurable on real faces, which have no reference labels"),
        ("identities", "the same person may be in training and test, since EmotioNet has no identities"),
        ("papers", "ReCoT Tables 1 and 4, MLCR"),
    ),
)

EMOTIONET_SCRATCH = replace(
    EMOTIONET_3SPLIT,
    name="emotionet-3split-scratch",
    paper=Profile(RECOT_SCRATCH, EMOTIONET_3SPLIT.paper.size),
    title="EmotioNet, three random splits, with a noisy set, without pre-training",
    about=(*EMOTIONET_3SPLIT.about[:-1], ("papers", "ReCoT Table 4, without pre-training")),
)


def _variant(whole: Protocol, name: str, title: str, *about: tuple[str, str]) -> Protocol:
    """A variant of a protocol, with remarks that replace the one on papers."""
    about = (*whole.about[:-1], *about)
    return replace(whole, name=f"{whole.name}:{name}", version=2, title=f"{whole.title}{title}", about=about)


def _noisy_set(count: str, factor: float) -> Protocol:
    """Another size of the noisy set, scaled by the same factor in all profiles."""
    training = ("training", f"15,000 manually annotated images (verified), and {count} with automatic AU labels")
    whole = replace(EMOTIONET_3SPLIT, about=(training, *EMOTIONET_3SPLIT.about[1:]))

    def scaled(profile: Profile) -> Profile:
        size = profile.size
        generated = None if size.generated_noisy is None else round(factor * size.generated_noisy)
        return replace(profile, size=replace(size, noisy=round(factor * (size.noisy or 0)), generated_noisy=generated))

    papers = ("papers", "ReCoT appendix: the number of noisy images")
    return replace(
        _variant(whole, f"noisy-{count}", f" of {count} faces", papers),
        paper=scaled(whole.paper),
        small=scaled(whole.small),
        smoke=scaled(whole.smoke),
    )


def _encoded(encoder: str) -> Protocol:
    """Another encoder at the paper profile; small and smoke keep their narrow ResNet."""
    whole, source = EMOTIONET_3SPLIT, "ReCoT appendix: the choice of encoder"
    remark = ("encoder", f"{encoder} at the paper profile; small and smoke are unchanged")
    paper = replace(whole.paper, recipe=with_encoder(RECOT_EMOTIONET, encoder, source))
    return replace(_variant(whole, encoder, f", {encoder}", remark, ("papers", source)), paper=paper)


def _pool(whole: Protocol, recipe: Recipe) -> Protocol:
    """Batches sampled from the union of clean and noisy rows, in all profiles."""
    pool = pooled(recipe)
    return replace(
        _variant(
            whole,
            "pool",
            ", batches from one pool",
            ("batches", "clean and noisy rows shuffled together, each row once an epoch, instead of half of each"),
            ("papers", "no table; ReCoT does not state its sampling, this is the other interpretation"),
        ),
        paper=replace(whole.paper, recipe=pool),
        small=replace(whole.small, recipe=at_small(pool, whole.small.recipe.epochs)),
        smoke=replace(whole.smoke, recipe=at_smoke(pool)),
    )


def _appendix(whole: Protocol) -> Protocol:
    """The 30 epochs of ReCoT's appendix at the paper profile; small and smoke keep their own."""
    remark = ("epochs", "30 at the paper profile, as in ReCoT's appendix; small and smoke are unchanged")
    papers = ("papers", "no table; ReCoT's paper states 25 epochs, its appendix 30")
    paper = replace(whole.paper, recipe=of_the_appendix(RECOT))
    return replace(_variant(whole, "30-epochs", ", 30 epochs", remark, papers), paper=paper)


AU_PROTOCOLS = (
    EMOTIONET_3SPLIT,
    EMOTIONET_SCRATCH,
    BP4D_3FOLD,
    DISFA_3FOLD,
    BP4D_PLAIN,
    DISFA_PLAIN,
    _tuned(BP4D_PLAIN),
    _tuned(DISFA_PLAIN),
    _flipped(BP4D_PLAIN, "flip", "flip", "the sign of exactly round(rate x n) known entries of each AU is flipped"),
    _flipped(
        BP4D_PLAIN,
        "balanced-flip",
        "balanced flip",
        "as many positives as negatives of each AU are flipped, which keeps its base rate; rare AUs get less noise",
    ),
    _noisy_set("10k", 0.2),
    _noisy_set("100k", 2.0),
    _encoded("resnet18"),
    _encoded("resnet50"),
    _pool(EMOTIONET_3SPLIT, RECOT_EMOTIONET),
    _pool(BP4D_3FOLD, RECOT),
    _pool(DISFA_3FOLD, RECOT),
    _appendix(BP4D_3FOLD),
    _appendix(DISFA_3FOLD),
)
