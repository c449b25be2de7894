"""Files of a trial's weights: safetensors with a card that says all that is needed to predict with them.

Nothing in them is pickled. The card is JSON in the file's metadata, so that a copied file stays whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import safetensors
import safetensors.torch
import torch
from msgspec import Struct
from torch import Tensor

from ...methods.base import Method
from ...protocols.base import Kind
from ...protocols.errors import BadInput, printable
from ...protocols.files import write_atomic
from .. import random_streams
from ..settings import Which

FORMAT = 1
METADATA = "fernoise_bench"
CHECKED_IMAGES = 2


class Network(Struct, frozen=True, forbid_unknown_fields=True):
    """What the encoders are built from.

    Attributes:
        encoder, neck: as in the recipe.
        start: kind of the initial weights, on which strides and pooling depend.
        mean, std: of RGB pixels in [0, 1], by which images are normalised inside the network.
    """

    encoder: str
    neck: str
    start: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


class Pictures(Struct, frozen=True, forbid_unknown_fields=True):
    """How a picture becomes the network's input.

    Attributes:
        stored: side in pixels to which the whole picture is resized first, as the pictures of its data set were.
        side: side in pixels to which that is reduced, by the means of areas.
        channels: 1 where it is grey then, else 3.
        resize: side in pixels to which it is resized next, or None.
        crop: side in pixels of the centre crop that the network sees.
    """

    stored: int
    side: int
    channels: int
    resize: int | None
    crop: int


class TaskSize(Struct, frozen=True, forbid_unknown_fields=True):
    """The numbers of the training that a method is constructed with."""

    train_size: int
    epochs: int
    steps_per_epoch: int
    frequency: tuple[float | None, ...]
    aux_names: tuple[str, ...]


class Scores(Struct, frozen=True, forbid_unknown_fields=True):
    """The protocol's metric, from 0 to 1, on all test and all validation rows; of which epoch, numbered from 1."""

    metric: str
    epoch: int
    test: float | None
    validation: float | None


class Card(Struct, frozen=True, forbid_unknown_fields=True):
    """What a file of weights is.

    Attributes:
        trial: the id of the trial that trained them.
        which: which epoch's they are.
        protocol: name@version.
        source: "real" or "generated" faces.
        method: name with variant, as typed.
        digest: of the method's code.
        names: classes or AUs, in the order of the probabilities.
        checked: probabilities [2][C] of `images_to_check`, by which a rebuilt network is compared with the trained one.
        versions: of this project and of torch.
        sha256: of all tensors.
    """

    trial: str
    which: Which
    protocol: str
    profile: str
    source: str
    method: str
    digest: str
    kind: Kind
    names: tuple[str, ...]
    network: Network
    pictures: Pictures
    task: TaskSize
    scores: Scores
    checked: tuple[tuple[float, ...], ...]
    versions: dict[str, str]
    sha256: str = ""
    format: int = FORMAT


_CARD = msgspec.json.Decoder(Card)


def noise_images(purpose: str, count: int, crop: int) -> Tensor:
    """Images float32 [count, 3, crop, crop] in [0, 1] of noise keyed by a purpose, the same everywhere."""
    stream = random_streams.key(purpose, crop)
    values = random_streams.uniforms(stream, np.arange(count), 3 * crop * crop).astype(np.float32)
    return torch.from_numpy(values).reshape(count, 3, crop, crop)


def images_to_check(crop: int) -> Tensor:
    """Images float32 [2, 3, crop, crop] in [0, 1] of keyed noise, the same everywhere."""
    return noise_images("images to check weights", CHECKED_IMAGES, crop)


@torch.inference_mode()
def predict_checked(method: Method, crop: int, device: torch.device) -> list[list[float]]:
    """Probabilities that a method in evaluation mode predicts for the images to check."""
    found: list[list[float]] = method.predict(images_to_check(crop).to(device)).float().cpu().tolist()
    return found


def write_weights(path: Path, method: Method, card: Card) -> None:
    """Writes all parameters and buffers of a method with their card, atomically."""
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in method.state_dict().items()}
    card = msgspec.structs.replace(card, sha256=_digest(tensors))
    metadata = {METADATA: msgspec.json.encode(card).decode()}
    write_atomic(path, safetensors.torch.save(tensors, metadata))


def read_card(path: Path) -> Card:
    """The card of a file of weights.

    Raises:
        BadInput: the file is missing, no safetensors file, has no card, or one of another format.
    """
    return _read(path)[0]


def read_weights(path: Path) -> tuple[Card, dict[str, Tensor]]:
    """The card and the tensors of a file of weights, on the CPU. Errors as for `read_card`."""
    card, names = _read(path)
    with safetensors.safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in names}
    if _digest(tensors) != card.sha256:
        raise BadInput(f"{path}: damaged, its tensors have another SHA-256 than its card says; copy it again")
    return card, tensors


def _digest(tensors: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(f"{name} {tensors[name].dtype} {list(tensors[name].shape)}\n".encode())
        found.update(tensors[name].numpy().tobytes())
    return found.hexdigest()


def _read(path: Path) -> tuple[Card, list[str]]:
    if not path.is_file():
        raise BadInput(f"{path}: no such file; name a file of weights, which run --keep-weights last writes")
    try:
        with safetensors.safe_open(path, "pt") as file:
            names, text = list(file.keys()), (file.metadata() or {}).get(METADATA)
    except (safetensors.SafetensorError, OSError, ValueError, UnicodeDecodeError) as error:
        told = printable(str(error))[:200]
        raise BadInput(f"{path}: not a whole safetensors file ({told}); copy it again") from error
    if text is None:
        raise BadInput(
            f"{path}: safetensors without a card of fernoise-bench, which says how to build the network; "
            "name a file that run --keep-weights wrote"
        )
    try:
        card = _CARD.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise BadInput(f"{path}: its card cannot be read ({printable(str(error))[:200]}); copy it again") from error
    if card.format != FORMAT:
        raise BadInput(f"{path}: its card has format {card.format}, this version reads {FORMAT}; update fernoise-bench")
    return card, names
