"""The protocols of CREMA-D: human label noise at several rates, on the same faces."""

from __future__ import annotations

from ..base import Profile, Protocol, Size
from ..labels import CREMAD_CLASSES, CREMAD_PARTS
from ..vote_noise import name_of
from .recipes import COCURING, at_small, at_smoke, at_transfer

_HELD_OUT = 6  # training actors for validation
_ACTORS = sum(len(actors) for _, actors in CREMAD_PARTS)
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


def _cremad(name: str, votes: str, seen: str, count: int | None) -> Protocol:
    """Clips with the majority of a few people's votes, drawn, as labels."""
    what = "the majority of all votes" if count is None else f"the majority of {name_of(count)} drawn"
    drawn = "ties drawn" if count is None else "votes drawn with replacement, ties drawn; more votes contain fewer ones"
    return Protocol(
        name=f"cremad-{name}:{count or 'majority'}",
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
        options=(("side", "224"), ("votes", votes), ("reference", "intended")),
        title=f"CREMA-D with human noise: {what} of people who had the {seen}",
        about=(
            ("training", f"a picture of each clip of two parts' actors; labels: {what} from those of the clip"),
            ("votes", f"of people who had the {seen}: some ten a clip"),
            ("validation", "six training actors, labelled in the same way"),
            ("test", "the third part's actors, who neither train nor validate; the intended emotions"),
            ("folds", "actors drawn by key, men and women apart; nobody has published folds"),
            ("reference", "the emotion that the actor was to show, which a face need not show"),
            ("alignment", "the middle frame of each clip, five landmarks to 224 px"),
            ("noise", drawn),
            ("known faults", "sound of some clips missing or wrong (issue 18 of the repository); nothing is repaired"),
            ("generated twin", "votes of ten simulated people a face, other ones for each way of presentation"),
            ("sizes", "clips of all actors, those of the test part included"),
            ("papers", "no paper has this protocol"),
        ),
    )


CREMAD_PROTOCOLS = tuple(_cremad(*way, count) for way in _WAYS for count in (1, 3, 5, None))
