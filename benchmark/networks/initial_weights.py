"""Initial weights: none, of a package, ImageNet's by timm, MS-Celeb-1M's or VGGFace2's checkpoints, or a user's own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from shlex import quote
from typing import Any

import safetensors.torch
import timm
import torch
from torch import Tensor, nn

from ...protocols.errors import BadInput, printable
from ...protocols.files import not_fetched
from ...protocols.readers.look_around import Signs, look_around, near
from . import safe_load
from .checkpoint_state import parameters_of
from .package_weights import dlib_weights, efficientnet_lite0_weights
from .provenance import MSCELEB_FILES, OWN, doubt

VGGFACE2_STEM = "resnet50_ft_weight"
VGGFACE2_FILES = tuple(VGGFACE2_STEM + ending for ending in (".safetensors", ".pth", ".pt"))
VGGFACE2_IDENTITIES = 8631
LAST_STAGE = "layer4."
REDUCED = 256  # dimensions of the layer before the classifier of ijba_res18_naive
# Word -> what it stands for, names of its file, who links to it.
_PUBLISHED = {
    "msceleb": (
        "a ResNet-18 trained on MS-Celeb-1M", MSCELEB_FILES, "the SCN and RUL repositories link to them",
    ),
    "vggface2": (
        "a ResNet-50 trained on VGGFace2", VGGFACE2_FILES, "the VGGFace2-pytorch repository links to a pickle of it",
    ),
}  # fmt: skip
_FOLDERS = ("weights", "pretrained", "checkpoints", "models")
EXPECTED = "expected a ResNet-18 trained on MS-Celeb-1M or a ResNet-50 trained on VGGFace2"
# Unpickles NumPy arrays only: it stops at any other name in the pickle, before that name's code runs.
UNPICKLE = (
    "import pickle, sys, torch; P = pickle.Unpickler; "
    "T = dict.fromkeys(['numpy ndarray', 'numpy dtype', 'numpy _reconstruct', 'numpy scalar', '_codecs encode', "
    "'collections OrderedDict'], P.find_class); "
    "U = type('U', (P,), dict(find_class=lambda s, m, n: T[m.split('.')[0] + ' ' + n](s, m, n))); "
    "torch.save({k: torch.tensor(v) for k, v in U(open(sys.argv[1], 'rb'), encoding='latin1').load().items()}, "
    "sys.argv[2])"
)
# Keeps the parameters of a checkpoint alone. Other objects in it become empty ones, before any code of theirs runs.
RESAVE = (
    "import pickle, sys, types, torch; P = pickle.Unpickler; "
    "T = dict.fromkeys(['torch._utils _rebuild_tensor_v2', 'torch._utils _rebuild_parameter', "
    "'collections OrderedDict'], P.find_class); "
    "E = type('Other', (dict,), dict(__init__=lambda *a, **k: None, __setstate__=lambda *a: None, "
    "__call__=lambda s, *a, **k: s, append=lambda *a: None, extend=lambda *a: None)); "
    "M = types.ModuleType('parameters_only'); "
    "M.Unpickler = type('U', (P,), dict(find_class=lambda s, m, n: T.get(m + ' ' + n, lambda *a: E)(s, m, n))); "
    "M.load = lambda f, **k: M.Unpickler(f, **k).load(); "
    "S = torch.load(sys.argv[1], map_location='cpu', pickle_module=M, weights_only=False); "
    "S = S.get('state_dict', S.get('model_state_dict', S)); "
    "torch.save({k: v for k, v in S.items() if torch.is_tensor(v)}, sys.argv[2])"
)
_OTHER_OBJECT = re.compile(r"GLOBAL (\S+) was not an allowed global")


@dataclass(frozen=True)
class Weights:
    """An encoder's initial weights.

    Attributes:
        kind: "none", "imagenet", "msceleb", "vggface2", "dlib", or OWN for a checkpoint that is neither of these.
        family: "ijba_res18_naive", "resnet18_msceleb" or "resnet50_vggface2" for a published checkpoint, "resnet18" for
            a user's own; the network for the weights of a package; timm's tag for ImageNet; else "".
        sha256: of the checkpoint or the package's file, else "".
        state: its backbone parameters by the names of the network it fits, else None.
        doubt: why a checkpoint is the user's own, else "".
    """

    kind: str
    family: str = ""
    sha256: str = ""
    state: Mapping[str, Tensor] | None = None
    doubt: str = ""

    def load_into(self, model: nn.Module, name: str) -> None:
        """Loads the checkpoint; BadInput where keys or shapes differ, but for a last stage that the model lacks."""
        expected, given = model.state_dict(), dict(self.state or {})
        if not any(key.startswith(LAST_STAGE) for key in expected):
            given = {key: value for key, value in given.items() if not key.startswith(LAST_STAGE)}
        missing = [key for key in expected if key not in given and not key.endswith("num_batches_tracked")]
        unexpected = [key for key in given if key not in expected]
        shapes = [key for key in expected if key in given and given[key].shape != expected[key].shape]
        faults = {"missing keys": missing, "unexpected keys": unexpected, "keys of another shape": shapes}
        if problems := [f"{what} {', '.join(keys[:3])}" for what, keys in faults.items() if keys]:
            raise BadInput(f"the {self.family} checkpoint does not fit {name}: {'; '.join(problems)}")
        model.load_state_dict({**expected, **given})


def imagenet_tag(encoder: str) -> str:
    """timm's tag of the ImageNet weights of a model, which names how they were trained; "" for an unknown model."""
    found = timm.get_pretrained_cfg(encoder, allow_unregistered=True) if timm.is_model(encoder) else None
    return str(found.tag) if found is not None else ""


def resolve(asked: str, encoder: str, data_root: Path) -> Weights:
    """The weights that a recipe or `--weights` names.

    Args:
        asked: "none", "imagenet", "dlib" or "efficientnet_lite0" (of packages), "msceleb" or "vggface2" (looked for in
            data_root/weights), or a checkpoint file.
        encoder: the recipe's encoder.
        data_root: folder of the data sets.

    Raises:
        BadInput: the file is missing, is not a checkpoint, is of another model, or is not what a word stands for.
    """
    if asked == "none":
        return Weights("none")
    if asked == "imagenet":
        return Weights("imagenet", imagenet_tag(encoder))
    if asked == "dlib":
        state, digest = dlib_weights()
        return Weights("dlib", "dlib_face_recognition", digest, state)
    if asked == "efficientnet_lite0":
        state, digest = efficientnet_lite0_weights()
        return Weights("imagenet", "efficientnet_lite0", digest, state)
    if asked in _PUBLISHED:
        return _published(asked, data_root / "weights")
    return read_checkpoint(Path(asked))


def _published(word: str, folder: Path) -> Weights:
    """The published checkpoint that a word stands for; BadInput where it is missing or another one has its name."""
    what, files, link = _PUBLISHED[word]
    pickled = f"{VGGFACE2_STEM}.pkl"  # refused, with how to convert it
    names = files + (pickled,) * (word == "vggface2" and (folder / pickled).is_file())
    path = _find(folder, names, what, link)
    found = read_checkpoint(path)
    if found.kind != word:
        why = (word == "msceleb" and found.doubt) or f"its keys are those of {found.family}"
        remedy = f"put the published file there ({link}), or start from this one with --weights {quote(str(path))}"
        raise BadInput(f"{path}: not {what}: {why}; {remedy}")
    return found


def _find(folder: Path, names: tuple[str, ...], what: str, link: str) -> Path:
    """The first of some files that exists; BadInput where none does."""
    found = [folder / name for name in names if (folder / name).is_file()]
    if not found:
        there = look_around(folder, Signs(names, _FOLDERS))
        raise BadInput(
            f"this protocol starts from {what}: none of {', '.join(names)} is in {folder}"
            f"{f', but {there}' if there else near(folder / names[-1])}; {link}, or pass "
            "--weights FILE, or --weights none to train from scratch (never compared in one table with results that "
            "start from weights)"
        )
    return found[0]


def read_checkpoint(path: Path) -> Weights:
    """Reads a checkpoint file, whose family is recognised by its keys.

    Its parameters are found as in `checkpoint_state`; their keys are torchvision's names.
    `ijba_res18_naive`: with a 256-d `feature`; it and `fc` are dropped.
    `resnet18_msceleb`: a classifier `fc` is dropped.
    A ResNet-18 in one of these layouts that is not the published network (see `provenance`) is the user's own.
    `resnet50_vggface2`: `fc` and `feature` are dropped, the last stage may be missing. The published networks read BGR;
    the first convolution's channels are reversed, to read RGB.

    Raises:
        BadInput: missing, unreadable with `weights_only=True`, or with other keys.
    """
    if not path.is_file():
        raise BadInput(
            f"--weights {path}: no such file (known words: none, imagenet, dlib, efficientnet_lite0, msceleb, vggface2)"
            f"{near(path / 'weights.pth' if path.is_dir() else path)}"
        )
    try:
        content, digest = _read(path)
    except BadInput as error:
        raise BadInput(f"{path.name}: {error}; {EXPECTED}") from error
    except Exception as error:  # torch.load may raise nearly anything for a file that is no checkpoint
        raise _unreadable(path, error) from error
    state, place = parameters_of(content, path.name, EXPECTED)
    family, backbone = _recognise(state, path.name)
    if family == "resnet50_vggface2":
        return Weights("vggface2", family, digest, backbone)
    why = doubt(family, state, path.name, digest)
    if place and not why:
        why = f"its parameters are under {printable(place)}, where those of the published file are not"
    return Weights(OWN, "resnet18", digest, backbone, why) if why else Weights("msceleb", family, digest, backbone)


def _unreadable(path: Path, error: Exception) -> BadInput:
    """The error for a file that torch.load refuses, with the command that converts it where there is one."""
    if path.suffix in (".pkl", ".pickle"):
        return BadInput(
            f"{path}: a pickle may run any code and is not read; convert it with this command, then use the .pth: "
            f'python -c "{UNPICKLE}" {quote(str(path))} {quote(str(path.with_suffix(".pth")))}'
        )
    what = f"{path.name}: not a checkpoint that can be loaded safely"
    if other := _OTHER_OBJECT.search(str(error)):
        kept = quote(str(path.with_name(f"{path.name.partition('.')[0]}-parameters.pth")))
        return BadInput(
            f"{what}, since it also holds {other[1]}; this command keeps its parameters alone and runs no code from "
            f'it, then use {kept}: python -c "{RESAVE}" {quote(str(path))} {kept}'
        )
    start = b"" if isinstance(error, OSError) else path.read_bytes()[:4096]
    if left := not_fetched(path, start):
        return BadInput(f"{path.name}: {left}")
    return BadInput(f"{what} ({type(error).__name__}); {EXPECTED}")


def _read(path: Path) -> tuple[Any, str]:
    """The content of a file, read without running code from it, and its SHA-256."""
    data = path.read_bytes()
    if path.suffix == ".safetensors":
        content: Any = safetensors.torch.load(data)
    else:
        content = safe_load.load(BytesIO(data), torch.device("cpu"))
    return content, hashlib.sha256(data).hexdigest()


def _recognise(plain: Mapping[str, Tensor], name: str) -> tuple[str, dict[str, Tensor]]:
    """The family of a checkpoint, and its backbone's parameters by torchvision's names."""
    if {"conv1.weight", "layer1.2.conv3.weight", "layer3.5.conv3.weight"} <= plain.keys() and not any(
        key.startswith("layer3.6.") for key in plain
    ):
        return "resnet50_vggface2", _vggface2(plain, name)
    if "conv1.weight" not in plain or "layer4.1.conv2.weight" not in plain or "layer1.2.conv1.weight" in plain:
        raise BadInput(
            f"{name}: its keys are neither a ResNet-18's nor a ResNet-50's "
            f"(first: {', '.join(list(plain)[:3]) or 'none'}); {EXPECTED}"
        )
    feature = plain.get("feature.weight")
    reduced = feature is not None and tuple(feature.shape) == (REDUCED, 512)
    family = "ijba_res18_naive" if reduced else "resnet18_msceleb"
    dropped = ("feature.", "fc.") if family == "ijba_res18_naive" else ("fc.",)
    return family, {key: value for key, value in plain.items() if not key.startswith(dropped)}


def _vggface2(plain: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The backbone of VGGFace2's published ResNet-50, changed to read RGB instead of BGR."""
    outputs = len(plain["fc.weight"]) if "fc.weight" in plain and plain["fc.weight"].ndim else VGGFACE2_IDENTITIES
    if "fc.weight" not in plain and name not in VGGFACE2_FILES:
        raise BadInput(
            f"{name}: a ResNet-50 without its classifier could be any, and VGGFace2's reads BGR; if it is VGGFace2's, "
            f"name it {VGGFACE2_FILES[1]}"
        )
    if outputs != VGGFACE2_IDENTITIES:
        raise BadInput(
            f"{name}: a ResNet-50 with {outputs} classes is not the published one for VGGFace2's {VGGFACE2_IDENTITIES} "
            f"identities; {EXPECTED}"
        )
    kept = {key: value for key, value in plain.items() if not key.startswith(("fc.", "feature."))}
    return kept | {"conv1.weight": kept["conv1.weight"].flip(1)}
