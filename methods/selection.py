"""Selection rules shared by methods (small losses, attention groups, balanced AUs, rows), and per-sample memories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .losses import full_precision

Rows = Literal["both", "clean", "noisy"]
SelectiveMode = Literal["none", "mlcr", "hand"]
Generator = torch.Generator | np.random.Generator

# Target share of positives of each AU: MLCR (Niu et al. 2019), authors' code nxsEdson/MLCR @d2a4850.
MLCR_TARGETS: Mapping[tuple[str, ...], tuple[float, ...]] = MappingProxyType(
    {
        # EmotioNet
        ("AU1", "AU2", "AU4", "AU5", "AU6", "AU9", "AU12", "AU17", "AU20", "AU25", "AU26", "AU43"): (
            *(0.2, 0.3, 0.2, 0.2, 0.5, 0.2),
            *(0.5, 0.2, 0.1, 0.5, 0.2, 0.3),
        ),
        # BP4D
        ("AU1", "AU2", "AU4", "AU6", "AU7", "AU10", "AU12", "AU14", "AU15", "AU17", "AU23", "AU24"): (
            *(0.3, 0.3, 0.5, 0.3, 0.3, 0.5),
            *(0.3, 0.5, 0.3, 0.3, 0.3, 0.3),
        ),
    }
)
LOWEST_TARGET = 0.2


def small_loss(losses: Tensor, forget_rate: float) -> Tensor:
    """The rows of smallest loss: k = max(1, int((1-R)·B)) of them, k computed in float64.

    Args:
        losses: [B].
        forget_rate: R in [0, 1], the share left out.

    Returns:
        int64 [k], ascending in loss, ties in row order; no gradient. Empty for B = 0.

    Source: Co-teaching, authors' code loss.py:9-27 (bhanML/Co-teaching @7c7fbe2), except that k is at least 1.
    """
    count = max(1, int((1.0 - float(forget_rate)) * len(losses)))
    order = torch.sort(full_precision(losses.detach()), stable=True).indices
    return order[:count]


def rank_regularization(attention: Tensor, high_ratio: float, margin: float) -> Tensor:
    """Hinge loss on the difference of mean attention between the K = int(high_ratio·B) highest rows and the rest.

    max(0, margin - (mean_high - mean_low)).

    Args:
        attention: float [B] or [B, 1].
        high_ratio: share of rows in the high group.
        margin: the required difference.

    Returns:
        Scalar with gradient to the attention; 0 when either group is empty.

    Source: SCN, authors' code src/train.py:218-237 (kaiwang960112/Self-Cure-Network @9f4c3ad); ULC-AG §II.
    """
    attention = full_precision(attention).flatten()
    count = int(high_ratio * len(attention))
    ordered = torch.sort(attention, descending=True, stable=True).values
    high, low = ordered[:count], ordered[count:]
    if len(high) == 0 or len(low) == 0:
        return attention.sum() * 0.0
    return (margin - (high.mean() - low.mean())).clamp(min=0.0)


def selective_weights(labels: Tensor, share: Tensor, mode: SelectiveMode, generator: Generator) -> Tensor:
    """Weights that balance each AU of a batch towards a target share of positives (selective learning).

    With n known entries of an AU, target share a and h = n·a:
    "mlcr": if positives < h, ceil(h) random negatives are kept and the others get 0; all other entries 1.
    "hand": the class with more than its target count (h positives, n-h negatives) is randomly reduced to ceil(target)
    entries, the other one weighted by target / count.
    "none": every known entry 1.

    Args:
        labels: [N, L] in {-1, 0, +1}, 0 unknown.
        share: [L] in [0, 1], target share of positives; NaN: this AU is not balanced.
        mode: the rule.
        generator: torch's or NumPy's, the only source of randomness; [N, L] numbers are drawn whatever the labels.

    Returns:
        [N, L] ≥ 0 of the dtype of `share`, 0 for unknown entries; no gradient.

    Raises:
        ValueError: an unknown mode.

    Source: MLCR, authors' code loss/loss_BCE.py (nxsEdson/MLCR @d2a4850), where the weight of positives,
    min(h / positives, 1), is always 1; Hand, Castillo & Chellappa, AAAI 2018.
    """
    if mode not in ("none", "mlcr", "hand"):
        raise ValueError(f"selective learning mode {mode!r}: none, mlcr or hand")
    share = torch.as_tensor(share)
    dtype = share.dtype if share.is_floating_point() else torch.get_default_dtype()
    if mode == "none":
        return (labels != 0).to(dtype)
    positive, negative = labels > 0, labels < 0
    positives, negatives = positive.sum(dim=0).double(), negative.sum(dim=0).double()
    noise = _uniform(labels.shape, generator).to(labels.device)
    wanted = _snap((positives + negatives) * share.to(labels.device).double())
    if mode == "mlcr":
        keep = torch.where(positives < wanted, wanted.ceil(), negatives)
        return (positive | (negative & (_rank(negative, noise) < keep))).to(dtype)
    weight = torch.zeros(labels.shape, dtype=torch.float64, device=labels.device)
    for mask, count, target in ((positive, positives, wanted), (negative, negatives, positives + negatives - wanted)):
        keep = torch.where(count > target, target.ceil(), count)
        value = torch.where(count < target, target / count.clamp(min=1), 1.0)
        weight += mask * (_rank(mask, noise) < keep) * value
    return weight.to(dtype)


def _uniform(shape: torch.Size, generator: Generator) -> Tensor:
    """Uniform random numbers in [0, 1), float64."""
    if isinstance(generator, torch.Generator):
        return torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
    return torch.from_numpy(generator.random(tuple(shape)))


def _snap(values: Tensor) -> Tensor:
    """Float64 values, rounded where they are almost an integer: 50 × float32(0.3) is 15, not 15.000001."""
    whole = values.round()
    return torch.where((values - whole).abs() <= 1e-7 * values, whole, values)


def _rank(mask: Tensor, noise: Tensor) -> Tensor:
    """Rank of each entry in its column by its random number in [0, 1), entries outside the mask last."""
    order = torch.where(mask, noise, 2.0).argsort(dim=0, stable=True)
    return order.argsort(dim=0, stable=True)


def positive_frequency(labels: Tensor) -> Tensor:
    """The share of positives among the known entries of each AU: float64 [L], NaN for an AU without a known entry.

    Args:
        labels: [N, L] in {-1, 0, +1}, 0 unknown.
    """
    return (labels > 0).sum(dim=0).double() / (labels != 0).sum(dim=0).double()


def balance_targets(names: Sequence[str], frequency: Tensor) -> Tensor:
    """The target share of positives of each AU in selective learning.

    Args:
        names: AU names in column order, as ("AU1", "AU2", ...).
        frequency: [L] share of positives in the training labels, NaN without a known label.

    Returns:
        float64 [L]: MLCR's published values for the AU lists of EmotioNet and BP4D, else max(0.2, frequency).

    Source: MLCR, authors' code (nxsEdson/MLCR @d2a4850); other AU lists unstated: ours.
    """
    frequency = frequency.double()
    stated = MLCR_TARGETS.get(tuple(names))
    if stated is not None:
        return torch.tensor(stated, dtype=torch.float64, device=frequency.device)
    return frequency.nan_to_num(nan=LOWEST_TARGET).clamp(min=LOWEST_TARGET)


def choose_rows(verified: Tensor, rows: Rows) -> Tensor:
    """Mask of the rows to train on: all ("both"), the verified ones ("clean") or the others ("noisy"): bool [B].

    Raises:
        ValueError: an unknown value of `rows`.
    """
    if rows == "clean":
        return verified
    if rows == "noisy":
        return ~verified
    if rows == "both":
        return torch.ones_like(verified)
    raise ValueError(f"rows {rows!r}: both, clean or noisy")


@torch.no_grad()
def write_rows(memory: Tensor, index: Tensor, values: Tensor) -> None:
    """Writes a batch into a per-sample memory, in place; for a sample that occurs twice the last row is kept.

    Args:
        memory: [train_size, ...].
        index: int64 [B].
        values: [B, ...].
    """
    if index.numel() == 0:
        return
    # Indexed assignment does not define the order of repeated indices, so all repeats get the value of the last one.
    position = torch.arange(len(index), device=index.device)
    last = torch.where(index[:, None] == index, position, 0).amax(dim=1)
    memory[index] = values[last].to(memory.dtype)
