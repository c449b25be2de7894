"""The protocols of CREMA-D: human label noise at several rates, on the same faces."""

from __future__ import annotations

from ..base import Profile, Protocol, Size
from ..labels import CREMAD_CLASSES, CREMAD_PARTS
from ..vote_noise import name_of
from .recipes import COCURING, at_small, at_smoke, at_transfer

_HELD_OUT = 6  # training actors for validation
_ACTORS = sum(len(actors) for _, actors in CREMAD_PARTS)
INTENDED, AUDIO_VISUAL = "intended", "audio-visual majority"  # references
_WAYS = (
    ("face", "face", "face alone"),
    ("voice", "voice", "voice alone, without the picture that is to be recognised"),
    ("av", "audio-visual", "face and voice"),
)


def _size(each: int, side: int, generated_side: int | None = None, every: bool = False) -> Size:
    """So many clips of each actor, or every clip; generated faces as many."""
    rows = each * _ACTORS
    train = None if every else rows
    return Size(train, validation=_HELD_OUT, side=side, generated=(rows, 0, 0), generated_side=generated_side)


_REFERENCES = {
    INTENDED: ("the intended emotions", "the emotion that the actor was to show, which a face need not show"),
    AUDIO_VISUAL: (
        "what most people saw and heard",
        "the emotion that most people named who had face and voice; clips without a majority of one train and "
        "validate without a reference and are not tested on",
    ),
}


def _cremad(name: str, votes: str, seen: str, count: int | None, reference: str) -> Protocol:
    """Clips with the majority of a few people's votes, drawn, as labels."""
    what = "the majority of all votes" if count is None else f"the majority of {name_of(count)} drawn"
    source = "of the clip" if count is None else "from those of the clip"
    drawn = "ties drawn" if count is None else "votes drawn with replacement, ties drawn; more votes contain fewer ones"
    judged, words = _REFERENCES[reference]
    variant = "" if reference == INTENDED else "-av-reference"
    return Protocol(
        name=f"cremad-{name}:{count or 'majority'}{variant}",
        version=1,
        design="cremad",
        kind="single",
        names=CREMAD_CLASSES,
        data=("cremad",),
        metric="accuracy",
        noise=name_of(count),
        noise_seed=0,
        offers=frozenset({"noise_rate"}),
        folds=tuple(part for part, _ in CREMAD_PARTS),
        parts=CREMAD_PARTS,
        paper=Profile(COCURING, _size(82, 224, 96, every=True)),
        transfer=Profile(at_transfer(COCURING), _size(64, 64)),
        small=Profile(at_small(COCURING), _size(64, 48)),
        smoke=Profile(at_smoke(COCURING), _size(6, 48)),
        options=(("side", "224"), ("votes", votes), ("reference", reference)),
        title=f"CREMA-D with human noise: {what} of people who had the {seen}"
        + ", by the votes on both" * bool(variant),
        about=(
            ("training", f"a picture of each clip of two parts' actors; labels: {what} {source}"),
            (
                "votes",
                f"of people who had the {seen}: some ten a clip; test probabilities are judged against the shares of "
                "these votes too; the distributions from which soft_labels trains are others: single votes dropped",
            ),
            ("validation", "six training actors, labelled in the same way"),
            ("test", f"the third part's actors, who neither train nor validate; {judged}"),
            ("folds", "actors drawn by key, men and women apart; nobody has published folds"),
            ("reference", words),
            ("alignment", "the middle frame of each clip, five landmarks to 224 px"),
            ("noise", drawn),
            ("known faults", "sound of some clips missing or wrong (issue 18 of the repository); nothing is repaired"),
            ("generated twin", "votes of ten simulated people a face, other ones for each way of presentation"),
            ("sizes", "clips of all actors, those of the test part included"),
            ("papers", "no paper has this protocol"),
        ),
    )


CREMAD_PROTOCOLS = tuple(
    _cremad(*way, count, reference)
    for reference in (INTENDED, AUDIO_VISUAL)
    for way in _WAYS
    for count in (1, 3, 5, None)
)
