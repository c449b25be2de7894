"""The shares of positives ReCoT's clean loss is balanced towards."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from fernoise_bench.methods.recot import ReCoT, ReCoTParams

from .test_recot import SHARE, expected_loss, make_method
from .toy import make_batch, make_encoder, make_task, make_train


def test_shares_are_those_of_the_verified_rows() -> None:
    fresh = ReCoT(make_task("multi"), make_encoder, ReCoTParams(consistency_factor=0.0))
    assert fresh.share.isnan().all()
    rows = make_batch(range(40), torch.full((40, 3), -1), verified=[True] * 40, views=2)
    weight = fresh.loss(replace(rows, index=rows.index % 12)).weight
    assert weight is not None
    assert weight.all()  # balanced by nothing until the labels are known
    assert make_method().share.tolist() == pytest.approx(SHARE)
    fresh.prepare(make_train([[0, -1, 1], [0, -1, 1], [1, 1, -1]], [True, True, False]))
    assert fresh.share.tolist() == pytest.approx([0.2, 0.2, 1.0])  # none known, none positive, all positive


def test_views_draw_their_selective_weights_apart() -> None:
    method = make_method(refinement=False)
    labels = torch.full((40, 3), -1)
    batch = make_batch([i % 12 for i in range(40)], labels, verified=[True] * 40, views=2)
    step = method.loss(batch)
    assert step.weight is not None
    assert step.weight.sum(1).tolist() == [[27.0, 14.0, 20.0]] * 2  # ceil(40 · share)
    assert not torch.equal(step.weight[0], step.weight[1])
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(expected_loss(method, batch, labels), rel=1e-4)
