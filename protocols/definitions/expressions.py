"""The protocols for facial expressions (single-label)."""

from __future__ import annotations

from dataclasses import replace

from ..base import Profile, Protocol, Size, Sources
from ..labels import AFFECTNET_CLASSES, FERPLUS_CLASSES, RAFDB_CLASSES
from ..vote_noise import name_of
from .cremad import CREMAD_PROTOCOLS
from .recipes import COCURING, COCURING_OVERSAMPLED, at_small, at_smoke, at_transfer

SYMMETRIC = "exactly round(rate x n) rows of each class, true class excluded; a level contains the lower ones"
LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4)

VOTES = (
    "votes",
    "test probabilities are judged against the shares of all votes for the classes too, single votes included, unknown "
    "and not-a-face left out; the distributions from which soft_labels trains are others: single votes dropped, three "
    "classes at most",
)
FERPLUS_SYM = Protocol(
    name="ferplus-sym",
    version=1,
    design="ferplus",
    kind="single",
    names=FERPLUS_CLASSES,
    data=("ferplus",),
    metric="accuracy",
    noise="symmetric",
    noise_seed=0,
    levels=LEVELS,
    offers=frozenset({"noise_rate"}),
    paper=Profile(COCURING, Size(generated=(20_000, 2_000, 2_000), side=96)),
    small=Profile(at_small(COCURING), Size(train=4_000, validation=1_000, generated=(4_000, 1_000, 2_000))),
    transfer=Profile(at_transfer(COCURING), Size(train=4_000, validation=1_000, generated=(4_000, 1_000, 2_000))),
    smoke=Profile(at_smoke(COCURING), Size(train=320, validation=100, test=200, generated=(320, 100, 200))),
    options=(("labels", "ferplus-majority"),),
    title="FER+ with symmetric label noise",
    about=(
        ("training", "FER2013 Training rows with a FER+ majority, labels changed to another class at the level's rate"),
        ("validation", "PublicTest with noise of the same kind and level"),
        ("test", "PrivateTest, FER+ majority labels; also evaluated without copies of training images"),
        ("classes", "FER+ majority: single votes ignored, more than half of the remaining votes; eight classes"),
        ("noise", SYMMETRIC),
        VOTES,
        ("papers", "Co-curing Table 2 trains on Training and PublicTest together and has no validation set"),
    ),
)

FERPLUS_ANNOTATOR = replace(
    FERPLUS_SYM,
    name="ferplus-annotator",
    noise="votes",
    levels=(),
    title="FER+ with one annotator's labels: drawn from the ten votes of each face",
    about=(
        ("training", "FER2013 Training rows with a FER+ majority, each with a label drawn from its votes"),
        ("validation", "PublicTest, drawn in the same way"),
        *FERPLUS_SYM.about[2:4],
        ("noise", "instance-dependent: ambiguous faces are noisier; unknown and not-a-face votes are not drawn"),
        VOTES,
        ("papers", "no paper has this protocol"),
    ),
)

_OF_VOTES = ("training", "FER2013 Training rows with a FER+ majority")
_NO_PAPER = ("papers", "no paper has this protocol")


def _ferplus_votes(count: int | None) -> Protocol:
    """FER+ with the majority of a few drawn votes as labels."""
    what = "the majority of all votes" if count is None else f"the majority of {name_of(count)} drawn from each face's"
    drawn = "votes drawn with replacement from those for the eight classes; more votes contain fewer ones"
    all_of_them = "every vote for the eight classes once; of the published votes all give the reference: no wrong label"
    return replace(
        FERPLUS_ANNOTATOR,
        name=f"ferplus-votes:{count or 'all'}",
        noise=name_of(count),
        title=f"FER+ with human noise: {what}",
        about=(
            (_OF_VOTES[0], f"{_OF_VOTES[1]}; labels: {what}, ties drawn"),
            *FERPLUS_ANNOTATOR.about[1:4],
            ("noise", all_of_them if count is None else drawn),
            VOTES,
            _NO_PAPER,
        ),
    )


_TWINS = (
    ("symmetric", "symmetric", "which face is wrong is drawn, and its wrong class uniformly"),
    (
        "confusion",
        "class-conditional",
        "the human labels shuffled among the faces of a class: the same confusion matrix",
    ),
    (
        "instance",
        "instance-dependent",
        "faces wrong in proportion to their votes against the majority, their wrong class drawn from these votes",
    ),
)


def _ferplus_votes_twin(variant: str, kind: str, how: str) -> Protocol:
    """Synthetic noise with exactly as many wrong labels as ferplus-votes:1 has."""
    return replace(
        FERPLUS_ANNOTATOR,
        name=f"ferplus-votes:1-{variant}",
        noise=name_of(1, kind),
        title=f"FER+ with {kind} noise at the rate of one human vote a face",
        about=(
            (_OF_VOTES[0], f"{_OF_VOTES[1]}; as many wrong labels as ferplus-votes:1 has in the same draw"),
            *FERPLUS_ANNOTATOR.about[1:4],
            ("noise", how),
            VOTES,
            _NO_PAPER,
        ),
    )


FERPLUS_VOTES = (
    *(_ferplus_votes(count) for count in (1, 2, 3, 5, None)),
    *(_ferplus_votes_twin(*twin) for twin in _TWINS),
)

FER2013_REAL = replace(
    FERPLUS_SYM,
    name="fer2013-real",
    names=FERPLUS_CLASSES[:7],
    noise="fer2013",
    levels=(),
    options=(("labels", "fer2013"), ("rows", "all")),
    title="FER2013's own labels judged by FER+",
    about=(
        ("training", "all distinct FER2013 Training images with their FER2013 labels"),
        ("validation", "distinct PublicTest images without copies of training images, FER2013 labels"),
        ("test", "PrivateTest rows with a FER+ majority among seven classes; also without copies of training images"),
        ("noise", "errors of the FER2013 labels, measured against FER+ where FER+ has a majority"),
        VOTES,
        ("generated twin", "labels drawn by the measured FER+ to FER2013 transition matrix"),
        ("papers", "no paper has this protocol"),
    ),
)

FER2013_REAL_KEPT = replace(
    FER2013_REAL,
    name="fer2013-real:kept",
    options=(("labels", "fer2013"), ("rows", "kept")),
    title="FER2013's own labels judged by FER+, only rows FER+ has a majority for",
)

RAFDB_SYM = replace(
    FERPLUS_SYM,
    name="rafdb-sym",
    design="packed",
    names=RAFDB_CLASSES,
    data=("rafdb",),
    paper=Profile(COCURING, Size(validation=0, side=100, generated=(12_271, 0, 3_068))),
    small=Profile(at_small(COCURING), Size(train=4_000, validation=400, generated=(4_000, 400, 2_000))),
    transfer=Profile(at_transfer(COCURING), Size(train=4_000, validation=400, side=64, generated=(4_000, 400, 2_000))),
    smoke=Profile(at_smoke(COCURING), Size(train=320, validation=32, test=200, generated=(320, 32, 200))),
    options=(("side", "100"),),
    title="RAF-DB with symmetric label noise",
    about=(
        ("training", "the basic set's training part, labels changed to another class at the level's rate"),
        ("validation", "small and smoke: rows held out of training, with noise of the same kind; paper: none"),
        ("test", "the basic set's test part; also evaluated without copies of training images"),
        ("alignment", "RAF-DB's own 100 px crops, instead of MTCNN in the papers"),
        ("noise", SYMMETRIC),
        ("papers", "Co-curing Table 2; ULC-AG Tables 1 to 3 and 5"),
    ),
)


def _rafdb(variant: str, noise: str, how: str) -> Protocol:
    """RAF-DB with another type of noise."""
    about: Sources = (*RAFDB_SYM.about[:4], ("noise", how), ("papers", "no paper has this protocol"))
    title = f"RAF-DB with label noise: {noise}"
    return replace(RAFDB_SYM, name=f"rafdb-sym:{variant}", noise=noise, title=title, about=about)


RAFDB_COIN = _rafdb(
    "by-coin", "symmetric, by coin", "each row independently with the level's probability, as in SCN and EAC"
)
RAFDB_TRUE = _rafdb(
    "true-included",
    "symmetric, true class included",
    "the new class is drawn from all seven, so that 6/7 of the drawn rows change",
)
RAFDB_PAIR = _rafdb("pair", "pair flip", "exactly round(rate x n) rows of each class go to the next class in order")


def _rafdb_list(level: str, file: str, papers: str) -> Protocol:
    """RAF-DB with the labels of a list published by other authors."""
    return replace(
        RAFDB_SYM,
        name=f"rafdb-sym:list-{level}",
        noise=f"list of others, {level}",
        levels=(),
        options=(("side", "100"), ("list", file)),
        title=f"RAF-DB with the noisy labels of {file.rpartition('/')[2]}",
        about=(
            ("training", f"the basic set's training part with the labels of rafdb/{file}, or of rafdb/basic/"),
            *RAFDB_SYM.about[1:4],
            ("noise", "drawn by the author of the list; its realised rate is in the record"),
            ("generated twin", "labels drawn by the measured FER+ to FER2013 transition matrix"),
            ("papers", papers),
        ),
    )


_SCN = "the lists published by the authors of SCN"
_RESUP = (
    "the lists published by the authors of ReSup (purpleleaves007/FERDenoise, RAFlabel/); they also change labels of "
    "test pictures, which are not used: tests have the owners' labels"
)
RAFDB_LISTS = (
    *(_rafdb_list(level, f"EmoLabel/{level}noise_train.txt", _SCN) for level in ("0.1", "0.2", "0.3")),
    *(_rafdb_list(level, f"EmoLabel/{level}noise_train1.txt", _RESUP) for level in ("0.4", "0.5")),
)

_AFFECTNET_ABOUT: Sources = (
    ("training", "the manually annotated part's training set, labels changed to another class at the level's rate"),
    ("validation", "small and smoke: rows held out of training, with noise of the same kind; paper: none"),
    ("test", "the owners' validation set, on which papers report results"),
    ("alignment", "2021 release: its aligned pictures, 224 px; older release: cropped to its face box"),
    ("sampling", "all classes equally often, by the given labels"),
    ("noise", SYMMETRIC),
)
AFFECTNET_SYM = replace(
    RAFDB_SYM,
    name="affectnet-sym",
    names=AFFECTNET_CLASSES,
    data=("affectnet",),
    paper=Profile(COCURING_OVERSAMPLED, Size(validation=0, side=224, generated=(16_000, 0, 4_000), generated_side=96)),
    small=replace(RAFDB_SYM.small, recipe=at_small(COCURING_OVERSAMPLED)),
    transfer=Profile(
        at_transfer(COCURING_OVERSAMPLED), Size(train=4_000, validation=400, side=64, generated=(4_000, 400, 2_000))
    ),
    smoke=replace(RAFDB_SYM.smoke, recipe=at_smoke(COCURING_OVERSAMPLED)),
    options=(("side", "224"), ("test", "validation")),
    title="AffectNet, eight classes, with symmetric label noise",
    about=(*_AFFECTNET_ABOUT, ("papers", "Co-curing Table 2; 287,651 training and 4,000 test images")),
)

AFFECTNET7_SYM = replace(
    AFFECTNET_SYM,
    name="affectnet7-sym",
    names=AFFECTNET_CLASSES[:7],
    title="AffectNet, seven classes, with symmetric label noise",
    about=(*_AFFECTNET_ABOUT, ("papers", "ULC-AG Tables I to III; 283,901 training and 3,500 test images")),
)

AFFECTNET_AUTO = replace(
    AFFECTNET7_SYM,
    name="affectnet-auto",
    noise="automatic annotation",
    levels=(),
    offers=frozenset(),
    options=(("side", "224"), ("train", "automatic"), ("test", "validation")),
    title="AffectNet's automatically annotated part, judged by its manual validation set",
    about=(
        ("training", "the automatically annotated part, seven classes, with its own labels"),
        *_AFFECTNET_ABOUT[1:5],
        ("noise", "errors of the automatic annotation; not measurable, since these images have no reference labels"),
        ("generated twin", "labels drawn by the measured FER+ to FER2013 transition matrix"),
        ("papers", "Co-curing Table 3, ULC-AG Table III; 3,500 test images"),
    ),
)

_OF_PICTURES = (
    (
        "instance",
        "part-dependent",
        "how often a picture is wrong, and as what, depends on its pixels (Xia et al., NeurIPS 2020)",
        "matrices",
    ),
    (
        "degraded",
        "by a classifier of degraded pictures",
        "exactly round(rate x n) rows get the label of a weak classifier that saw 4 x 4 grains with noise",
        "classifier",
    ),
)


def _of_picture(base: Protocol, variant: str, noise: str, how: str, rule: str) -> Protocol:
    """A protocol with synthetic noise that depends on the picture instead of symmetric noise.

    Version 2: validation labels go wrong by the matrices or the classifier of the training set, not by their own.
    """
    return replace(
        base,
        name=f"{base.name}:{variant}",
        version=2,
        noise=noise,
        title=f"{base.title.partition(' with ')[0]} with label noise: {noise}",
        about=(
            *(part for part in base.about if part[0] not in ("noise", "papers")),
            ("noise", f"{how}; in validation by the training set's {rule}, with lots of its own"),
            _NO_PAPER,
        ),
    )


OF_PICTURES = tuple(
    _of_picture(base, *noise)
    for base in (FERPLUS_SYM, RAFDB_SYM, AFFECTNET_SYM, AFFECTNET7_SYM)
    for noise in _OF_PICTURES
)

EXPRESSION_PROTOCOLS = (
    FERPLUS_SYM,
    RAFDB_SYM,
    AFFECTNET_SYM,
    AFFECTNET7_SYM,
    AFFECTNET_AUTO,
    FER2013_REAL,
    FER2013_REAL_KEPT,
    FERPLUS_ANNOTATOR,
    *FERPLUS_VOTES,
    RAFDB_COIN,
    RAFDB_TRUE,
    RAFDB_PAIR,
    *RAFDB_LISTS,
    *OF_PICTURES,
    *CREMAD_PROTOCOLS,
)
