"""The settings that every method of a protocol shares: device kind, precision, threads, weights, recipe."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..protocols.base import Recipe, added, measured
from ..protocols.errors import BadInput

PRECISIONS = ("fp32", "tf32", "bf16")
Which = Literal["last", "best-validation"]  # epoch of the weights that a trial keeps
KEPT_EPOCHS: tuple[Which, ...] = ("last", "best-validation")
WEIGHTS_ENDING = ".safetensors"

if TYPE_CHECKING:
    import torch

# of the GPU drivers of NVIDIA, of AMD, of Linux inside Windows, and of NVIDIA's Jetson boards
_DEVICE_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg", "/dev/nvmap")


_TENSOR_CORES = (8, 0)  # the compute capability from which NVIDIA's GPUs have TF32 and bf16


@dataclass(frozen=True)
class Settings:
    """The settings of a run; only results with equal settings are compared.

    Attributes:
        device: device kind, "cpu" or "cuda"; the model of the device is recorded, but is no setting.
        precision: "fp32", "tf32" (matrix products and convolutions on CUDA) or "bf16" (autocast inside encoders).
        threads: torch threads of a trial; results depend on it, so several workers use the other cores.
        cudnn_benchmark: cuDNN's search for the fastest kernel, off since its results are not repeatable.
        weights, weights_family, weights_sha256: the encoder's initial weights.
        recipe: the training recipe.
        compiled: whether encoders are compiled by torch.compile, which changes rounding.
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
        """The settings as plain data, as they are hashed."""
        plain: dict[str, Any] = measured(self)
        return plain


def weights_file(which: Which) -> str:
    """The name of a trial's file of weights."""
    return f"weights-{which}{WEIGHTS_ENDING}"


def choose_device(asked: str) -> str:
    """The device kind, "cpu" or "cuda", of "auto" too; BadInput where CUDA is asked for and there is none."""
    if asked == "auto":
        return "cuda" if _sees_cuda() else "cpu"
    if asked == "cuda" and not _sees_cuda():
        raise BadInput("--device cuda: torch sees no CUDA device here; use --device cpu")
    return asked


def _sees_cuda() -> bool:
    """Whether torch has a CUDA device; on Linux, torch is not imported where there is no device file of a driver."""
    if "torch" not in sys.modules and sys.platform == "linux" and not any(map(os.path.exists, _DEVICE_FILES)):
        return False
    import torch

    return torch.cuda.is_available()


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, each as CUDA_VISIBLE_DEVICES names it."""
    import torch

    count, named = torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return tuple(named.split(",")[:count]) if named else tuple(map(str, range(count)))


def check_precision(precision: str, device: str, *, here: bool = True) -> None:
    """Raises BadInput for arithmetic that a device does not have, which torch would leave out or imitate in silence.

    Args:
        precision: one of PRECISIONS.
        device: "cpu" or "cuda".
        here: whether that device is of this machine, and can be asked; of another, tf32 without CUDA is refused alone.
    """
    if precision == "tf32" and device != "cuda":
        raise BadInput("--precision tf32 is a mode of CUDA devices; use fp32 or bf16 on the CPU")
    if here and precision not in precisions_here(device):
        raise BadInput(f"--precision {precision}: a GPU of this machine has no {precision} arithmetic; use fp32")


def precisions_here(device: str) -> tuple[str, ...]:
    """The precisions that a device of this machine computes in: with several GPUs, those that all of them have."""
    if device != "cuda":
        return tuple(precision for precision in PRECISIONS if precision != "tf32")
    import torch

    capable = (torch.cuda.get_device_capability(number) for number in range(torch.cuda.device_count()))
    return PRECISIONS if all(found >= _TENSOR_CORES for found in capable) else ("fp32",)


def check_compiler(device: str) -> None:
    """Raises BadInput where torch.compile lacks its own compiler: Triton for CUDA, a C++ compiler for the CPU."""
    if device == "cuda" and importlib.util.find_spec("triton") is None:
        raise BadInput("--compile needs Triton on CUDA devices: pip install triton, or leave --compile out")
    if device == "cpu" and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "g++", "clang++"))):
        raise BadInput("--compile needs a C++ compiler on the CPU: install g++, or leave --compile out")


def apply_to_process(settings: Settings) -> torch.device:
    """Sets torch's process-wide flags for a trial, and returns the device to train on.

    Raises:
        BadInput: the device lacks the precision, as another machine's may.
    """
    check_precision(settings.precision, settings.device)
    set_arithmetic(settings.precision, settings.threads, cudnn_benchmark=settings.cudnn_benchmark)
    import torch

    return torch.device(settings.device)


def set_arithmetic(precision: str, threads: int = 1, *, cudnn_benchmark: bool = False) -> None:
    """Sets torch's process-wide flags, by which trials compute and speeds are measured."""
    import torch

    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = cudnn_benchmark
    torch.backends.cudnn.deterministic = True
    tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
