"""Design for CREMA-D: labels drawn from people's votes on a clip, as reference the emotion it was to show.

With the option `reference` it is instead what most people named who had face and voice, whatever the labels are of.

Every clip has one label in a draw, whatever fold or profile it is used in, and as many pictures as were prepared.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..base import Profile, Protocol, Size
from ..definitions.cremad import AUDIO_VISUAL
from ..errors import BadInput
from ..faces.generate import FaceSpecification, annotator_votes, automatic_annotator, faces
from ..images.image_pool import of_pool
from ..own_data.labelled import most_voted
from ..packs.prepare import Pack
from ..readers.cremad import clip_of
from ..readers.cremad_votes import MODES, VoteTable, read_responses, read_votes
from ..readers.openface import NAMES as OPENFACE_AUS
from ..rows import (
    GENERATED,
    Array,
    CellData,
    Origin,
    Rows,
    Source,
    by_annotator,
    describe_noise,
    no_annotators,
    of_known_faces,
    rows,
)
from ..vote_noise import VOTE_NOISE
from .action_units import frames_of_each, subjects_of
from .pack_access import open_for, row_digests
from .splits import ANNOTATORS

DATASET = "cremad"
BOTH = "audio-visual"  # the way of presentation with face and voice
FACES_EACH = 30  # clips that each person saw in one way of presentation, as of the owners' raters


@dataclass(frozen=True)
class Loaded:
    """The pictures of all clips, and the votes on the clips.

    Attributes:
        everything: given labels are the reference ones.
        clip: int64 [N], the row of each picture's clip in `votes`.
        votes: int64 [M, C], people's votes on each clip in the protocol's way of presentation.
        pixels: uint64 [N], a digest of each picture, by which copies are found; None for generated faces.
        origin: of the pictures and votes.
        aux_names: names of the auxiliary AUs of the rows.
    """

    everything: Rows
    clip: Array
    votes: Array
    pixels: Array | None = None
    origin: Origin = GENERATED
    aux_names: tuple[str, ...] = ()


def load(protocol: Protocol, profile: Profile, source: Source, data_root: Path, *, partial: bool) -> Loaded:
    """Opens the pack and reads the votes, or generates faces.

    Raises:
        BadInput: the data set is absent, not prepared, damaged, or not as published (unless partial).
    """
    if source == "generated":
        return _generated(protocol, profile.size)
    return _real(protocol, profile.size, data_root, partial=partial)


def cell(
    protocol: Protocol,
    profile: Profile,
    source: Source,
    loaded: Loaded,
    fold: str | None,
    level: float | None,
    draw: int,
) -> CellData:
    """The rows of one fold; those of training and validation actors with the labels of this draw."""
    unknown = np.full(len(loaded.votes), -1)  # votes are drawn whatever the reference labels
    labels = VOTE_NOISE[protocol.noise](loaded.votes, unknown, protocol.noise_seed + draw)[loaded.clip]
    everything = loaded.everything
    chosen = [
        np.flatnonzero(np.isin(everything.group, np.array(actors, str)))
        for actors in subjects_of(protocol, profile.size, fold or "")
    ]
    training, validation = (everything.take(part).with_given(labels[part]) for part in chosen[:2])
    tested = chosen[2][everything.reference[chosen[2]] >= 0]
    test = everything.take(tested)
    if loaded.pixels is not None:
        test = replace(test, copy=np.isin(loaded.pixels[tested], loaded.pixels[chosen[0]]))
    for part, purpose in ((training, "training"), (test, "test")):
        if not len(part):
            raise BadInput(f"{protocol.name}, {fold}: no clip for {purpose}; this copy lacks the actors of the fold")
    described = describe_noise(protocol.noise, level, training)
    return CellData(training, validation if len(validation) else None, test, described, loaded.aux_names)


def simulated_annotators(votes: Array, seed: int) -> Array:
    """Who gave the votes of generated faces, int64 [N, K, 2] as `Rows` has them: each of many people saw a few faces.

    Args:
        votes: int64 [N, K], the class of each vote.
        seed: 0 or more.
    """
    count, each = votes.shape
    generator = np.random.default_rng([int.from_bytes(b"people"), seed])
    people = -(-count // FACES_EACH)
    place = np.stack([generator.permutation(count) for _ in range(each)], axis=1)
    annotator = place // FACES_EACH + people * np.arange(each)
    return np.stack([annotator, votes], axis=2)


def _generated(protocol: Protocol, size: Size) -> Loaded:
    """Faces of the actors' number, with the votes of other simulated people for each way of presentation."""
    actors = tuple(actor for _, part in protocol.parts for actor in part)
    specification = FaceSpecification(
        count=max(1, sum(size.generated) // len(actors)) * len(actors),
        size=size.generated_side or size.side,
        subjects=actors,
        content="expressions",
        expressions=protocol.names,
    )
    seed = protocol.noise_seed
    found = faces(specification, seed)
    aux = automatic_annotator(replace(found, specification=replace(specification, au_names=OPENFACE_AUS)), seed)
    votes = annotator_votes(found, seed + MODES.index(_mode(protocol)), ANNOTATORS)
    counts, reference = _counts(votes, protocol), found.expressions
    if _judged_by_votes(protocol):
        both = annotator_votes(found, seed + MODES.index(BOTH), ANNOTATORS)
        reference = most_voted(_counts(both, protocol))
    everything = replace(
        rows(found.images, reference, reference, group=found.subjects),
        aux=aux,
        votes=of_known_faces(counts),
        annotators=simulated_annotators(votes, seed),
    )
    return Loaded(everything, np.arange(len(everything)), counts, aux_names=OPENFACE_AUS)


def _counts(votes: Array, protocol: Protocol) -> Array:
    """How many of a row's votes [N, K] are for each class: int64 [N, C]."""
    return np.stack([(votes == label).sum(axis=1) for label in range(len(protocol.names))], axis=1)


def _real(protocol: Protocol, size: Size, data_root: Path, *, partial: bool) -> Loaded:
    pack, root = open_for(protocol, DATASET, data_root, partial=partial), data_root / DATASET
    table = read_votes(root)
    if table.digest != "published" and not partial:
        what = "its votes differ from the published ones (data verify cremad)"
        raise BadInput(f"{root}: {what}; fetch them again, or add --partial to run on them anyway")
    votes, clip = table.of(_mode(protocol)), table.place([clip_of(path) for path in pack.path.tolist()])
    voted = (clip >= 0) & (votes.sum(axis=1) > 0)[clip]
    frames = (size.train or 0) // sum(len(part) for _, part in protocol.parts)
    chosen = voted & (frames_of_each(pack.group, frames, protocol.noise_seed) if frames else True)
    reference = _reference(protocol, pack, table, clip)
    everything = replace(
        rows(of_pool(pack.pixels, size.side), reference, reference, group=pack.group),
        votes=of_known_faces(votes[clip]),
        annotators=_annotators(protocol, root, table, clip),
    )
    return Loaded(everything.take(chosen), clip[chosen], votes, row_digests(pack)[chosen], _origin(pack, table))


def _mode(protocol: Protocol) -> str:
    """The way of presentation in which people saw the clips."""
    return protocol.option("votes")


def _judged_by_votes(protocol: Protocol) -> bool:
    """Whether the reference is what most people saw and heard, not the emotion that a clip was to show."""
    return protocol.option("reference") == AUDIO_VISUAL


def _reference(protocol: Protocol, pack: Pack, table: VoteTable, clip: Array) -> Array:
    """The emotion that each clip was to show, or with the option what most people saw and heard, -1 for ties."""
    if not _judged_by_votes(protocol):
        return pack.labels
    return np.where(clip >= 0, most_voted(table.of(BOTH))[clip], -1)


def _annotators(protocol: Protocol, root: Path, table: VoteTable, clip: Array) -> Array:
    """Who labelled each picture's clip, as `Rows` has it; none where the responses of single people are not there."""
    responses = read_responses(root)
    if responses is None:
        return no_annotators(len(clip))
    row = table.place(responses.clip.tolist())
    asked = (responses.mode == MODES.index(_mode(protocol))) & (row >= 0)
    who = np.unique(responses.annotator, return_inverse=True)[1]
    return by_annotator(row[asked], who[asked], responses.label[asked], len(table.clip))[clip]


def _origin(pack: Pack, table: VoteTable) -> Origin:
    """That of the pictures, with the digest of both where the votes are not the published ones."""
    if table.digest == "published":
        return pack.origin
    both = hashlib.sha256(f"{pack.digest} {table.digest}".encode()).hexdigest()[:16]
    return replace(pack.origin, digest=both)
