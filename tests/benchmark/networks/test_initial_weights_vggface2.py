"""ResNet-50 trained on VGGFace2: its layouts, what is dropped, what the published network computes, what is refused."""

from __future__ import annotations

import hashlib
import pickle
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
import torch.nn.functional as F
from torch import Tensor

from fernoise_bench.benchmark.networks.encoders import CountedEncoder, Counters, EncoderFactory, build_model
from fernoise_bench.benchmark.networks.initial_weights import VGGFACE2_FILES, Weights, read_checkpoint, resolve
from fernoise_bench.protocols.errors import BadInput

State = dict[str, Tensor]
MEAN_BGR = (91.4953, 103.8827, 131.0912)


@pytest.fixture(autouse=True)
def _leave_nothing(tmp_path: Path) -> Iterator[None]:
    """Pytest keeps the folders of its last sessions, which is too much for files of 100 MB."""
    yield
    shutil.rmtree(tmp_path)


@pytest.fixture(scope="module")
def backbone() -> State:
    """A ResNet-50's parameters by torchvision's names, no value of which is the initial one."""
    torch.manual_seed(0)
    state = timm.create_model("resnet50", num_classes=0).state_dict()
    for name, value in state.items():
        if value.ndim == 1:
            value.uniform_(0.5, 1.5)
        elif name == "conv1.weight":
            value /= 50  # it reads values up to 255
    return state


def classifier(outputs: int = 8631) -> State:
    return {"fc.weight": torch.zeros(outputs, 2048), "fc.bias": torch.zeros(outputs)}


def plain(state: State) -> Any:
    return {**state, **classifier()}


def wrapped(state: State) -> Any:
    more = {"feature.weight": torch.zeros(256, 2048), "fc.weight": torch.zeros(8631, 256)}
    return {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in {**state, **more}.items()}}


def trained(state: State) -> Any:
    """As VGGFace2-pytorch's own trainer writes it, without counts of batches."""
    kept = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    return {"arch": "resnet50", "model_state_dict": {**kept, **classifier()}}


def without_last_stage(state: State) -> Any:
    return {name: value for name, value in state.items() if not name.startswith("layer4.")}


def saved(content: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(content, path)
    else:
        torch.save(content, path)
    return path


def refusal(work: Callable[[], Any]) -> str:
    """The message of the BadInput that some work ends with, which is one line."""
    with pytest.raises(BadInput) as caught:
        work()
    message = str(caught.value)
    assert "\n" not in message
    return message


def assert_holds(loaded: State, backbone: State) -> None:
    for name, value in loaded.items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(value, backbone[name].flip(1) if name == "conv1.weight" else backbone[name]), name


# --- what is read


@pytest.mark.parametrize(
    ("layout", "file"),
    [(plain, "a.pth"), (wrapped, "a.pth.tar"), (trained, "a.pt"), (plain, "a.safetensors"), (plain, "zip.pkl")],
)
def test_layouts_are_recognised_and_loaded_whole(
    layout: Callable[[State], Any], file: str, backbone: State, tmp_path: Path
) -> None:
    path = saved(layout(backbone), tmp_path / file)
    weights = resolve(str(path), "resnet50", tmp_path)
    assert (weights.kind, weights.family) == ("vggface2", "resnet50_vggface2")
    assert weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    loaded = build_model("resnet50", weights).state_dict()
    assert loaded.keys() == backbone.keys()
    assert_holds(loaded, backbone)


@pytest.mark.parametrize("layout", [plain, without_last_stage])
def test_with_a_neck_the_last_stage_is_dropped_and_all_else_is_required(
    layout: Callable[[State], Any], backbone: State, tmp_path: Path
) -> None:
    weights = read_checkpoint(saved(layout(backbone), tmp_path / "resnet50_ft_weight.pth"))
    loaded = build_model("resnet50", weights, "attention").state_dict()
    assert loaded.keys() == without_last_stage(backbone).keys()
    assert_holds(loaded, backbone)
    for change in ({"layer3.2.conv2.weight": None}, {"layer3.0.extra.weight": torch.zeros(1)}):
        content = {name: value for name, value in {**layout(backbone), **change}.items() if value is not None}
        broken = read_checkpoint(saved(content, tmp_path / "resnet50_ft_weight.pth"))
        message = refusal(lambda broken=broken: build_model("resnet50", broken, "attention"))  # type: ignore[misc]
        assert message.startswith("the resnet50_vggface2 checkpoint does not fit resnet50: ")
        assert next(iter(change)) in message


def test_without_a_neck_the_last_stage_is_required(backbone: State, tmp_path: Path) -> None:
    weights = read_checkpoint(saved(without_last_stage(backbone), tmp_path / "resnet50_ft_weight.pth"))
    assert "missing keys layer4.0.conv1.weight" in refusal(lambda: build_model("resnet50", weights))


def test_it_fits_no_other_encoder(backbone: State, tmp_path: Path) -> None:
    weights = read_checkpoint(saved(plain(backbone), tmp_path / "a.pth"))
    assert refusal(lambda: build_model("resnet18", weights)).startswith("the resnet50_vggface2 checkpoint does not fit")


def test_a_resnet_18_with_a_neck_loads_without_its_last_stage() -> None:
    torch.manual_seed(0)
    state = timm.create_model("resnet18", num_classes=0).state_dict()
    weights = Weights("msceleb", "resnet18_msceleb", "0", state)
    loaded = build_model("resnet18", weights, "attention").state_dict()
    assert all(torch.equal(value, state[name]) for name, value in loaded.items())


# --- what the published network computes


def published(state: State, pixels: Tensor) -> Tensor:
    """Third stage of the network of Caffe's prototxt on BGR pixels in [0, 255] less their mean, in training mode."""

    def normed(maps: Tensor, name: str) -> Tensor:
        return F.batch_norm(maps, None, None, state[f"{name}.weight"], state[f"{name}.bias"], training=True)

    maps = (pixels - torch.tensor(MEAN_BGR).view(1, 3, 1, 1)).float()
    maps = normed(F.conv2d(maps, state["conv1.weight"], stride=2, padding=3), "bn1").relu()
    maps = F.max_pool2d(maps, 3, 2, ceil_mode=True)
    for stage, blocks in ((1, 3), (2, 4), (3, 6)):
        for number in range(blocks):
            block, stride = f"layer{stage}.{number}", 2 if number == 0 and stage > 1 else 1
            inner = normed(F.conv2d(maps, state[f"{block}.conv1.weight"], stride=stride), f"{block}.bn1").relu()
            inner = normed(F.conv2d(inner, state[f"{block}.conv2.weight"], padding=1), f"{block}.bn2").relu()
            inner = normed(F.conv2d(inner, state[f"{block}.conv3.weight"]), f"{block}.bn3")
            if number == 0:
                maps = F.conv2d(maps, state[f"{block}.downsample.0.weight"], stride=stride)
                maps = normed(maps, f"{block}.downsample.1")
            maps = (maps + inner).relu()
    return maps


@pytest.mark.parametrize("side", [64, 224])
def test_images_are_read_as_the_published_network_reads_them(side: int, backbone: State, tmp_path: Path) -> None:
    """Strides, pooling, channel order and scale are Caffe's, of which parameters alone say nothing."""
    weights = read_checkpoint(saved(plain(backbone), tmp_path / "a.pth"))
    factory = EncoderFactory("resnet50", weights, 0, Counters(), "fp32", torch.device("cpu"), "attention", 12)
    encoder = factory()
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    seen: list[Tensor] = []
    encoder.neck.convolution.register_forward_hook(lambda _, given, __: seen.append(given[0]))  # type: ignore[union-attr]
    with torch.no_grad():
        encoder(images)
        expected = published(backbone, images.flip(1) * 255)
    assert seen[0].shape == (2, 1024, side // 16, side // 16)
    torch.testing.assert_close(seen[0], expected, rtol=1e-2, atol=1e-2)


def test_other_weights_are_read_as_before() -> None:
    encoder = EncoderFactory("resnet50", Weights("none"), 0, Counters(), "fp32", torch.device("cpu"))()
    assert isinstance(encoder, CountedEncoder)
    assert encoder.model.maxpool.padding == 1
    assert encoder.model.layer2[0].conv2.stride == (2, 2)
    torch.testing.assert_close(encoder.mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))


# --- where it is looked for


@pytest.mark.parametrize("name", VGGFACE2_FILES)
def test_it_is_looked_for_under_its_published_name(name: str, backbone: State, tmp_path: Path) -> None:
    path = saved(plain(backbone), tmp_path / "weights" / name)
    assert resolve("vggface2", "resnet50", tmp_path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_absent_weights_are_told_with_place_and_remedy(tmp_path: Path) -> None:
    message = refusal(lambda: resolve("vggface2", "resnet50", tmp_path))
    assert message.startswith("this protocol starts from a ResNet-50 trained on VGGFace2: none of ")
    assert all(name in message for name in VGGFACE2_FILES)
    assert str(tmp_path / "weights") in message
    assert "--weights FILE" in message
    assert "--weights none" in message


# --- what is refused


@pytest.mark.parametrize("outputs", [1000, 7])
def test_a_resnet_50_trained_on_something_else_is_refused(outputs: int, backbone: State, tmp_path: Path) -> None:
    path = saved({**backbone, **classifier(outputs)}, tmp_path / "imagenet.pth")
    message = refusal(lambda: read_checkpoint(path))
    assert message.startswith(f"imagenet.pth: a ResNet-50 with {outputs} classes is not the published one")


def test_without_its_classifier_it_is_told_by_its_name(backbone: State, tmp_path: Path) -> None:
    path = saved(backbone, tmp_path / "a.pth")
    assert refusal(lambda: read_checkpoint(path)) == (
        "a.pth: a ResNet-50 without its classifier could be any, and VGGFace2's reads BGR; if it is VGGFace2's, name "
        "it resnet50_ft_weight.pth"
    )
    assert read_checkpoint(path.rename(tmp_path / "resnet50_ft_weight.pth")).kind == "vggface2"


@pytest.mark.parametrize("content", [b"", b"not tensors", bytes(64)], ids=["empty", "text", "zeros"])
def test_broken_safetensors_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    assert refusal(lambda: read_checkpoint(path)).startswith("a.safetensors: not a checkpoint that can be loaded")


class Code:
    """A pickle that would make a file when loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def conversion(path: Path) -> list[str]:
    """The command that a refusal names."""
    message = refusal(lambda: read_checkpoint(path))
    assert message.startswith(f"{path}: a pickle may run any code and is not read; convert it with this command")
    return [sys.executable, *shlex.split(message.partition("use the .pth: ")[2])[1:]]


@pytest.mark.parametrize("protocol", [2, pytest.param(4, marks=pytest.mark.weekly)])
def test_a_plain_pickle_is_refused_with_a_command_that_converts_it(
    protocol: int, backbone: State, tmp_path: Path
) -> None:
    path = tmp_path / "weights" / "resnet50_ft_weight.pkl"
    path.parent.mkdir()
    arrays = {name: value.numpy() for name, value in {**backbone, **classifier()}.items()}
    path.write_bytes(pickle.dumps(arrays, protocol=protocol))
    assert refusal(lambda: resolve("vggface2", "resnet50", tmp_path)).startswith(f"{path}: a pickle may run any code")
    subprocess.run(conversion(path), check=True)
    weights = resolve("vggface2", "resnet50", tmp_path)
    assert_holds(build_model("resnet50", weights).state_dict(), backbone)


def test_neither_the_refusal_nor_the_conversion_runs_code(tmp_path: Path) -> None:
    trace, path = tmp_path / "ran", tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps({"conv1.weight": np.zeros(3), "fc.bias": Code(trace)}))
    found = subprocess.run(conversion(path), check=False, capture_output=True, text=True)
    assert found.returncode != 0
    assert "KeyError" in found.stderr
    assert not trace.exists()
    assert not path.with_suffix(".pth").exists()
