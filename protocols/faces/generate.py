"""Generated faces: drawn people with known muscles, expressions, poses and light, for training without any data set.

What is modelled. Identity (proportions, skin, brows, hair, glasses, beard, age lines, habits and style of expression),
head pose, light, background, things in front of the face, blur, sensor noise and block compression; twenty action
units of intensity 0 to 5, each moving and folding the parts of the face the Facial Action Coding System names, a
little unequally on the two sides; their rates and co-occurrence; posed expressions as blends of prototypes, with the
distribution of labels people would give; short sequences; an automatic coder and annotators that err as real ones do.

What is left out. Real skin, hair and depth; speech; ageing, ethnicity and gender as anything but independent traits;
gaze, tongue and head gestures that mean something; every action unit not listed; culture and context in how people
read faces. A blink is drawn as a lid caught in motion; in one real frame it may look like a closed eye.

What results mean. A face here is a cartoon: features are large, edges clean, and the noise is the noise written here.
A ranking of methods on these faces is a statement about these faces. It is not a ranking on people.

Everything follows from the specification and the seed. Labels and pixels use integer arithmetic and correctly rounded
IEEE 754 operations only (no BLAS, no transcendental function, no reordered sum), so the bytes are the same for any
chunk size, thread count and CPU; a test pins them, and NumPy 1.26 and 2.4 gave the same ones with AVX-512 and without
any vector extension. Face i of a subject stays the same as the count grows, and under other rates keeps its looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BadInput, unknown
from .behaviour import (
    AUS,
    INDEX,
    NUMBERS,
    PROTOTYPES,
    USUAL_RATES,
    Cast,
    cast,
    light,
    nearest,
    pose,
    posed,
    quantile,
    sides,
    spontaneous,
)
from .draw import draw
from .labellers import code, vote

EXPRESSIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")
_CHUNK = 32


@dataclass(frozen=True)
class FaceSpecification:
    """What to draw.

    count: how many faces. size: pixels, square, at least 16. subjects: names, each a persistent person; faces are
    spread evenly over them in order; empty means every face is someone else. au_names: which action units to report,
    "AU1" …; au_rates: their shares of intensity 2 or more, or None for usual ones. content: "aus" (spontaneous
    sequences) or "expressions" (posed prototypes, blended). expressions: class names. ambiguity: 0 (pure prototypes)
    to 1 (many even blends). nuisance: how much pose, light, occlusion, blur and noise vary (1 is usual, 0 none).
    """

    count: int
    size: int = 64
    subjects: tuple[str, ...] = ()
    au_names: tuple[str, ...] = AUS
    au_rates: tuple[float, ...] | None = None
    content: str = "aus"
    expressions: tuple[str, ...] = EXPRESSIONS
    ambiguity: float = 0.3
    nuisance: float = 1.0


@dataclass(frozen=True, eq=False)
class Faces:
    """Generated faces; unpacks as images, aus, expressions, subjects.

    images uint8 [N, H, W, 3]; aus int8 [N, M] intensity 0..5; expressions int64 [N]; subjects str [N]. Besides:
    distribution float64 [N, C] over expressions; pose float64 [N, 3] in degrees; light float64 [N, 3]; levels float64
    [N, 20] of all action units; person and frame, uint64 [N] keys; specification.
    """

    images: NDArray[np.uint8]
    aus: NDArray[np.int8]
    expressions: NDArray[np.int64]
    subjects: NDArray[np.str_]
    distribution: NDArray[np.float64]
    pose: NDArray[np.float64]
    light: NDArray[np.float64]
    levels: NDArray[np.float64]
    person: NDArray[np.uint64]
    frame: NDArray[np.uint64]
    specification: FaceSpecification

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return iter((self.images, self.aus, self.expressions, self.subjects))


def faces(specification: FaceSpecification, seed: int) -> Faces:
    """Draw the faces a specification asks for; the same seed gives the same bytes.

    Raises:
        BadInput: when the specification makes no sense.
    """
    _check(specification)
    names = specification.expressions
    who = cast(specification.count, specification.subjects, seed)
    levels, distribution = _behave(specification, who, seed)
    expressions = np.argmax(distribution, axis=1).astype(np.int64)
    contempt = np.array([name == "contempt" for name in names])[expressions]
    columns = [INDEX[int(name[2:])] for name in specification.au_names]
    heads, lamps = pose(who, specification.nuisance), light(who, specification.nuisance)
    both = sides(who, levels, contempt)
    images = np.empty((specification.count, specification.size, specification.size, 3), dtype=np.uint8)
    for start in range(0, specification.count, _CHUNK):
        part = slice(start, start + _CHUNK)
        images[part] = draw(
            who.part(part), both[part], heads[part], lamps[part], specification.size, specification.nuisance
        )
    return Faces(
        images=images,
        aus=np.floor(levels[:, columns] + 0.5).astype(np.int8),
        expressions=expressions,
        subjects=_names(specification, who),
        distribution=distribution,
        pose=heads,
        light=lamps,
        levels=levels,
        person=who.person,
        frame=who.frame,
        specification=specification,
    )


def automatic_coder(faces: Faces, seed: int, quality: float = 1.0) -> NDArray[np.int8]:
    """Labels of a simulated automatic coder, int8 [N, M] in {-1, +1}, in the order of the specification's au_names.

    Its errors depend on intensity, look-alike action units, pose, light and subject; quality above 1 makes fewer.

    Raises:
        BadInput: when quality is not above 0.
    """
    if not quality > 0:
        raise BadInput(f"coder quality must be above 0, not {quality}")
    columns = [INDEX[int(name[2:])] for name in faces.specification.au_names]
    return code(faces.levels, faces.pose, faces.light, faces.person, faces.frame, seed, quality)[:, columns]


def annotators(faces: Faces, seed: int, count: int = 10) -> NDArray[np.int64]:
    """Expression votes int64 [N, count], indices into the specification's expressions, drawn from the distribution.

    Raises:
        BadInput: when count is negative.
    """
    if count < 0:
        raise BadInput(f"the number of annotators must not be negative, not {count}")
    return vote(faces.distribution, faces.frame, seed, count)


def _behave(specification: FaceSpecification, who: Cast, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Levels [N, 20] and label distribution [N, C]."""
    names, wanted = specification.expressions, specification.au_rates
    rehearsal = cast(8192, specification.subjects, seed, "rehearsal", length=1)
    if specification.content == "aus":
        rates = {number: USUAL_RATES[number] for number in NUMBERS}
        if wanted is not None:
            rates.update({int(name[2:]): rate for name, rate in zip(specification.au_names, wanted, strict=True)})
        levels = spontaneous(who, np.array(list(rates.values())), rehearsal)
        return levels, nearest(levels, names)
    levels, distribution = posed(who, names, specification.ambiguity)
    if wanted is not None:
        sample, _ = posed(rehearsal, names, specification.ambiguity)
        for name, rate in zip(specification.au_names, wanted, strict=True):
            place = INDEX[int(name[2:])]
            shift = 1.5 - quantile(sample[:, place], 1 - rate)
            levels[:, place] = np.clip(levels[:, place] + shift, 0.0, 5.0)
    return levels, distribution


def _names(specification: FaceSpecification, who: Cast) -> NDArray[np.str_]:
    """The subject of each face; strangers are numbered."""
    if specification.subjects:
        return np.array(specification.subjects, dtype=np.str_)[who.subject]
    return np.array([f"face{index:06d}" for index in range(specification.count)], dtype=np.str_)


def _check(specification: FaceSpecification) -> None:
    """One line for whatever is wrong."""
    if specification.count < 0:
        raise BadInput(f"the number of faces must not be negative, not {specification.count}")
    if specification.size < 16:
        raise BadInput(f"faces need at least 16 pixels, not {specification.size}")
    if specification.content not in ("aus", "expressions"):
        raise unknown("content of faces", specification.content, ("aus", "expressions"))
    for name in specification.au_names:
        if name not in AUS:
            raise unknown("action unit", name, AUS)
    for name in specification.expressions:
        if name not in PROTOTYPES:
            raise unknown("expression", name, PROTOTYPES)
    if not specification.expressions:
        raise BadInput("faces need at least one expression to choose from")
    for field in ("au_names", "expressions", "subjects"):
        names = getattr(specification, field)
        if len(set(names)) < len(names):
            raise BadInput(f"{field} of the face specification names something twice")
    if specification.au_rates is not None:
        if len(specification.au_rates) != len(specification.au_names):
            raise BadInput(f"{len(specification.au_names)} action units but {len(specification.au_rates)} rates")
        if not all(0 <= rate <= 1 for rate in specification.au_rates):
            raise BadInput("rates of action units must lie in 0..1")
    if not 0 <= specification.ambiguity <= 1:
        raise BadInput(f"ambiguity must lie in 0..1, not {specification.ambiguity}")
    if not 0 <= specification.nuisance <= 2:
        raise BadInput(f"nuisance must lie in 0..2, not {specification.nuisance}")


__all__ = ["AUS", "EXPRESSIONS", "NUMBERS", "FaceSpecification", "Faces", "annotators", "automatic_coder", "faces"]
