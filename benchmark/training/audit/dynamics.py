"""What a training predicted of each of its rows, epoch by epoch, and what its method did with their given labels.

Only sums are kept, on the device, from which suspicion scores follow: `results.label_errors.suspicions` has the same
from whole arrays. Nothing here knows a reference label, and no method can reach it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ....protocols.base import Kind
from ....protocols.rows import Array
from ....results.label_errors.dynamics import SMALLEST
from ....results.records.training_scores import TrainingScores

# Sums over the draws of an epoch are whole multiples of 2^-43: the same in whatever order a device adds them, and of at
# most 60,000 draws of a row within 64 bits.
FIXED = 2.0**43
SMALLEST_HALF, LARGEST_HALF = 2.0**-24, 65504.0  # weights are kept in half precision; a small one stays above zero


class Dynamics:
    """Running sums of a training's predictions of its own rows, one for each row or entry (row, AU).

    Draws of a row in one epoch count as their mean; of what is predicted or decided, the last draw counts.

    Args:
        given: given labels of the training rows, [N] or [N, L]; copied.
        kind: of the labels.
        num_classes: number of classes, or of AUs.
    """

    def __init__(self, given: Tensor, kind: Kind, num_classes: int) -> None:
        self._given = given.to(torch.int16, copy=True)
        self._kind = kind
        self._draws = self._zeros(torch.int32, rows=True)  # of this epoch
        # of the probabilities of the classes, or of the given sign of an AU; and of the margin
        values = num_classes + 1 if kind == "single" else 2
        self._sums = self._zeros(torch.int64).unsqueeze(-1).repeat_interleave(values, dim=-1)
        self._predicted = self._zeros(torch.int16)
        self._number = self._zeros(torch.int64, rows=True)  # of a row's last draw, among all
        self._count = 0
        sums = {name: self._zeros(torch.float64) for name in ("given", "margin", "loss", "last")}
        self._state = {
            **sums,
            "epochs": self._zeros(torch.int32, rows=True),
            "forgotten": self._zeros(torch.int16),
            "ever": self._zeros(torch.bool),
            "preferred": self._zeros(torch.int16),
            "drawn": self._zeros(torch.bool, rows=True),
        }
        if kind == "single":  # of an AU the probability of the given sign says all
            self._state["classes"] = self._sums[:, :-1].double()
            self._state["probabilities"] = self._sums[:, :-1].half()

    def _zeros(self, dtype: torch.dtype, *, rows: bool = False) -> Tensor:
        shape = self._given.shape[:1] if rows else self._given.shape
        return torch.zeros(shape, dtype=dtype, device=self._given.device)

    def add(self, rows: Tensor, probabilities: Tensor | None, weight: Tensor | None, target: Tensor | None) -> None:
        """Adds the draws of some rows, in the order in which they were trained on.

        Args:
            rows: int64 [n]; a row may come more than once.
            probabilities: [n, C] or [n, L], or None where the method reported none.
            weight: [K, n] or [K, n, L] of K networks, None for all ones.
            target: labels [K, n] or [K, n, L], None for the given ones.
        """
        numbers = torch.arange(self._count, self._count + len(rows), device=rows.device)
        self._number.scatter_reduce_(0, rows, numbers, "amax")
        latest = self._number[rows] - self._count  # the place in this block of each row's last draw
        self._count += len(rows)
        self._state["drawn"].index_fill_(0, rows, True)
        if probabilities is not None:
            self._predict(rows, latest, probabilities.double())
        self._decide("weight", rows, latest, None if weight is None else _as_half(weight))
        self._decide("target", rows, latest, None if target is None else target.to(torch.int16))

    def _predict(self, rows: Tensor, latest: Tensor, p: Tensor) -> None:
        given = self._given[rows].long()
        if self._kind == "single":
            place = given.clamp(min=0).unsqueeze(-1)
            own = p.gather(1, place).squeeze(1)
            other = p.scatter(1, place, -torch.inf).amax(dim=1)
            predicted = p.argmax(dim=1)
            kept = p
        else:
            present = given > 0
            own, other = torch.where(present, p, 1 - p), torch.where(present, 1 - p, p)
            predicted = torch.where(p >= 0.5, 1, -1)
            kept = own.unsqueeze(-1)
        margin = own.clamp(SMALLEST, 1).log() - other.clamp(SMALLEST, 1).log()
        seen = p.isfinite().all(dim=1)
        values = torch.cat([kept, margin.unsqueeze(-1)], dim=-1)
        values = torch.where(seen.view(-1, *[1] * (values.dim() - 1)), values, 0.0)
        self._draws.index_add_(0, rows, seen.int())
        self._sums.index_add_(0, rows, (values * FIXED).round().long())
        self._predicted[rows] = predicted[latest].to(torch.int16)  # the same value for all draws of a row

    def _decide(self, name: str, rows: Tensor, latest: Tensor, decided: Tensor | None) -> None:
        """Keeps what was decided of each row's last draw; nothing as long as nothing was ever reported."""
        if decided is None and name not in self._state:
            return
        usual = self._given[rows] if name == "target" else self._ones(rows)
        decided = usual.unsqueeze(0) if decided is None else decided
        if decided.dim() == self._given.dim():  # a weight for each row, of labels that are entries
            decided = decided.unsqueeze(-1).expand(-1, -1, self._given.shape[1])
        kept = self._state.get(name)
        if kept is None or len(kept) < len(decided):
            more = len(decided) - (0 if kept is None else len(kept))
            new = (self._given if name == "target" else self._ones()).unsqueeze(0).repeat_interleave(more, 0)
            kept = self._state[name] = new if kept is None else torch.cat([kept, new])
        rest = usual.unsqueeze(0).expand(len(kept) - len(decided), *usual.shape)  # of networks without a report
        kept[:, rows] = torch.cat([decided, rest])[:, latest]

    def _ones(self, rows: Tensor | None = None) -> Tensor:
        of = self._given if rows is None else self._given[rows]
        return torch.ones_like(of, dtype=torch.float16)

    def close_epoch(self) -> None:
        """Adds what was drawn in this epoch to what is kept of all epochs."""
        state = self._state
        shape = (-1, *[1] * (self._given.dim() - 1))
        draws = self._draws.view(shape)
        seen, before = draws > 0, state["epochs"].view(shape) > 0
        means = self._sums.double().div_(FIXED).div_(draws.clamp(min=1).unsqueeze(-1))
        kept, margin = means[..., :-1], means[..., -1]
        if self._kind == "single":
            own = kept.gather(1, self._given.long().clamp(min=0).unsqueeze(-1)).squeeze(1)
            state["classes"] += kept
            state["probabilities"] = torch.where(seen.unsqueeze(-1), kept.half(), state["probabilities"])
        else:
            own = kept.squeeze(-1)
        right = self._predicted == self._given
        was_right = before & (state["preferred"] == self._given)
        state["given"] += own
        state["margin"] += margin
        state["loss"] -= torch.where(seen, own.clamp(min=SMALLEST).log(), 0.0)
        state["last"] = torch.where(seen, own, state["last"])
        state["forgotten"] += seen & was_right & ~right
        state["ever"] |= seen & right
        state["preferred"] = torch.where(seen, self._predicted, state["preferred"])
        state["epochs"] += self._draws > 0
        self._draws.zero_()
        self._sums.zero_()

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps between two epochs."""
        return dict(self._state)

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes what `state` gave, of a training of the same rows.

        Raises:
            ValueError: it is of other rows, or lacks a part.
        """
        for name, tensor in self._state.items():
            if name not in state or state[name].shape != tensor.shape or state[name].dtype != tensor.dtype:
                raise ValueError(f"the training's scores have no {name} of these rows")
        self._state = {name: tensor.to(self._given.device, copy=True) for name, tensor in state.items()}

    def scores(self, sample_id: Array, verified: Array) -> TrainingScores:
        """The scores of all rows; brought from the device."""
        found = {name: tensor.cpu().numpy() for name, tensor in self._state.items()}
        given = self._given.cpu().numpy()
        none = -1 if given.ndim == 1 else 0
        epochs, drawn = (found[name] if given.ndim == 1 else found[name][:, None] for name in ("epochs", "drawn"))
        count = np.where((given != none) & (epochs > 0), epochs, np.nan)  # so that what is unknown is NaN
        weight, target = found.get("weight"), found.get("target")
        probabilities, alternative = _of_classes(found, given)
        return TrainingScores(
            sample_id=sample_id,
            given=given,
            verified=verified,
            epochs=found["epochs"].copy(),
            suspicions={
                "last": np.where(np.isnan(count), np.nan, 1 - found["last"]),
                "mean": 1 - found["given"] / count,
                "aum": -found["margin"] / count,
                "forgetting": np.where(found["ever"], found["forgotten"], count),
                "loss": found["loss"] / count,
            },
            preferred=np.where(epochs > 0, found["preferred"], none),
            weight=None if weight is None else np.where(drawn, weight, np.nan),
            target=None if target is None else np.where(drawn, target, none),
            probabilities=probabilities,
            alternative=alternative,
        )


def _as_half(weight: Tensor) -> Tensor:
    """Weights in half precision: positive ones stay positive and finite."""
    bounded = weight.float().clamp(-LARGEST_HALF, LARGEST_HALF)
    return torch.where(bounded > 0, bounded.clamp(min=SMALLEST_HALF), bounded).half()


def _of_classes(found: Mapping[str, Array], given: Array) -> tuple[Array | None, Array | None]:
    """Of single labels the last probabilities, and the class that was the most probable beside the given one.

    None where the labels are of AUs, or no prediction was ever seen.
    """
    seen = found["epochs"] > 0
    if given.ndim == 2 or not seen.any():
        return None, None
    others = found["classes"].copy()
    labelled = np.flatnonzero(given >= 0)
    others[labelled, given[labelled]] = -np.inf
    probabilities = np.where(seen[:, None], found["probabilities"], np.float16(np.nan))
    return probabilities, np.where(seen, others.argmax(axis=1), -1)
