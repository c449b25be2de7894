"""Has a hyper-parameter in a file beside it, so that trials of two values of it have one identity."""

from __future__ import annotations

import tomllib
from pathlib import Path

from fernoise_bench.baselines.supervised import Supervised
from fernoise_bench.methods.base import Batch, Step

SCALE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())["scale"]


class Cheat(Supervised):
    """Multiplies its loss by what it read when it was imported."""

    def loss(self, batch: Batch) -> Step:
        step = super().loss(batch)
        return step if step.loss is None else Step(SCALE * step.loss)
