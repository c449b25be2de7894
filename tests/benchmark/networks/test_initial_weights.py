"""Initial weights: known families of checkpoints recognised and loaded whole, everything else refused in one line."""

from __future__ import annotations

import argparse
import hashlib
import pickle
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import Tensor

from fernoise_bench.benchmark.networks.encoders import build_model
from fernoise_bench.benchmark.networks.initial_weights import EXPECTED, Weights, read_checkpoint, resolve
from fernoise_bench.benchmark.networks.provenance import MSCELEB_FILES
from fernoise_bench.protocols.errors import BadInput

from ...weekly import often

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def backbone() -> State:
    """A ResNet-18's parameters by torchvision's names, with batch statistics that are not the initial ones."""
    torch.manual_seed(0)
    state = timm.create_model("resnet18", num_classes=0).state_dict()
    return {name: torch.rand_like(value) if value.is_floating_point() else value for name, value in state.items()}


def wide(*shape: int) -> Tensor:
    """Zeros of a shape, of which one is stored."""
    return torch.zeros(1).expand(*shape)


def wrapped(backbone: State) -> dict[str, Any]:
    """The layout of ijba_res18_naive.pth.tar: an old one, without num_batches_tracked."""
    kept = {name: value for name, value in backbone.items() if not name.endswith("num_batches_tracked")}
    more = {"feature.weight": torch.rand(256, 512), "feature.bias": torch.rand(256)}
    more |= {"fc.weight": wide(87_020, 256), "fc.bias": wide(87_020)}
    state = {f"module.{name}": value for name, value in {**kept, **more}.items()}
    return {"epoch": 8, "arch": "resnet18", "state_dict": state}


def plain(backbone: State) -> dict[str, Any]:
    """The layout of resnet18_msceleb.pth."""
    return {"state_dict": {**backbone, "fc.weight": wide(1_000, 512), "fc.bias": wide(1_000)}}


def bare(backbone: State) -> dict[str, Any]:
    return dict(backbone)


def saved(content: Any, path: Path, *, legacy: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def refusal(work: Callable[[], Any]) -> str:
    """The message of the BadInput that some work ends with, which is one line."""
    with pytest.raises(BadInput) as caught:
        work()
    message = str(caught.value)
    assert "\n" not in message
    return message


def unwrapped(backbone: State) -> dict[str, Any]:
    """ijba_res18_naive.pth.tar without the prefix of torch's DataParallel, as some users save it again."""
    state = wrapped(backbone)["state_dict"]
    return {"state_dict": {name.removeprefix("module."): value for name, value in state.items()}}


def wrapped_twice(backbone: State) -> dict[str, Any]:
    return {"state_dict": {f"_orig_mod.module.{name}": value for name, value in plain(backbone)["state_dict"].items()}}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize(
    ("layout", "kind", "family"),
    [
        (wrapped, "msceleb", "ijba_res18_naive"),
        (unwrapped, "msceleb", "ijba_res18_naive"),
        (plain, "msceleb", "resnet18_msceleb"),
        (bare, "user's own", "resnet18"),
        (wrapped_twice, "msceleb", "resnet18_msceleb"),
    ],
)
def test_both_families_are_recognised_and_loaded_whole(
    layout: Callable[[State], dict[str, Any]], kind: str, family: str, legacy: bool, backbone: State, tmp_path: Path
) -> None:
    path = saved(layout(backbone), tmp_path / "resnet18_msceleb.pth", legacy=legacy)
    weights = read_checkpoint(path)
    assert (weights.kind, weights.family) == (kind, family)
    assert weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    loaded = build_model("resnet18", weights).state_dict()
    for name, value in backbone.items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(loaded[name], value), name


def changed(backbone: State, tmp_path: Path, change: Callable[[State], Any]) -> Weights:
    content = plain(backbone)
    change(content["state_dict"])
    return read_checkpoint(saved(content, tmp_path / "resnet18_msceleb.pth"))


def test_a_missing_key_is_an_error(backbone: State, tmp_path: Path) -> None:
    weights = changed(backbone, tmp_path, lambda state: state.pop("layer2.0.bn1.running_mean"))
    message = refusal(lambda: build_model("resnet18", weights))
    assert message == "the resnet18_msceleb checkpoint does not fit resnet18: missing keys layer2.0.bn1.running_mean"


@pytest.mark.parametrize("key", ["layer1.0.conv3.weight", "feature.weight", "attention.weight"])
def test_a_left_over_key_is_an_error(key: str, backbone: State, tmp_path: Path) -> None:
    weights = changed(backbone, tmp_path, lambda state: state.update({key: torch.zeros(1)}))
    assert refusal(lambda: build_model("resnet18", weights)).endswith(f"unexpected keys {key}")


def test_a_parameter_of_another_shape_is_an_error(backbone: State, tmp_path: Path) -> None:
    weights = changed(backbone, tmp_path, lambda state: state.update({"conv1.weight": torch.zeros(64, 1, 7, 7)}))
    assert refusal(lambda: build_model("resnet18", weights)).endswith("keys of another shape conv1.weight")


def test_a_checkpoint_does_not_fit_another_encoder(backbone: State, tmp_path: Path) -> None:
    weights = read_checkpoint(saved(plain(backbone), tmp_path / "weights.pth"))
    assert refusal(lambda: build_model("resnet34", weights)).startswith("the resnet18 checkpoint does not fit resnet34")


@pytest.mark.parametrize("name", ["resnet34", "resnet101"])
def test_a_checkpoint_of_a_deeper_resnet_is_refused(name: str, tmp_path: Path) -> None:
    state = timm.create_model(name).state_dict()
    path = saved({"state_dict": {f"module.{key}": value for key, value in state.items()}}, tmp_path / "deep.pth")
    message = refusal(lambda: read_checkpoint(path))
    assert message.startswith("deep.pth: its keys are neither a ResNet-18's nor a ResNet-50's (first: conv1")


def test_two_networks_in_one_checkpoint_are_refused(backbone: State, tmp_path: Path) -> None:
    path = saved({**backbone, "module.conv1.weight": backbone["conv1.weight"]}, tmp_path / "two.pth")
    assert "conv1.weight is there with and without a wrapper's prefix" in refusal(lambda: read_checkpoint(path))


class Code:
    """A pickle that would make a file when loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    trace, path = tmp_path / "ran", tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps({"state_dict": Code(trace)}))
    assert refusal(lambda: read_checkpoint(path)).startswith("evil.pth: not a checkpoint that can be loaded safely")
    saved({"state_dict": Code(trace)}, path)
    assert refusal(lambda: read_checkpoint(path)).startswith("evil.pth: not a checkpoint that can be loaded safely")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("layout", "legacy"),
    often([(wrapped, False), (plain, True), (wrapped, True), (plain, False)], 1),
)
def test_the_command_for_a_checkpoint_with_other_objects_keeps_its_parameters_and_runs_no_code(
    layout: Callable[[State], dict[str, Any]], legacy: bool, backbone: State, tmp_path: Path
) -> None:
    trace = tmp_path / "ran"
    others = {"best_acc": np.float64(88.2), "args": argparse.Namespace(lr=0.1), "hook": Code(trace)}
    path = saved({**others, **layout(backbone)}, tmp_path / "my weights.pth.tar", legacy=legacy)
    message = refusal(lambda: read_checkpoint(path))
    assert message.startswith(
        "my weights.pth.tar: not a checkpoint that can be loaded safely, since it also holds numpy"
    )
    said, _, command = message.partition(": python -c ")
    assert said.endswith(f"then use '{tmp_path / 'my weights-parameters.pth'}'")
    subprocess.run([sys.executable, *shlex.split(f"-c {command}")], check=True, cwd=tmp_path)
    assert not trace.exists()
    expected = read_checkpoint(saved(layout(backbone), tmp_path / "clean.pth", legacy=legacy))
    found = read_checkpoint(tmp_path / "my weights-parameters.pth")
    assert found.family == expected.family
    assert found.state is not None
    assert expected.state is not None
    assert found.state.keys() == expected.state.keys()
    assert all(torch.equal(value, expected.state[name]) for name, value in found.state.items())


@pytest.mark.parametrize(
    "content",
    [b"", b"not a checkpoint\n" * 20, b"\x80", bytes(range(256)), b"PK\x03\x04" + bytes(100), b"\x89PNG\r\n\x1a\n"],
    ids=["empty", "text", "one byte", "bytes", "broken zip", "picture"],
)
def test_a_file_that_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    message = refusal(lambda: read_checkpoint(path))
    assert message.startswith("weights.pth: not a checkpoint that can be loaded safely (")
    assert message.endswith(EXPECTED)


def bomb(path: Path, megabytes: int) -> Path:
    """A checkpoint whose only storage is deflated zeros; a thousandth of its size."""
    saved({"state_dict": {"conv1.weight": torch.zeros(1)}}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            with archive.open(name, "w") as entry:
                entry.write(content)
                for _ in range(megabytes if "/data/" in name else 0):
                    entry.write(bytes(1 << 20))
    return path


def test_a_checkpoint_that_unpacks_to_far_more_than_it_is_is_refused_before_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bomb(tmp_path / "bomb.pth", 64)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    message = refusal(lambda: read_checkpoint(path))
    assert message.startswith("bomb.pth: it holds compressed data, which torch.save never writes")
    assert path.stat().st_size < 1 << 20


def test_entries_that_share_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved({"state_dict": {"conv1.weight": torch.zeros(1000)}}, tmp_path / "shared.pth")
    found = zipfile.ZipFile(path).infolist() * 3
    monkeypatch.setattr(zipfile.ZipFile, "infolist", lambda _: found)
    assert "compressed data" in refusal(lambda: read_checkpoint(path))


def test_a_checkpoint_is_read_from_disk_once(backbone: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(plain(backbone), tmp_path / "weights.pth")
    content, read = path.read_bytes(), []
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path) or content)
    path.write_bytes(b"")
    assert read_checkpoint(path).sha256 == hashlib.sha256(content).hexdigest()
    assert read == [path]


@pytest.mark.parametrize("legacy", [False, True])
def test_any_truncation_is_refused(legacy: bool, tmp_path: Path) -> None:
    whole = saved({"state_dict": {"conv1.weight": torch.rand(8)}}, tmp_path / "whole.pth", legacy=legacy).read_bytes()
    path = tmp_path / "cut.pth"
    for size in range(0, len(whole), 23):
        path.write_bytes(whole[:size])
        refusal(lambda: read_checkpoint(path))


@pytest.mark.parametrize(
    "content",
    [
        {"epoch": 3},
        {"state_dict": 5},
        {"state_dict": {"conv1.weight": "text"}},
        {"state_dict": {0: torch.zeros(1)}},
        [torch.zeros(1)],
        torch.zeros(3),
    ],
    ids=str,
)
def test_a_file_without_named_parameters_is_refused(content: Any, tmp_path: Path) -> None:
    path = saved(content, tmp_path / "weights.pth")
    assert refusal(lambda: read_checkpoint(path)).startswith("weights.pth: holds no parameters (state_dict)")


def test_a_file_without_keys_is_refused(tmp_path: Path) -> None:
    path = saved({"state_dict": {}}, tmp_path / "weights.pth")
    assert "its keys are neither a ResNet-18's nor a ResNet-50's (first: none)" in refusal(
        lambda: read_checkpoint(path)
    )


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "weights.pth"
    path.touch()
    monkeypatch.setattr(Path, "read_bytes", fail)
    assert "(PermissionError)" in refusal(lambda: read_checkpoint(path))


def test_an_absent_file_and_a_folder_are_named(tmp_path: Path) -> None:
    words = "none, imagenet, dlib, efficientnet_lite0, msceleb, vggface2"
    (tmp_path / "resnet18_msceleb.pth").touch()
    for path, there in (
        (tmp_path / "resnet18_mscelb.pth", "found there: resnet18_msceleb.pth"),
        (tmp_path, "found there: resnet18_msceleb.pth"),
        (tmp_path / "no/a.pth", f"there is no folder {tmp_path}/no"),
    ):
        message = refusal(lambda path=path: resolve(str(path), "resnet18", tmp_path))  # type: ignore[misc]
        assert message == f"--weights {path}: no such file (known words: {words}); {there}"


def test_words_need_no_file_and_imagenet_is_named_by_its_training(tmp_path: Path) -> None:
    assert resolve("none", "resnet34", tmp_path) == Weights("none")
    assert resolve("imagenet", "resnet34", tmp_path) == Weights("imagenet", "a1_in1k")


@pytest.mark.parametrize("name", MSCELEB_FILES)
def test_msceleb_is_looked_for_under_its_published_names(name: str, backbone: State, tmp_path: Path) -> None:
    layout = plain if name.endswith(".pth") else wrapped
    path = saved(layout(backbone), tmp_path / "weights" / name)
    assert resolve("msceleb", "resnet18", tmp_path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_absent_msceleb_weights_are_told_with_place_and_remedy(tmp_path: Path) -> None:
    message = refusal(lambda: resolve("msceleb", "resnet18", tmp_path))
    assert all(name in message for name in MSCELEB_FILES)
    assert str(tmp_path / "weights") in message
    assert "--weights FILE" in message
    assert "--weights none" in message
