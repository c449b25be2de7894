"""Generated faces with known action units, expressions, pose and light; protocols/README.md says what is modelled.

The specification and the seed determine every byte. Labels and pixels are computed with integer arithmetic and exactly
rounded IEEE 754 operations only (no BLAS, no transcendental function, no reordered sum), so they do not depend on chunk
size, number of threads, CPU or NumPy version; a test compares a digest. Face i of a subject does not change when more
faces are generated, and with other AU rates its identity does not change.
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
    DEFAULT_RATES,
    INDEX,
    NUMBERS,
    PROTOTYPES,
    Frames,
    asymmetric,
    head_pose,
    lighting,
    make_frames,
    posed,
    prototype_similarity,
    quantile,
    spontaneous,
)
from .draw import draw
from .keyed_random import Float
from .labellers import automatic_labels, votes

EXPRESSIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")
_CHUNK = 32


@dataclass(frozen=True)
class FaceSpecification:
    """The faces to generate.

    Attributes:
        count: number of faces.
        size: image size in pixels (square), at least 16.
        subjects: names, each a person with a fixed identity; faces are distributed evenly over them, in order. Empty:
            every face is another person.
        au_names: the action units to report, "AU1" ….
        au_rates: their shares of intensity 2 or more; None: default rates.
        content: "aus" (spontaneous sequences) or "expressions" (posed, blended prototypes).
        expressions: class names.
        ambiguity: 0 (pure prototypes) to 1 (many even blends).
        nuisance: amount of variation in pose, light, occlusion, blur and noise, 0 to 2; 1 is the default, 0 none.
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
    """Generated faces; iterates over images, aus, expressions, subjects.

    Attributes:
        images: uint8 [N, H, W, 3].
        aus: int8 [N, M], intensities 0..5 of the specification's action units.
        expressions: int64 [N], index of the class.
        subjects: str [N].
        distribution: float64 [N, C], share of annotators who give each expression label.
        pose: float64 [N, 3], yaw, pitch, roll in degrees.
        light: float64 [N, 3], direction and brightness.
        levels: float64 [N, 20], intensities of all action units.
        person, frame: uint64 [N], random keys.
        specification: what was generated.
    """

    images: NDArray[np.uint8]
    aus: NDArray[np.int8]
    expressions: NDArray[np.int64]
    subjects: NDArray[np.str_]
    distribution: Float
    pose: Float
    light: Float
    levels: Float
    person: NDArray[np.uint64]
    frame: NDArray[np.uint64]
    specification: FaceSpecification

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return iter((self.images, self.aus, self.expressions, self.subjects))


def faces(specification: FaceSpecification, seed: int) -> Faces:
    """Generates the faces of a specification; the same seed gives the same bytes.

    Raises:
        BadInput: an invalid specification.
    """
    _check(specification)
    names = specification.expressions
    frames = make_frames(specification.count, specification.subjects, seed)
    levels, distribution = _behaviour(specification, frames, seed)
    expressions = np.argmax(distribution, axis=1).astype(np.int64)
    contempt = np.array([name == "contempt" for name in names])[expressions]
    pose, light = head_pose(frames, specification.nuisance), lighting(frames, specification.nuisance)
    both = asymmetric(frames, levels, contempt)
    images = np.empty((specification.count, specification.size, specification.size, 3), dtype=np.uint8)
    for start in range(0, specification.count, _CHUNK):
        part = slice(start, start + _CHUNK)
        images[part] = draw(
            frames.take(part), both[part], pose[part], light[part], specification.size, specification.nuisance
        )
    return Faces(
        images=images,
        aus=np.floor(levels[:, _columns(specification)] + 0.5).astype(np.int8),
        expressions=expressions,
        subjects=_subjects(specification, frames),
        distribution=distribution,
        pose=pose,
        light=light,
        levels=levels,
        person=frames.person,
        frame=frames.frame,
        specification=specification,
    )


def automatic_annotator(faces: Faces, seed: int, quality: float = 1.0) -> NDArray[np.int8]:
    """AU labels of a simulated automatic annotator, int8 [N, M] in {-1, +1}, in the order of the specification.

    Its errors depend on intensity, similar action units, pose, light and subject; a quality above 1 gives fewer errors.

    Raises:
        BadInput: quality is not above 0.
    """
    if not quality > 0:
        raise BadInput(f"quality of the automatic annotator must be above 0, not {quality}")
    labels = automatic_labels(faces.levels, faces.pose, faces.light, faces.person, faces.frame, seed, quality)
    return labels[:, _columns(faces.specification)]


def annotator_votes(faces: Faces, seed: int, count: int = 10) -> NDArray[np.int64]:
    """Expression votes int64 [N, count], indices into the specification's expressions, drawn from the distribution.

    Raises:
        BadInput: count is negative.
    """
    if count < 0:
        raise BadInput(f"the number of annotators must not be negative, not {count}")
    return votes(faces.distribution, faces.frame, seed, count)


def _columns(specification: FaceSpecification) -> list[int]:
    """The positions of the specification's action units among all."""
    return [INDEX[int(name[2:])] for name in specification.au_names]


def _behaviour(specification: FaceSpecification, frames: Frames, seed: int) -> tuple[Float, Float]:
    """AU intensities [N, 20] and label distribution [N, C]."""
    names, wanted = specification.expressions, specification.au_rates
    calibration = make_frames(8192, specification.subjects, seed, "rehearsal", length=1)
    if specification.content == "aus":
        rates = {number: DEFAULT_RATES[number] for number in NUMBERS}
        if wanted is not None:
            rates.update({int(name[2:]): rate for name, rate in zip(specification.au_names, wanted, strict=True)})
        levels = spontaneous(frames, np.array(list(rates.values())), calibration)
        return levels, prototype_similarity(levels, names)
    levels, distribution = posed(frames, names, specification.ambiguity)
    if wanted is not None:
        sample, _ = posed(calibration, names, specification.ambiguity)
        for place, rate in zip(_columns(specification), wanted, strict=True):
            shift = 1.5 - quantile(sample[:, place], 1 - rate)
            levels[:, place] = np.clip(levels[:, place] + shift, 0.0, 5.0)
    return levels, distribution


def _subjects(specification: FaceSpecification, frames: Frames) -> NDArray[np.str_]:
    """The subject of each face; numbered where the specification has no subjects."""
    if specification.subjects:
        return np.array(specification.subjects, dtype=np.str_)[frames.subject]
    return np.array([f"face{index:06d}" for index in range(specification.count)], dtype=np.str_)


def _check(specification: FaceSpecification) -> None:
    """Raises BadInput for an invalid specification."""
    if specification.count < 0:
        raise BadInput(f"the number of faces must not be negative, not {specification.count}")
    if specification.size < 16:
        raise BadInput(f"faces need at least 16 pixels, not {specification.size}")
    for kind, names, known in (
        ("content of faces", (specification.content,), ("aus", "expressions")),
        ("action unit", specification.au_names, AUS),
        ("expression", specification.expressions, PROTOTYPES),
    ):
        for name in names:
            if name not in known:
                raise unknown(kind, name, known)
    if not specification.expressions:
        raise BadInput("the face specification needs at least one expression")
    for field in ("au_names", "expressions", "subjects"):
        names = getattr(specification, field)
        if len(set(names)) < len(names):
            raise BadInput(f"{field} of the face specification contain a name twice")
    if specification.au_rates is not None:
        if len(specification.au_rates) != len(specification.au_names):
            raise BadInput(f"{len(specification.au_names)} action units but {len(specification.au_rates)} rates")
        if not all(0 <= rate <= 1 for rate in specification.au_rates):
            raise BadInput("rates of action units must lie in 0..1")
    for field, largest in (("ambiguity", 1), ("nuisance", 2)):
        if not 0 <= (value := getattr(specification, field)) <= largest:
            raise BadInput(f"{field} must lie in 0..{largest}, not {value}")
