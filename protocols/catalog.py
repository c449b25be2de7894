"""Every protocol, by name."""

from __future__ import annotations

from dataclasses import replace

from .base import Profile, Protocol, Size
from .errors import unknown
from .fer2013 import FERPLUS_CLASSES
from .rafdb import RAFDB_CLASSES
from .recipes import COCURING, RECOT, at_small, at_smoke
from .subjects import BP4D_PARTS

BP4D_AUS = ("AU1", "AU2", "AU4", "AU6", "AU7", "AU10", "AU12", "AU14", "AU15", "AU17", "AU23", "AU24")
BP4D_RATES = (0.211, 0.171, 0.203, 0.462, 0.549, 0.594, 0.562, 0.466, 0.169, 0.344, 0.165, 0.152)

_FER_SIZES = {
    "paper": Size(generated=(20_000, 2_000, 2_000), side=96),
    "small": Size(train=4_000, validation=1_000, generated=(4_000, 1_000, 2_000)),
    "smoke": Size(train=320, validation=100, test=200, generated=(320, 100, 200)),
}

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
    levels=(0.0, 0.1, 0.2, 0.3, 0.4),
    offers=frozenset({"noise_rate"}),
    paper=Profile(COCURING, _FER_SIZES["paper"]),
    small=Profile(at_small(COCURING), _FER_SIZES["small"]),
    smoke=Profile(at_smoke(COCURING), _FER_SIZES["smoke"]),
    options=(("labels", "ferplus-majority"),),
    title="FER+ with symmetric label noise",
    about=(
        ("training", "FER2013 Training rows with a FER+ majority, labels changed to another class at the level's rate"),
        ("validation", "PublicTest with noise of the same kind and level"),
        ("test", "PrivateTest, FER+ majority labels; also counted without copies of training images"),
        ("classes", "FER+ majority: single votes dropped, more than half of the remaining votes; eight classes"),
        ("noise", "exactly round(rate x n) rows of each class, true class excluded; a level contains the lower ones"),
        ("papers", "Co-curing Table 2 trains on Training and PublicTest together and has no validation set"),
    ),
)

FER2013_REAL = Protocol(
    name="fer2013-real",
    version=1,
    design="ferplus",
    kind="single",
    names=FERPLUS_CLASSES[:7],
    data=("ferplus",),
    metric="accuracy",
    noise="fer2013",
    offers=frozenset({"noise_rate"}),
    paper=Profile(COCURING, _FER_SIZES["paper"]),
    small=Profile(at_small(COCURING), _FER_SIZES["small"]),
    smoke=Profile(at_smoke(COCURING), _FER_SIZES["smoke"]),
    options=(("labels", "fer2013"), ("rows", "all")),
    title="FER2013's own labels judged by FER+",
    about=(
        ("training", "all distinct FER2013 Training images with their FER2013 labels"),
        ("validation", "distinct PublicTest images without copies of training images, FER2013 labels"),
        ("test", "PrivateTest rows with a FER+ majority among seven classes; also without copies of training images"),
        ("noise", "what FER2013's labelling got wrong; measured against FER+ where FER+ has a majority"),
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

BP4D_3FOLD = Protocol(
    name="bp4d-3fold",
    version=1,
    design="au",
    kind="multi",
    names=BP4D_AUS,
    data=("bp4d", "emotionet"),
    metric="f1",
    noise="automatic coder",
    noise_seed=0,
    offers=frozenset({"verified"}),
    folds=("part1", "part2", "part3"),
    parts=BP4D_PARTS,
    rates=BP4D_RATES,
    paper=Profile(RECOT, Size(train=12_300, noisy=8_000, validation=0, side=128)),
    small=Profile(at_small(RECOT), Size(train=2_952, noisy=2_000, validation=3)),
    smoke=Profile(at_smoke(RECOT), Size(train=328, noisy=160, validation=3)),
    title="BP4D, three subject-exclusive folds, with a noisy set",
    about=(
        (
            "training",
            "annotated frames of two parts (verified), and faces in the wild with an automatic coder's labels",
        ),
        ("validation", "small and smoke: three training subjects and a like share of the noisy faces; paper: none"),
        ("test", "annotated frames of the part that names the fold"),
        ("sizes", "of the generated twin: frames of all 41 subjects, noisy faces, subjects held out for validation"),
        ("papers", "ReCoT Table 2"),
    ),
)

RAFDB_SYM = Protocol(
    name="rafdb-sym",
    version=1,
    design="packed",
    kind="single",
    names=RAFDB_CLASSES,
    data=("rafdb",),
    metric="accuracy",
    noise="symmetric",
    noise_seed=0,
    levels=(0.0, 0.1, 0.2, 0.3, 0.4),
    offers=frozenset({"noise_rate"}),
    paper=Profile(COCURING, Size(validation=0, side=100, generated=(12_271, 0, 3_068))),
    small=Profile(at_small(COCURING), Size(train=4_000, validation=400, generated=(4_000, 400, 2_000))),
    smoke=Profile(at_smoke(COCURING), Size(train=320, validation=32, test=200, generated=(320, 32, 200))),
    options=(("side", "100"),),
    title="RAF-DB with symmetric label noise",
    about=(
        ("training", "the basic set's training part, labels changed to another class at the level's rate"),
        ("validation", "small and smoke: rows held out of training, with noise of the same kind; paper: none"),
        ("test", "the basic set's test part; also counted without copies of training images"),
        ("alignment", "RAF-DB's own 100 px crops, which stand for the papers' MTCNN"),
        ("noise", "exactly round(rate x n) rows of each class, true class excluded; a level contains the lower ones"),
        ("papers", "Co-curing Table 2"),
    ),
)

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol for protocol in (BP4D_3FOLD, FERPLUS_SYM, RAFDB_SYM, FER2013_REAL, FER2013_REAL_KEPT)
}


def find(name: str) -> Protocol:
    """The protocol of that name; BadInput with the nearest names for another."""
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]
