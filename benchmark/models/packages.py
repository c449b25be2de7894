"""The packages that a format of export needs, looked for without importing them or PyTorch."""

from __future__ import annotations

import importlib.util
from typing import Literal

from ...protocols.errors import BadInput

Format = Literal["onnx", "torchscript"]
_OF_ONNX = ("onnx", "onnxscript", "onnxruntime")


def check_packages(to: Format) -> None:
    """Raises BadInput, with what to install, where a package is missing that a format needs."""
    missing = [name for name in _OF_ONNX if to == "onnx" and importlib.util.find_spec(name) is None]
    if missing:
        raise BadInput(f"--to onnx needs {', '.join(missing)}: pip install 'fernoise-bench[export]'")
