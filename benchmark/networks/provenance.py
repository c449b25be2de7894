"""Which published face-recognition network a ResNet-18's checkpoint is, if any.

No checksum of these files is published, so they are told by what is: the classifier's shape, and for
`resnet18_msceleb.pth`, whose classifier has ImageNet's shape, also the file's name. All others are the user's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import timm
import torch
from torch import Tensor

OWN = "user's own"
"""The kind of weights whose source is not known."""
MSCELEB_FILES = ("ijba_res18_naive.pth.tar", "res18_naive.pth_MSceleb.tar", "resnet18_msceleb.pth")

# The MS-Celeb-1M identities that DREAM's networks were trained to tell apart, by features of length 256.
_IJBA_HEAD, _IJBA_FEATURE = (87_020, 256), (256, 512)
# DAN, EAC and others load the file strictly into torchvision's ResNet-18 of 1,000 outputs.
_MSCELEB_HEAD = (1_000, 512)
# The first row of the first filter of torchvision's ImageNet weights, by which a file that was saved again is known.
_IMAGENET_FILTER = (-1.0419e-02, -6.1356e-03, -1.8098e-03, 7.4841e-02, 5.6615e-02, 1.7083e-02, -1.2694e-02)
_DIGEST = re.compile(r"-([0-9a-f]{8})\.(?:pth|pt)$")


def doubt(family: str, state: Mapping[str, Tensor], name: str, sha256: str) -> str:
    """Why a checkpoint is not the published network of a family; an empty string if nothing speaks against it.

    Args:
        family: "ijba_res18_naive" or "resnet18_msceleb", the layout of its keys.
        state: its parameters by torchvision's names.
        name: of the file.
        sha256: of the file.
    """
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    expected = {"fc.weight": _MSCELEB_HEAD}
    if family == "ijba_res18_naive":
        expected = {"fc.weight": _IJBA_HEAD, "feature.weight": _IJBA_FEATURE}
    for key, shape in expected.items():
        if shapes.get(key) != shape:
            has = f"of shape {' x '.join(map(str, shapes[key]))}" if key in shapes else "missing"
            return f"its {key} is {has}, that of {family} is of shape {' x '.join(map(str, shape))}"
    if tag := _imagenet_tag(sha256):
        return f"it is ImageNet's {tag}"
    if _is_imagenets(state):
        return "it is torchvision's, trained on ImageNet, saved again"
    if family == "resnet18_msceleb" and name not in MSCELEB_FILES:
        return f"its classifier is like ImageNet's, and its name is not {MSCELEB_FILES[-1]}"
    return ""


def _is_imagenets(state: Mapping[str, Tensor]) -> bool:
    """Whether the first filter is that of torchvision's ImageNet weights, also in half precision."""
    filters = state.get("conv1.weight")
    if filters is None or tuple(filters.shape[1:]) != (3, 7, 7):
        return False
    return torch.allclose(filters[0, 0, 0].float(), torch.tensor(_IMAGENET_FILTER), rtol=0, atol=1e-4)


def _imagenet_tag(sha256: str) -> str:
    """timm's name of the ImageNet weights with a SHA-256, whose first digits are in the names of their files."""
    for name in timm.list_pretrained("resnet18.*"):
        about = timm.get_pretrained_cfg(name)
        found = _DIGEST.search(str(about.url or "") if about else "")
        if found and sha256.startswith(found[1]):
            return str(name)
    return ""
