"""A trained model, rebuilt from a file of kept weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...methods.base import Method, Task
from ...protocols.errors import BadInput
from .. import random_streams
from ..networks.encoders import CountedEncoder, Counters, EncoderFactory
from ..networks.initial_weights import Weights
from ..networks.kept_weights import Card, predict_checked, read_weights
from ..registry import MethodSpec, find
from ..settings import WEIGHTS_ENDING
from .pictures import images_as_input

BATCH = 256
TOLERANCE = 1e-3  # of a probability: rounding of another processor


class TrainedModel(nn.Module):
    """A trained method for prediction: images in [0, 1] to probabilities, normalisation inside.

    Attributes:
        card: what it is: method, classes, sizes, scores.
        names: classes or AUs, in the order of the probabilities.
    """

    def __init__(self, card: Card, method: Method) -> None:
        super().__init__()
        self.card = card
        self.names = card.names
        self.method = method
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities [N, C] of images float32 [N, 3, crop, crop] in [0, 1]."""
        return self.method.predict(images)

    @torch.inference_mode()
    def predict(self, images: NDArray[Any] | Tensor) -> Tensor:
        """Probabilities float32 [N, C], on the CPU, of images of any size.

        Args:
            images: uint8 [N, H, W] or [N, H, W, 1 or 3], or float [N, 3, H, W] in [0, 1]; each is a whole face, which
                is resized and cropped as those of the training were.

        Raises:
            BadInput: another shape or type, or values outside [0, 1].
        """
        ready = images_as_input(images, self.card.pictures)
        return self.predict_ready(ready)

    @torch.inference_mode()
    def predict_ready(self, images: Tensor) -> Tensor:
        """The same of images that already are float32 [N, 3, crop, crop] in [0, 1]."""
        device = next((value.device for value in self.state_dict().values()), torch.device("cpu"))
        found = [self(part.to(device)).float().cpu() for part in torch.split(images, BATCH)] if len(images) else []
        return torch.cat(found) if found else torch.zeros(0, len(self.names))


def load_model(path: Path | str, method: str | None = None, device: str = "cpu") -> TrainedModel:
    """Rebuilds a model from a file of weights, or from a trial's folder that has one.

    Args:
        path: a file that `run --keep-weights` wrote, or its trial's folder.
        method: the method's file and class, as in "mine.py:Mine", for weights of a method that is no part of this
            package; None: by the name on the card.
        device: "cpu" or "cuda".

    Raises:
        BadInput: no such file, not one of weights, the method is unknown here or has other code, or the rebuilt network
            does not predict what the trained one did.
    """
    file = weights_file(Path(path))
    card, tensors = read_weights(file)
    spec = _method_of(card, method, file)
    with _as_damage(file, spec):
        built = _build(card, spec, torch.device(device))
        _load(built, tensors)
        built.to(device).eval()
        found = torch.tensor(predict_checked(built, card.pictures.crop, torch.device(device)))
        far = float((found - torch.tensor(card.checked)).abs().max())
    if not far <= TOLERANCE:
        raise BadInput(
            f"{file}: the rebuilt network's probabilities differ by {far:.2g} from those of the trained one; "
            f"fernoise-bench or torch differ from those of the card ({_versions(card)})"
        )
    return TrainedModel(card, built)


def weights_file(path: Path) -> Path:
    """The file of weights that a path names: itself, or the only one in a trial's folder.

    Raises:
        BadInput: a folder without one, or with two.
    """
    if not path.is_dir():
        return path
    found = sorted(path.glob(f"weights-*{WEIGHTS_ENDING}"))
    if len(found) == 1:
        return found[0]
    if found:
        raise BadInput(f"{path}: {' and '.join(each.name for each in found)}; name one of the files")
    raise BadInput(f"{path}: no weights in this folder; a trial keeps them with run --keep-weights last --fresh")


def _method_of(card: Card, named: str | None, file: Path) -> MethodSpec:
    try:
        spec = find(named or card.method)
    except BadInput as error:
        raise BadInput(
            f"{file}: weights of the method {card.method}, which is not known here; name its file, as in "
            f"--method mine.py:Mine ({error})"
        ) from error
    if spec.name != card.method:
        raise BadInput(f"{file}: weights of the method {card.method}, not of {spec.name}")
    if spec.digest != card.digest:
        raise BadInput(
            f"{file}: trained by {card.method} with code of digest {card.digest}, and {spec.name} has {spec.digest} "
            f"here; use the version that trained it ({_versions(card)})"
        )
    return spec


def _versions(card: Card) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(card.versions.items()))


@contextmanager
def _as_damage(file: Path, spec: MethodSpec) -> Iterator[None]:
    """Turns what a network of other parts raises into one line."""
    try:
        yield
    except BadInput:
        raise
    except Exception as error:  # a method may raise anything, as may the loading of tensors of another shape
        told = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise BadInput(f"{file}: {spec.name} cannot be rebuilt from it ({told}); copy the file again") from error


def _build(card: Card, spec: MethodSpec, device: torch.device) -> Method:
    """The method as it was constructed, without data and initial weights."""
    size, network = card.task, card.network
    shares = [math.nan if share is None else share for share in size.frequency]
    labels, several = (len(card.names), ()) if card.kind == "single" else (2, (len(card.names),))
    task = Task(
        kind=card.kind,
        num_classes=len(card.names),
        names=card.names,
        train_size=size.train_size,
        epochs=size.epochs,
        steps_per_epoch=size.steps_per_epoch,
        frequency=torch.tensor(shares, dtype=torch.float64),
        noise_rate=0.0,  # what a method made of the true one, or transition, is among its buffers
        aux_names=size.aux_names,
        transition=torch.eye(labels, dtype=torch.float64).expand(*several, labels, labels),
    )
    # the kind of VGGFace2's weights decides strides and pooling; of others it decides what is loaded, which is here
    weights = Weights("vggface2" if network.start == "vggface2" else "none")
    encoders = EncoderFactory(
        network.encoder, weights, 0, Counters(), "fp32", device, network.neck, len(card.names) if network.neck else 0
    )
    with random_streams.scope(device, "rebuilding"):
        built = spec.load()(task, encoders, spec.params)
    for module in built.modules():
        if isinstance(module, CountedEncoder):
            module.mean.copy_(torch.tensor(network.mean).view(1, 3, 1, 1))
            module.std.copy_(torch.tensor(network.std).view(1, 3, 1, 1))
    return built


def _load(method: Method, tensors: dict[str, Tensor]) -> None:
    """Loads all tensors; buffers that a method makes from its data in `prepare` are made first."""
    for name in tensors.keys() - method.state_dict().keys():
        place, _, own = name.rpartition(".")
        method.get_submodule(place).register_buffer(own, torch.empty_like(tensors[name]))
    for name, value in method.named_buffers():
        if name in tensors and tensors[name].shape != value.shape:
            place, _, own = name.rpartition(".")
            setattr(method.get_submodule(place), own, torch.empty_like(tensors[name]))
    method.load_state_dict(tensors)
