"""This machine's training speed: this project's loop beside a minimal one with equal networks, batches, optimiser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from ...methods.base import Batch
from ...protocols import catalog
from ...protocols.base import Augmentation
from ..networks.initial_weights import Weights
from ..registry import find
from ..settings import Settings, precisions_here
from ..training import trainer
from ..training.state import Training
from .compute_count import random_cell, random_trial
from .device_speed import seconds_of

Loss = Callable[[Training, Batch], Tensor]
ROUNDS = 3
LEAST_SHARE = 0.95  # of the minimal loop's speed, below which advice is given
LEAST_GAIN = 1.3  # factor in speed from which a change of options is advised
MOST_STORED_PIXELS = 96  # side of the pictures in memory, which larger ones would fill


@dataclass(frozen=True)
class Case:
    """What is timed: an encoder on crops of a side in pixels, with the rows of a batch and the steps of a round."""

    encoder: str
    side: int
    batch: int
    steps: int

    @property
    def stored(self) -> int:
        """Side of the pictures in memory, which are enlarged to the crops, as at the paper profile."""
        return min(self.side, MOST_STORED_PIXELS)

    def __str__(self) -> str:
        return f"{self.encoder}, {self.side} px, batches of {self.batch}"


SMALL = {"cpu": Case("small", 48, 32, 40), "cuda": Case("small", 48, 32, 200)}
LARGE = {"cpu": Case("resnet18", 64, 32, 4), "cuda": Case("resnet18", 224, 128, 30)}
WIDER = 4


@dataclass(frozen=True)
class SpeedFinding:
    """Images per second of a case, by this project's loop (harness) and by the minimal one (bare), an upper bound."""

    case: Case
    precision: str
    harness: float
    bare: float

    @property
    def share(self) -> float:
        """The speed as a share of the minimal loop's."""
        return self.harness / self.bare


def survey(device: str, report: Callable[[str], None]) -> list[SpeedFinding]:
    """Times a small encoder in two batch sizes, and a large one in every precision of the device, fp32 first.

    Args:
        device: "cpu" or "cuda".
        report: called with what is timed next.
    """
    small, large = SMALL[device], LARGE[device]
    cases = [(small, "fp32"), (replace(small, batch=WIDER * small.batch, steps=small.steps // WIDER), "fp32")]
    cases += [(large, precision) for precision in precisions_here(device)]
    found = []
    for case, precision in cases:
        report(f"{case}, {precision}")
        found.append(measure(case, device, precision))
    return found


def advice(found: Sequence[SpeedFinding], device: str) -> list[str]:
    """What to change, from the findings of a survey."""
    small, wide, large, *others = found
    lines = [
        f"{each.case}, {each.precision}: {each.share:.2f} of the minimal loop's speed; other programs may use this "
        "machine: measure again when it is idle"
        for each in (small, large)
        if each.share < LEAST_SHARE
    ]
    for each in others:
        gain = each.harness / large.harness
        if gain >= LEAST_GAIN:
            lines.append(f"--precision {each.precision} trains large encoders {gain:.1f} times as fast here")
        elif gain < 1:
            lines.append(f"--precision {each.precision} is slower here: {gain:.1f} times the speed of fp32")
    gain = wide.harness / small.harness
    if device == "cuda" and gain >= LEAST_GAIN:
        lines.append(
            f"a small encoder does not use all of this GPU (batches {WIDER} times as large: {gain:.1f} times the "
            f"images per second): run several trials at once, by --engine local --workers {WIDER} or --engine ray "
            f"--gpus-per-trial {1 / WIDER:g}"
        )
    return lines


def bare_steps(training: Training, batches: Iterable[Batch], loss: Loss) -> None:
    """The minimal training loop, in which nothing is counted, audited, summed or checked."""
    training.method.train()
    for batch in batches:
        value = loss(training, batch)
        training.optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        training.optimizer.step()


def own_loss(training: Training, batch: Batch) -> Tensor:
    """The method's own loss of a batch."""
    loss = training.method.loss(batch).loss
    assert loss is not None
    return loss


def measure(case: Case, device: str, precision: str) -> SpeedFinding:
    """Times an epoch of supervised training in both loops, each the fastest of ROUNDS."""
    training = make_training(case, device, precision)
    recipe, on = training.train_set.sampler.recipe, training.train_set.device

    def harness() -> None:
        trainer.run_epoch(training, recipe, 0)

    def bare() -> None:
        bare_steps(training, training.train_set.batches(0, training.method.views), own_loss)

    times: dict[str, list[float]] = {"harness": [], "bare": []}
    harness()
    for _ in range(ROUNDS):  # alternately, so that both have the same share of the machine
        times["bare"].append(seconds_of(bare, on))
        times["harness"].append(seconds_of(harness, on))
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
