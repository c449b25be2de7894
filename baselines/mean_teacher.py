"""Mean Teacher (Tarvainen & Valpola, NeurIPS 2017): consistency with a teacher, the moving average of the weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, sourced
from ..methods.losses import full_precision, masked_bce

__all__ = [
    "MeanTeacher",
    "MeanTeacherParams",
    "consistency_ramp",
    "ema_decay",
    "scaled_decay",
    "teacher_consistency",
]


@dataclass(frozen=True)
class MeanTeacherParams:
    """Hyper-parameters of Mean Teacher."""

    consistency_factor: float = sourced(
        10.0, "unstated: ours, since both losses are means; the authors' scripts have 100 for a mean over ten classes"
    )
    ramp_share: float = sourced(
        0.2, "unstated: ours, share of the epochs; authors' code (CuriousAI/mean-teacher @546348f): 30 epochs, or 5"
    )
    decay: float = sourced(
        0.999, "authors' code, mean_teacher/cli.py (CuriousAI/mean-teacher @546348f): ema-decay; CIFAR script .97"
    )
    decay_stated_for: int = sourced(
        21_000, "unstated: ours; steps of 70 epochs on EmotioNet; the averaging window scales with the training length"
    )


def ema_decay(step: int, decay: float) -> float:
    """Weight of the old teacher in an update of the moving average: min(1 - 1/(step+1), decay).

    Args:
        step: number of the update, from 1; the first weight is one half.
        decay: the largest weight, in [0, 1].

    Source: authors' code, pytorch/main.py, update_ema_variables (CuriousAI/mean-teacher @546348f).
    """
    return min(1.0 - 1.0 / (step + 1), decay)


def scaled_decay(decay: float, stated_for: int, steps: int) -> float:
    """The decay rescaled to a shorter training, so that it averages over the same share of the steps.

    Args:
        decay: the stated decay, in [0, 1], which averages over 1 / (1 - decay) steps.
        stated_for: number of steps of the training it is stated for.
        steps: number of steps of this training.

    Returns:
        In [0, decay].
    """
    return max(0.0, 1.0 - (1.0 - decay) * max(1.0, stated_for / max(1, steps)))


def consistency_ramp(epoch: float, ramp_epochs: float) -> float:
    """Ramp-up of the consistency weight: exp(-5 (1 - e)²) with e = epoch/ramp_epochs clipped to [0, 1].

    Args:
        epoch: 0-based.
        ramp_epochs: the epoch at which it reaches 1; 0: 1 from the start.

    Returns:
        A factor in [exp(-5), 1].

    Raises:
        ValueError: ramp_epochs negative.

    Source: authors' code, pytorch/mean_teacher/ramps.py (CuriousAI/mean-teacher @546348f).
    """
    if ramp_epochs < 0:
        raise ValueError(f"ramp_epochs {ramp_epochs}: must not be negative")
    if ramp_epochs == 0:
        return 1.0
    return math.exp(-5.0 * (1.0 - min(max(epoch / ramp_epochs, 0.0), 1.0)) ** 2)


def teacher_consistency(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Squared difference of the two AU probabilities, mean over rows and AUs.

    Args:
        student_logits: float [N, L].
        teacher_logits: float [N, L]; detached here.

    Returns:
        Scalar in [0, 1] with gradient to the student; 0 for no rows.

    Source: ReCoT, appendix A.2: sigmoid outputs, mean squared error.
    """
    difference = full_precision(student_logits).sigmoid() - full_precision(teacher_logits.detach()).sigmoid()
    return difference.square().sum() / max(1, difference.numel())


class MeanTeacher(Method):
    """A student trained on verified labels and, on all rows, for consistency with a teacher of averaged weights.

    Reference: Tarvainen & Valpola, "Mean teachers are better role models", NeurIPS 2017; code CuriousAI/mean-teacher;
    in the multi-label form of ReCoT's appendix. Labels of unverified rows are not used. Student and teacher get
    different views. The teacher is initialised as the student; its parameters follow the student's after every
    optimiser step, while its batch-normalisation statistics are its own, as it runs in training mode during training.
    Prediction: the teacher's probabilities.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"multi", "verified"})
    views = 2
    Params = MeanTeacherParams
    params: MeanTeacherParams
    updates: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: MeanTeacherParams) -> None:
        super().__init__(task, make_encoder, params)
        self.student = Network(make_encoder, task.num_classes)
        self.teacher = Network(make_encoder, task.num_classes)
        self.teacher.load_state_dict(self.student.state_dict())
        self.teacher.requires_grad_(False)
        self.decay = scaled_decay(params.decay, params.decay_stated_for, task.epochs * task.steps_per_epoch)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def loss(self, batch: Batch) -> Step:
        """Loss on the known verified labels plus the ramped-up consistency with the teacher on all rows."""
        params, clean = self.params, batch.verified
        own = self.student(batch.images[0])
        with torch.no_grad():
            taught = self.teacher(batch.images[1])
        rows = clean.nonzero()[:, 0]  # a mask would count its rows on the device at every use
        supervision = masked_bce(own[rows], batch.labels[rows])
        consistency = teacher_consistency(own, taught)
        factor = params.consistency_factor * consistency_ramp(batch.epoch, params.ramp_share * self.task.epochs)
        weight = (clean[:, None] & (batch.labels != 0))[None].float()
        logs: dict[str, float | Tensor] = {
            "clean_loss": supervision.detach(),
            "consistency": consistency.detach(),
            "consistency_factor": factor,
        }
        return Step(supervision + factor * consistency, own.detach().sigmoid(), weight, logs=logs)

    @torch.no_grad()
    def after_step(self) -> None:
        """Updates the teacher's parameters by the moving average of the student's."""
        self.updates += 1
        # ema_decay(updates, decay), computed on the device: reading the counter would synchronise at every step.
        kept = (1.0 - 1.0 / (self.updates.double() + 1)).clamp(max=self.decay)
        average: list[Tensor] = [*self.teacher.parameters()]
        current: list[Tensor] = [*self.student.parameters()]
        torch._foreach_mul_(average, kept)
        torch._foreach_add_(average, [*torch._foreach_mul(current, 1.0 - kept)])

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, L] of the teacher."""
        logits: Tensor = self.teacher(images)
        return logits.sigmoid()
