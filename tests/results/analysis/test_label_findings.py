"""What the scores of a trial find, against a loop over classes or AUs that uses scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from fernoise_bench.results.analysis.label_findings import Found, findings
from fernoise_bench.results.records.training_scores import SUSPICIONS, TrainingScores

ROWS, CLASSES = 200, 3


def case(kind, seed=0):
    """Scores and reference labels; some are unknown, some rows verified, and the last AU has no known reference."""
    generator = np.random.default_rng(seed)
    if kind == "single":
        given, reference = (generator.integers(0, CLASSES, ROWS) for _ in range(2))
        reference = np.where(generator.random(ROWS) < 0.6, given, reference)
        reference[::9] = -1
    else:
        given, reference = (generator.integers(-1, 2, (ROWS, CLASSES)) for _ in range(2))
        reference = np.where(generator.random(given.shape) < 0.6, given, reference)
        reference[:, -1] = 0
    suspicions = {name: generator.random(given.shape).round(2) for name in SUSPICIONS}
    suspicions["aum"][::5] = math.nan
    scores = TrainingScores(
        sample_id=np.arange(ROWS),
        given=given,
        verified=generator.random(ROWS) < 0.2,
        epochs=np.ones(ROWS, int),
        suspicions=suspicions,
        preferred=given,
        weight=generator.integers(0, 2, (2, *given.shape)).astype(float),
    )
    return scores, reference


def expected(suspicion, wrong):
    """By scikit-learn, of suspicions without ties at the boundary or with them."""
    count = int(wrong.sum())
    boundary = np.sort(suspicion)[::-1][count - 1]
    above, at = suspicion > boundary, suspicion == boundary
    hits = wrong[above].sum() + (count - above.sum()) * wrong[at].mean()
    return roc_auc_score(wrong, suspicion), average_precision_score(wrong, suspicion), hits / count, 1 - hits / count


@pytest.mark.parametrize("name", ["last", "aum", "left out"])
def test_single_labels_are_ranked_together_and_by_given_class(name):
    scores, reference = case("single")
    suspicion = scores.suspicions[name] if name in SUSPICIONS else (scores.weight == 0).mean(axis=0)
    finding = findings(scores, reference, CLASSES)[name]
    asked = (reference >= 0) & ~scores.verified
    for found, mine in (
        (finding.whole, asked),
        *((part, asked & (scores.given == place)) for place, part in enumerate(finding.by_class)),
    ):
        ranked = mine & ~np.isnan(suspicion)
        wrong = scores.given[ranked] != reference[ranked]
        assert (found.auroc, found.auprc, found.precision, found.missed) == pytest.approx(
            expected(suspicion[ranked], wrong)
        )
        assert found.error_rate == pytest.approx(wrong.mean())
        assert found.ranked == pytest.approx(ranked.sum() / mine.sum())


def test_action_units_are_ranked_each_by_itself_and_averaged():
    scores, reference = case("multi")
    finding = findings(scores, reference, CLASSES)["mean"]
    parts = []
    for au in range(CLASSES - 1):
        mine = (reference[:, au] != 0) & (scores.given[:, au] != 0) & ~scores.verified
        wrong = scores.given[mine, au] != reference[mine, au]
        parts.append(expected(scores.suspicions["mean"][mine, au], wrong))
        found = finding.by_class[au]
        assert (found.auroc, found.auprc, found.precision, found.missed) == pytest.approx(parts[-1])
    whole = finding.whole
    assert (whole.auroc, whole.auprc, whole.precision, whole.missed) == pytest.approx(np.mean(parts, axis=0))
    last = finding.by_class[-1]
    assert all(math.isnan(getattr(last, name)) for name in Found.__dataclass_fields__)


def test_a_method_without_predictions_or_decisions_has_no_numbers():
    scores, reference = case("single")
    nothing = {name: np.full(ROWS, math.nan) for name in SUSPICIONS}
    bare = TrainingScores(scores.sample_id, scores.given, scores.verified, scores.epochs, nothing, scores.preferred)
    found = findings(bare, reference, CLASSES)
    assert list(found) == list(SUSPICIONS)
    assert all(math.isnan(finding.whole.auroc) and finding.whole.ranked == 0 for finding in found.values())


def test_references_of_another_shape_are_refused():
    scores, reference = case("single")
    with pytest.raises(ValueError, match="must both be"):
        findings(scores, reference[:-1], CLASSES)
