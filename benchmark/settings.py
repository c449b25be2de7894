"""What is the same for every method of a protocol: device kind, precision, threads, weights, recipe."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..protocols.base import Recipe, added, measured
from ..protocols.errors import BadInput

PRECISIONS = ("fp32", "tf32", "bf16")

if TYPE_CHECKING:
    import torch

# NVIDIA's driver, AMD's, that of Linux inside Windows, that of a Jetson
_DEVICE_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg", "/dev/nvmap")


@dataclass(frozen=True)
class Settings:
    """Frozen and part of the comparability key.

    Attributes:
        device: device kind, "cpu" or "cuda"; the model is recorded only.
        precision: "fp32", "tf32" (matrix products and convolutions on CUDA) or "bf16" (autocast inside encoders).
        threads: torch threads of a trial; results depend on it, so workers fill the cores instead.
        cudnn_benchmark: cuDNN's search for the fastest kernel, off since it is not repeatable.
        weights, weights_family, weights_sha256: the encoder's initial weights.
        recipe: the protocol's recipe for every method.
        compiled: whether torch.compile makes one kernel of several inside encoders, which rounds otherwise.
    """

    device: str
    precision: str
    weights: str
    weights_family: str
    weights_sha256: str
    recipe: Recipe
    threads: int = 1
    cudnn_benchmark: bool = False
    compiled: bool = added(False)

    def as_json(self) -> dict[str, Any]:
        """Plain data, as hashed."""
        plain: dict[str, Any] = measured(self)
        return plain


def choose_device(asked: str) -> str:
    """The device kind: "auto" takes CUDA where there is one; BadInput where CUDA is asked for in vain."""
    if asked == "auto":
        return "cuda" if _sees_cuda() else "cpu"
    if asked == "cuda" and not _sees_cuda():
        raise BadInput("--device cuda: torch sees no CUDA device here; use --device cpu")
    return asked


def _sees_cuda() -> bool:
    """Whether torch has a CUDA device; on Linux it is not even imported where no driver made a device file."""
    if "torch" not in sys.modules and sys.platform == "linux" and not any(map(os.path.exists, _DEVICE_FILES)):
        return False
    import torch

    return torch.cuda.is_available()


def check_precision(precision: str, device: str) -> None:
    """BadInput for tf32 without CUDA."""
    if precision == "tf32" and device != "cuda":
        raise BadInput("--precision tf32 is a mode of CUDA devices; use fp32 or bf16 on the CPU")


def check_compiler(device: str) -> None:
    """BadInput where torch.compile lacks what it makes kernels with: Triton for CUDA, a C++ compiler for the CPU."""
    if device == "cuda" and importlib.util.find_spec("triton") is None:
        raise BadInput("--compile needs Triton on CUDA devices: pip install triton, or leave --compile out")
    if device == "cpu" and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "g++", "clang++"))):
        raise BadInput("--compile needs a C++ compiler on the CPU: install g++, or leave --compile out")


def apply_to_process(settings: Settings) -> torch.device:
    """Sets torch's process-wide flags for a trial and returns its device."""
    import torch

    torch.set_num_threads(settings.threads)
    torch.backends.cudnn.benchmark = settings.cudnn_benchmark
    torch.backends.cudnn.deterministic = True
    tf32 = settings.precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    return torch.device(settings.device)
