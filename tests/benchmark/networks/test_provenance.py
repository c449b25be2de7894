"""Which checkpoints are taken for the published networks: by head, by name, never ImageNet's; all others are own."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch

from fernoise_bench.benchmark.networks import provenance
from fernoise_bench.benchmark.networks.encoders import build_model
from fernoise_bench.benchmark.networks.initial_weights import read_checkpoint, resolve

from .test_initial_weights import State, backbone, plain, refusal, saved, wide, wrapped

__all__ = ["backbone"]


@pytest.mark.parametrize("outputs", [7, 8, 999, 8_631, 87_020])
def test_a_resnet_18_with_another_head_is_the_users_own(outputs: int, backbone: State, tmp_path: Path) -> None:
    content = {**backbone, "fc.weight": wide(outputs, 512), "fc.bias": wide(outputs)}
    path = saved(content, tmp_path / "weights" / "resnet18_msceleb.pth")
    found = resolve(str(path), "resnet18", tmp_path)
    assert (found.kind, found.family) == ("user's own", "resnet18")
    assert torch.equal(build_model("resnet18", found).state_dict()["conv1.weight"], backbone["conv1.weight"])
    assert refusal(lambda: resolve("msceleb", "resnet18", tmp_path)) == (
        f"{path}: not a ResNet-18 trained on MS-Celeb-1M: its fc.weight is of shape {outputs} x 512, that of "
        "resnet18_msceleb is of shape 1000 x 512; put the published file there (the SCN and RUL repositories link to "
        f"them), or start from this one with --weights {path}"
    )


@pytest.mark.parametrize("outputs", [7, 500])
def test_the_other_family_has_87_020_identities(outputs: int, backbone: State, tmp_path: Path) -> None:
    content = wrapped(backbone)
    path = saved(content, tmp_path / "a.pth.tar")
    assert read_checkpoint(path).kind == "msceleb"
    content["state_dict"]["module.fc.weight"] = wide(outputs, 256)
    assert read_checkpoint(saved(content, path)).doubt == (
        f"its fc.weight is of shape {outputs} x 256, that of ijba_res18_naive is of shape 87020 x 256"
    )
    del content["state_dict"]["module.fc.weight"]
    assert read_checkpoint(saved(content, path)).doubt.startswith("its fc.weight is missing")


def test_a_head_like_imagenets_is_msceleb_under_the_published_name_only(backbone: State, tmp_path: Path) -> None:
    path = saved(plain(backbone), tmp_path / "resnet18.pth")
    found = read_checkpoint(path)
    assert (found.kind, found.family) == ("user's own", "resnet18")
    assert found.doubt == "its classifier is like ImageNet's, and its name is not resnet18_msceleb.pth"
    renamed = read_checkpoint(path.rename(tmp_path / "resnet18_msceleb.pth"))
    assert (renamed.kind, renamed.family, renamed.doubt) == ("msceleb", "resnet18_msceleb", "")
    assert renamed.sha256 == found.sha256


def test_imagenets_own_files_are_known_by_their_digest(backbone: State) -> None:
    assert timm.get_pretrained_cfg("resnet18.tv_in1k").url.endswith("/resnet18-f37072fd.pth")
    told = [
        provenance.doubt("resnet18_msceleb", plain(backbone)["state_dict"], "resnet18_msceleb.pth", digest + "0" * 56)
        for digest in ("f37072fd", "d63eafa0", "00000000")
    ]
    assert told == ["it is ImageNet's resnet18.tv_in1k", "it is ImageNet's resnet18.a1_in1k", ""]


def test_a_word_gives_what_it_says(backbone: State, tmp_path: Path) -> None:
    saved(plain(backbone), tmp_path / "weights" / "resnet50_ft_weight.pth")
    message = refusal(lambda: resolve("vggface2", "resnet50", tmp_path))
    assert "resnet50_ft_weight.pth: not a ResNet-50 trained on VGGFace2: its keys are those of resnet18; put" in message
