"""Initial weights: none, ImageNet through timm, or a user's MS-Celeb-1M checkpoint of either known family."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from ..protocols.errors import BadInput

MSCELEB_FILES = ("ijba_res18_naive.pth.tar", "res18_naive.pth_MSceleb.tar", "resnet18_msceleb.pth")


@dataclass(frozen=True)
class Weights:
    """Where an encoder's initial weights come from.

    Attributes:
        kind: "none", "imagenet" or "msceleb".
        family: the key layout of a checkpoint file ("ijba_res18_naive", "resnet18_msceleb"), else "".
        sha256: of the checkpoint file, else "".
        state: its backbone parameters by torchvision's names, else None.
    """

    kind: str
    family: str = ""
    sha256: str = ""
    state: Mapping[str, Tensor] | None = None

    def load_into(self, model: nn.Module, name: str) -> None:
        """Loads the backbone; a missing or left-over key is an error, never silence."""
        expected, given = model.state_dict(), dict(self.state or {})
        missing = [key for key in expected if key not in given and not key.endswith("num_batches_tracked")]
        left_over = [key for key in given if key not in expected]
        shapes = [key for key in expected if key in given and given[key].shape != expected[key].shape]
        if missing or left_over or shapes:
            problems = [f"missing {missing[:3]}"] * bool(missing) + [f"left over {left_over[:3]}"] * bool(left_over)
            problems += [f"other shape {shapes[:3]}"] * bool(shapes)
            raise BadInput(f"the {self.family} checkpoint does not fit {name}: {'; '.join(problems)}")
        model.load_state_dict({**expected, **given})


def imagenet_tag(encoder: str) -> str:
    """timm's tag of the ImageNet weights of a model, which names the training they come from; "" for no such model."""
    found = timm.get_pretrained_cfg(encoder, allow_unregistered=True) if timm.is_model(encoder) else None
    return str(found.tag) if found is not None else ""


def resolve(asked: str, encoder: str, data_root: Path) -> Weights:
    """The weights of a recipe or of `--weights`.

    Args:
        encoder: the recipe's encoder.
        asked: "none", "imagenet", "msceleb" (looked for in data_root/weights), or a checkpoint file.
        data_root: the user's data folder.

    Raises:
        BadInput: the file is absent, is no checkpoint, or is of another kind.
    """
    if asked == "none":
        return Weights("none")
    if asked == "imagenet":
        return Weights("imagenet", imagenet_tag(encoder))
    if asked == "msceleb":
        places = [data_root / "weights" / name for name in MSCELEB_FILES]
        found = [place for place in places if place.is_file()]
        if not found:
            raise BadInput(
                f"this protocol starts from a ResNet-18 trained on MS-Celeb-1M: none of {', '.join(MSCELEB_FILES)} "
                f"is in {data_root / 'weights'}; the SCN and RUL repositories link to them, or pass --weights FILE, or "
                "--weights none to train from scratch (another comparability key)"
            )
        return read_checkpoint(found[0])
    return read_checkpoint(Path(asked))


def read_checkpoint(path: Path) -> Weights:
    """A ResNet-18 checkpoint of one of the two MS-Celeb-1M families, told apart by its keys.

    `ijba_res18_naive`: keys `module.*` with a 256-d `module.feature` and `module.fc`, which are dropped.
    `resnet18_msceleb`: torchvision's names, a classifier `fc` at most.

    Raises:
        BadInput: absent, unreadable with `weights_only=True`, or another layout.
    """
    if not path.is_file():
        raise BadInput(f"--weights {path}: no such file (known words: none, imagenet, msceleb)")
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that are no checkpoint make torch.load raise nearly anything
        raise BadInput(
            f"{path.name}: not a checkpoint that can be loaded safely ({type(error).__name__}); "
            "expected a ResNet-18 trained on MS-Celeb-1M"
        ) from error
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise BadInput(f"{path.name}: holds no parameters (state_dict); expected a ResNet-18 trained on MS-Celeb-1M")
    family, backbone = _recognise(state, path.name)
    return Weights("msceleb", family, digest, backbone)


def _recognise(state: Mapping[str, Tensor], name: str) -> tuple[str, dict[str, Tensor]]:
    """The family of a key layout, and the backbone's parameters by torchvision's names."""
    wrapped = all(key.startswith("module.") for key in state)
    plain = {key.removeprefix("module."): value for key, value in state.items()}
    if "conv1.weight" not in plain or "layer4.1.conv2.weight" not in plain or "layer1.2.conv1.weight" in plain:
        raise BadInput(
            f"{name}: its keys are not a ResNet-18's (first: {', '.join(list(state)[:3]) or 'none'}); "
            "expected a ResNet-18 trained on MS-Celeb-1M"
        )
    family = "ijba_res18_naive" if wrapped and "feature.weight" in plain else "resnet18_msceleb"
    dropped = ("feature.", "fc.") if family == "ijba_res18_naive" else ("fc.",)
    return family, {key: value for key, value in plain.items() if not key.startswith(dropped)}
