"""This machine's speed: the harness beside a bare loop with the same networks, batches and optimiser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...methods.base import Batch
from ...protocols import catalog
from ...protocols.base import Augmentation
from ..networks.initial_weights import Weights
from ..registry import find
from ..settings import PRECISIONS, Settings
from ..training import trainer
from ..training.state import Training
from .compute_count import random_cell, random_trial

Loss = Callable[[Training, Batch], Tensor]
ROUNDS = 3
ENOUGH = 0.95  # share of the bound below which something is wrong
WORTH = 1.3  # gain from which a change is advised
STORED_SIDE = 96  # larger pictures would take more memory than a measurement should


@dataclass(frozen=True)
class Case:
    """What is timed: an encoder, the side of the pictures, the batch, steps of a round."""

    encoder: str
    side: int
    batch: int
    steps: int

    @property
    def stored(self) -> int:
        """Side of the pictures in memory; larger crops are made of them as by the paper profiles."""
        return min(self.side, STORED_SIDE)

    def __str__(self) -> str:
        return f"{self.encoder}, {self.side} px, batches of {self.batch}"


SMALL = {"cpu": Case("small", 48, 32, 40), "cuda": Case("small", 48, 32, 200)}
LARGE = {"cpu": Case("resnet18", 64, 32, 4), "cuda": Case("resnet18", 224, 128, 30)}
WIDER = 4


@dataclass(frozen=True)
class SpeedFinding:
    """Images a second of a case: the harness, and the bare loop, which is the bound."""

    case: Case
    precision: str
    harness: float
    bare: float

    @property
    def share(self) -> float:
        """The harness's speed as a share of the bound."""
        return self.harness / self.bare


def survey(device: str, report: Callable[[str], None]) -> list[SpeedFinding]:
    """Times both encoders, the large one in every precision the device kind has, the small one in wider batches too.

    Args:
        device: "cpu" or "cuda".
        report: told what comes next.
    """
    small, large = SMALL[device], LARGE[device]
    cases = [(small, "fp32"), (replace(small, batch=WIDER * small.batch, steps=small.steps // WIDER), "fp32")]
    cases += [(large, precision) for precision in PRECISIONS if precision != "tf32" or device == "cuda"]
    found = []
    for case, precision in cases:
        report(f"{case}, {precision}")
        found.append(measure(case, device, precision))
    return found


def advice(found: Sequence[SpeedFinding], device: str) -> list[str]:
    """What to change, from a survey; a pure function of what was measured."""
    small, wide, large, *others = found
    said = [
        f"{each.case}, {each.precision}: {each.share:.2f} of the bound; something else uses the machine, or the "
        "bookkeeping is slow here: measure again on an idle machine"
        for each in (small, large)
        if each.share < ENOUGH
    ]
    for each in others:
        gain = each.harness / large.harness
        if gain >= WORTH:
            said.append(f"--precision {each.precision} trains large encoders {gain:.1f} times as fast here")
        elif gain < 1:
            said.append(f"--precision {each.precision} does not pay here: {gain:.1f} times the speed of fp32")
    gain = wide.harness / small.harness
    if device == "cuda" and gain >= WORTH:
        said.append(
            f"a small encoder does not fill this GPU (batches {WIDER} times as large: {gain:.1f} times the images): "
            f"run several trials at once, by --engine local --workers {WIDER} or --engine ray --gpus-per-trial "
            f"{1 / WIDER:g}"
        )
    return said


def bare_steps(training: Training, batches: Iterable[Batch], loss: Loss) -> None:
    """Updates and nothing else: no counters, no audit, no sums, no checks."""
    training.method.train()
    for batch in batches:
        value = loss(training, batch)
        training.optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        training.optimizer.step()


def own_loss(training: Training, batch: Batch) -> Tensor:
    """What the method itself computes."""
    loss = training.method.loss(batch).loss
    assert loss is not None
    return loss


def measure(case: Case, device: str, precision: str) -> SpeedFinding:
    """Times an epoch of plain supervised training on generated faces, by the harness and bare, each at its fastest."""
    training = make_training(case, device, precision)
    recipe, where = training.train_set.sampler.recipe, training.train_set.device

    def harness() -> None:
        trainer.run_epoch(training, recipe, 0)

    def bare() -> None:
        bare_steps(training, training.train_set.batches(0, training.method.views), own_loss)

    times: dict[str, list[float]] = {"harness": [], "bare": []}
    harness()
    for _ in range(ROUNDS):  # in turns, so that both see the same machine
        times["bare"].append(_seconds(bare, where))
        times["harness"].append(_seconds(harness, where))
    images = training.train_set.sampler.steps * training.train_set.sampler.batch_size
    return SpeedFinding(case, precision, images / min(times["harness"]), images / min(times["bare"]))


def make_training(case: Case, device: str, precision: str) -> Training:
    """A supervised training on random pixels."""
    protocol = catalog.find("ferplus-sym")
    how = Augmentation(crop=case.side, resize=case.side if case.stored < case.side else None, pad=2)
    recipe = replace(protocol.small.recipe, encoder=case.encoder, batch_size=case.batch, augmentation=how)
    settings = Settings(device, precision, "none", "", "", recipe)
    trial = random_trial(find("supervised"), protocol, settings)
    return trainer.start(trial, random_cell(protocol, case.batch * case.steps, case.stored), Weights("none"))


def _seconds(work: Callable[[], None], device: torch.device) -> float:
    _wait(device)
    began = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
