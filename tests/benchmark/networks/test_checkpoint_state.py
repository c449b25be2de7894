"""Checkpoints as training scripts leave them, and files that are none: read, or told for what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from fernoise_bench.benchmark.networks.checkpoint_state import parameters_of
from fernoise_bench.benchmark.networks.initial_weights import resolve
from fernoise_bench.benchmark.networks.provenance import doubt

from .test_initial_weights import State, refusal

STATE: State = {"conv1.weight": torch.ones(1), "layer1.0.conv1.weight": torch.ones(1), "fc.weight": torch.ones(1)}
# As torchvision's documentation and its users print it.
IMAGENET = [-1.0419e-02, -6.1356e-03, -1.8098e-03, 7.4841e-02, 5.6615e-02, 1.7083e-02, -1.2694e-02]


def behind(prefix: str) -> State:
    return {prefix + key: value for key, value in STATE.items()}


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (STATE, ""),
        ({"model_state_dict": STATE, "epoch": 3}, ""),
        ({"state_dict": {**STATE, "epoch": 3, "_metadata": None}}, ""),
        ({"state_dict": behind("module.")}, ""),
        ({"model": STATE, "epoch": 3, "optimizer": {"state": {}, "param_groups": []}}, "model"),
        ({"net": STATE, "acc": 0.9}, "net"),
        ({"state_dict": behind("backbone.")}, "backbone."),
        ({"state_dict": {**behind("module.encoder."), "head.weight": torch.ones(1)}}, "encoder."),
        ({"model": behind("net.")}, "model and net."),
    ],
)
def test_parameters_are_found_wherever_they_are(content: Any, place: str) -> None:
    found, there = parameters_of(content, "a.pth", "expected")
    assert (found.keys(), there) == (STATE.keys(), place)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"epoch": 3, "arch": "resnet18"}, "a.pth: holds no parameters (state_dict), only epoch, arch; expected"),
        ({"model": STATE, "ema": STATE}, "a.pth: parameters under model, ema; save one network alone as state_dict"),
        (
            {"state_dict": {**STATE, "fc.weight": torch.tensor(float("nan"))}},
            "fc.weight has values that are not finite",
        ),
    ],
)
def test_what_cannot_be_used_says_what_is_there(content: Any, says: str) -> None:
    assert says in refusal(lambda: parameters_of(content, "a.pth", "expected"))


@pytest.mark.parametrize("kind", [torch.float32, torch.float16])
def test_imagenets_weights_are_known_when_they_were_saved_again(kind: torch.dtype) -> None:
    """As resnet18-5c106cde.pth, or a state_dict saved under the name of the published file."""
    filters = torch.rand(64, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    state = {"conv1.weight": filters.to(kind), "fc.weight": torch.zeros(1).expand(1_000, 512)}
    assert doubt("resnet18_msceleb", state, "resnet18_msceleb.pth", "0" * 64) == ""
    filters[0, 0, 0] = torch.tensor(IMAGENET)
    told = doubt("resnet18_msceleb", {**state, "conv1.weight": filters.to(kind)}, "resnet18_msceleb.pth", "0" * 64)
    assert told == "it is torchvision's, trained on ImageNet, saved again"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<!DOCTYPE html><html>Google Drive can't scan this file</html>", "a web page, so the download failed"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS stub; in a clone"),
    ],
)
def test_a_download_that_failed_is_told(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "weights/resnet18_msceleb.pth"
    path.parent.mkdir()
    path.write_bytes(content)
    assert refusal(lambda: resolve("msceleb", "resnet18", tmp_path)).startswith(f"{path.name}: {says}")


@pytest.mark.parametrize(
    ("place", "there"),
    [
        ("resnet18_msceleb.pth", "but {0}/resnet18_msceleb.pth is there: mkdir -p {0}/weights && mv "),
        ("weights/faces/resnet18_msceleb.pth", "but {0}/weights/faces/resnet18_msceleb.pth is there: mv "),
        ("Weights/resnet18_msceleb.pth", "but {0}/Weights is there: mv {0}/Weights {0}/weights; "),
        ("weights/resnet18_msceleb.zip", "but {0}/weights/resnet18_msceleb.zip is an archive: unzip "),
    ],
)
def test_published_weights_elsewhere(place: str, there: str, tmp_path: Path) -> None:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).touch()
    assert there.format(tmp_path) in refusal(lambda: resolve("msceleb", "resnet18", tmp_path))


def test_weights_under_another_name_are_named(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    for name in ("ijba_res18_naive.pth(1).tar", "msceleb.pth"):
        (tmp_path / "weights" / name).touch()
    message = refusal(lambda: resolve("msceleb", "resnet18", tmp_path))
    assert f"is in {tmp_path}/weights; found there: " in message
    assert "ijba_res18_naive.pth(1).tar" in message
    assert "is an archive" not in message
