"""Which labels are wrong: suspicion scores from training and from confident learning, and how well they find errors."""

from .confident_learning import (
    aggregate_quality,
    confidence_weighted_entropy,
    confident_errors,
    confident_joint,
    confident_thresholds,
    estimated_error_rate,
    normalized_margin,
    self_confidence,
)
from .dynamics import (
    correct,
    forgetting_counts,
    given_probability,
    logit_margins,
    margins,
    mixture_suspicion,
    suspicions,
)
from .metrics import (
    at_budget,
    auroc,
    average_precision,
    budget_of,
    errors,
    flip_rate_error,
    flip_rates,
    lift_at,
)

__all__ = [
    "aggregate_quality",
    "at_budget",
    "auroc",
    "average_precision",
    "budget_of",
    "confidence_weighted_entropy",
    "confident_errors",
    "confident_joint",
    "confident_thresholds",
    "correct",
    "errors",
    "estimated_error_rate",
    "flip_rate_error",
    "flip_rates",
    "forgetting_counts",
    "given_probability",
    "lift_at",
    "logit_margins",
    "margins",
    "mixture_suspicion",
    "normalized_margin",
    "self_confidence",
    "suspicions",
]
