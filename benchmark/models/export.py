"""Export of a trained model to TorchScript or ONNX, checked by running it."""

from __future__ import annotations

import copy
import io
import warnings
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ...protocols.errors import BadInput
from ...protocols.files import write_atomic
from ..networks.encoders import CountedEncoder
from ..networks.kept_weights import noise_images
from .model import TrainedModel
from .packages import Format, check_packages

OPSET = 18
TOLERANCE = 1e-4  # of a probability
SIZES = (1, 3)  # batches by which an exported model is compared


class Exported(NamedTuple):
    """What was written: its size in bytes, ONNX's opset (None for TorchScript), the largest difference found."""

    size: int
    opset: int | None
    difference: float


def export(model: TrainedModel, to: Format, out: Path) -> Exported:
    """Writes a model that takes images float32 [N, 3, crop, crop] in [0, 1] and returns probabilities [N, C].

    Normalisation is inside; resizing and cropping are not. It is run on noise of two batch sizes, and refused where a
    probability differs by more than 1e-4 from the model's.

    Raises:
        BadInput: a package is missing, the model cannot be traced, or the exported one computes something else.
    """
    check_packages(to)
    crop = model.card.pictures.crop
    images = [noise_images("images to check an export", count, crop) for count in SIZES]
    expected = [model.predict_ready(batch) for batch in images]
    try:
        content = (_onnx if to == "onnx" else _torchscript)(_traceable(model), images[-1])
    except BadInput:
        raise
    except Exception as error:  # tracers raise errors of many types
        told = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise BadInput(f"--to {to}: {model.card.method} cannot be exported ({told})") from error
    run = _run_onnx if to == "onnx" else _run_torchscript
    pairs = zip(images, expected, strict=True)
    found = max(float((run(content, batch) - wanted).abs().max()) for batch, wanted in pairs)
    if not found <= TOLERANCE:
        raise BadInput(f"--to {to}: the exported model's probabilities differ by {found:.2g}; nothing was written")
    write_atomic(out, content)
    return Exported(len(content), OPSET if to == "onnx" else None, found)


def _traceable(model: TrainedModel) -> TrainedModel:
    """A copy whose encoders do not count their passes, and whose flags are constants: a trace has one branch."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, CountedEncoder):
            module.forward = module.compute  # type: ignore[method-assign]
        flags = {name: flag for name, flag in module.named_buffers(recurse=False) if _is_flag(flag)}
        for name, flag in flags.items():
            delattr(module, name)
            setattr(module, name, bool(flag))
    return model


def _is_flag(buffer: Tensor) -> bool:
    return buffer.dtype == torch.bool and buffer.dim() == 0


def _torchscript(model: TrainedModel, images: Tensor) -> bytes:
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers that are constant in the trace, as the count of passes
        traced = torch.jit.trace(model, (images,), check_trace=False)  # type: ignore[no-untyped-call]
        torch.jit.save(traced, buffer)
    return buffer.getvalue()


def _run_torchscript(content: bytes, images: Tensor) -> Tensor:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that TorchScript is no longer developed
        found: Tensor = torch.jit.load(io.BytesIO(content))(images)  # type: ignore[no-untyped-call]
    return found


def _onnx(model: TrainedModel, images: Tensor) -> bytes:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model, (images,), dynamo=True, opset_version=OPSET, verbose=False,
            input_names=["images"], output_names=["probabilities"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )  # fmt: skip
        assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


def _run_onnx(content: bytes, images: Tensor) -> Tensor:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"images": images.numpy()})
    return torch.from_numpy(found)
