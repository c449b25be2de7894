"""Pictures as a network takes them: resized, reduced and cropped as those it was trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ...protocols.base import Augmentation
from ...protocols.errors import BadInput
from ...protocols.images import decoding, landmarks
from ...protocols.images.image_pool import Memory, of_pool
from ..networks.kept_weights import Pictures
from ..training.augmentation import test_view

Face = NDArray[np.uint8]


def face_of_file(path: Path, how: Pictures, *, align: bool = False) -> Face:
    """The face uint8 [stored, stored, channels] of a picture's file, the whole picture unless it is aligned.

    Raises:
        BadInput: the picture is missing or damaged, or no face is found in it.
    """
    make = landmarks.upright if align else decoding.fit
    return _channels(decoding.load(path, lambda where, picture, box: make(where, picture, box, how.stored)), how)


def check_detector() -> None:
    """Raises BadInput where faces cannot be found and aligned, which needs the extra [align]."""
    landmarks.models()


def face_of_array(image: Face, how: Pictures) -> Face:
    """The same of an image uint8 [H, W], [H, W, 1] or [H, W, 3] in memory."""
    squeezed = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    picture = Image.fromarray(squeezed).convert("RGB")
    return _channels(decoding.fit(Path("image"), picture, None, how.stored), how)


def network_input(faces: NDArray[np.uint8], how: Pictures) -> Tensor:
    """Faces uint8 [N, stored, stored, channels] as float32 [N, 3, crop, crop] in [0, 1]."""
    pixels = of_pool(Memory(faces), how.side).read()
    pad = max(0, how.crop - how.side) if how.resize is None else 0  # a larger crop repeats the edges
    augmentation = Augmentation(crop=how.crop, resize=how.resize, pad=pad)
    return test_view(torch.from_numpy(pixels), torch.arange(len(pixels)), augmentation)


def images_as_input(images: NDArray[np.generic] | Tensor, how: Pictures) -> Tensor:
    """Images in memory as float32 [N, 3, crop, crop] in [0, 1].

    Args:
        images: uint8 [N, H, W, 3], or grey [N, H, W] or [N, H, W, 1]; or float [N, 3, H, W] in [0, 1], which is
            rounded to 8 bits where it has to be resized.
        how: of the network.

    Raises:
        BadInput: another shape or type, or values outside [0, 1].
    """
    array = images.detach().cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)
    if array.ndim == 3 and array.shape[-1] in (1, 3):
        raise BadInput(f"one image of shape {list(array.shape)}: give several as [N, H, W, 3], one as images[None]")
    if array.dtype == np.uint8 and (array.ndim == 3 or (array.ndim == 4 and array.shape[3] in (1, 3))):
        return _stacked(array, how)
    if array.ndim == 4 and array.shape[1] == 3 and np.issubdtype(array.dtype, np.floating):
        if array.size and not (array.min() >= 0 and array.max() <= 1):
            raise BadInput(f"images between {array.min():.4g} and {array.max():.4g}; floats must lie in [0, 1]")
        if array.shape[2:] == (how.crop, how.crop):
            return torch.from_numpy(array.astype(np.float32))
        return _stacked(np.rint(array * 255).astype(np.uint8).transpose(0, 2, 3, 1), how)
    raise BadInput(
        f"images of shape {list(array.shape)} and type {array.dtype}; give uint8 [N, H, W, 3] or float [N, 3, H, W] "
        "in [0, 1]"
    )


def _stacked(images: NDArray[np.uint8], how: Pictures) -> Tensor:
    if not len(images):
        return torch.zeros(0, 3, how.crop, how.crop)
    return network_input(np.stack([face_of_array(image, how) for image in images]), how)


def _channels(face: Face, how: Pictures) -> Face:
    if how.channels == 3:
        return face
    return np.asarray(Image.fromarray(face).convert("L"))[..., None]
