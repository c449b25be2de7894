"""Exported models compute what the model does, for batches of any size."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from fernoise_bench.benchmark.cli import main
from fernoise_bench.benchmark.models import export as exporting
from fernoise_bench.benchmark.models.model import load_model
from fernoise_bench.protocols.base import Kind
from fernoise_bench.protocols.errors import BadInput

from ...toy import SIDE
from .test_model import kept

IMAGES = torch.rand(5, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(("name", "kind"), [("supervised", "single"), ("cocuring", "single"), ("recot", "multi")])
def test_torchscript_normalises_inside(name: str, kind: Kind, tmp_path: Path) -> None:
    """Of one network, of two whose predictions are averaged, and of AUs."""
    _, folder = kept(name, kind, tmp_path)
    out = tmp_path / "model.pt"
    result = CliRunner().invoke(main, ["export", str(folder), "--to", "torchscript", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert f"input: images float32 [N, 3, {SIDE}, {SIDE}]" in result.stdout
    with pytest.warns(FutureWarning) if torch.__version__ >= "2.9" else _nothing():
        loaded = torch.jit.load(io.BytesIO(out.read_bytes()))
    with torch.no_grad():
        assert torch.allclose(loaded(IMAGES), load_model(folder).predict(IMAGES), atol=1e-5)


def _nothing() -> io.BytesIO:
    return io.BytesIO()


def test_onnx_runs_in_onnxruntime(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    _, folder = kept("cocuring", "single", tmp_path)
    out = tmp_path / "model.onnx"
    result = CliRunner().invoke(main, ["export", str(folder), "--to", "onnx", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert f"onnx, opset {exporting.OPSET}, " in result.stdout
    session = runtime.InferenceSession(out.read_bytes(), providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], {"images": IMAGES.numpy()})
    assert torch.allclose(torch.from_numpy(found), load_model(folder).predict(IMAGES), atol=1e-4)


def test_an_export_that_computes_something_else_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, folder = kept("supervised", "single", tmp_path)
    monkeypatch.setattr(exporting, "_run_torchscript", lambda content, images: torch.full((len(images), 3), 1 / 3))
    with pytest.raises(BadInput, match="differ by"):
        exporting.export(load_model(folder), "torchscript", tmp_path / "model.pt")
    assert not (tmp_path / "model.pt").exists()


def test_onnx_without_its_packages_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, folder = kept("supervised", "single", tmp_path)
    model = load_model(folder)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"needs onnx, onnxscript, onnxruntime: pip install 'fernoise-bench\[export\]'"):
        exporting.export(model, "onnx", tmp_path / "model.onnx")
