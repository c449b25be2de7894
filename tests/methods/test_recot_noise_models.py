from __future__ import annotations

from typing import Any

import torch

from fernoise_bench.methods.recot import ReCoT, ReCoTParams

from .toy import make_batch, make_encoder, make_task, random_labels

LABELS = random_labels(0, 6, 3)
VERIFIED = torch.tensor([True, True, True, False, False, False])


def make_method(variant: str, **changes: Any) -> ReCoT:
    values = dict(ReCoT.variants[variant].params) | changes
    return ReCoT(make_task("multi", 3), make_encoder, ReCoTParams(**values))


def test_noise_models_of_the_appendix() -> None:
    for variant, added, applied in (("additive", True, False), ("multiplicative", False, True), ("mixed", True, True)):
        method = make_method(variant)
        for network, images in zip(
            method.networks, make_batch(range(6), LABELS, verified=VERIFIED, views=2).images, strict=True
        ):
            assert (network.net_noisy is not None, network.transition is not None) == (added, applied)
            clean, noisy = network(images)
            shift = network.net_noisy(network.encoder(images)[0]) if added else 0.0
            assert torch.allclose(noisy, clean + shift)  # the layer starts as the identity
            if applied:
                weight, bias = torch.randn(3, 3), torch.randn(3)
                with torch.no_grad():
                    network.transition.weight.copy_(weight)
                    network.transition.bias.copy_(bias)
                assert torch.allclose(network(images)[1], clean @ weight.T + bias + shift, atol=1e-6)
                assert torch.equal(network(images)[0], clean)
    assert dict(ReCoT.variants["additive"].params) == {}
    heads = make_method("cot", noise_model="mixed").networks
    assert all(view.net_noisy is None and view.transition is None for view in heads)
