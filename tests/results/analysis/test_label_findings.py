"""What the scores of a trial find, against a loop over classes or AUs that uses scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from fernoise_bench.results import label_errors as le
from fernoise_bench.results.analysis.label_findings import Found, findings, suspicions_of, unverified_labels
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
        probabilities=generator.dirichlet(np.ones(CLASSES), ROWS) if kind == "single" else None,
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
    assert list(found) == [*SUSPICIONS, "mixture"]
    assert all(math.isnan(finding.whole.auroc) and finding.whole.ranked == 0 for finding in found.values())


def lift_by_sorting(suspicion, wrong, share):
    """Of suspicions without a tie at the boundary."""
    looked_at = np.argsort(-suspicion)[: max(1, round(share * len(wrong)))]
    return wrong[looked_at].mean() / wrong.mean()


def test_lifts_are_those_of_the_most_suspicious_one_five_and_ten_percent():
    scores, reference = case("single")
    suspicion = np.random.default_rng(1).random(ROWS)
    found = findings(scores, reference, CLASSES, {"mine": suspicion})["mine"].whole
    asked = (reference >= 0) & ~scores.verified
    wrong = scores.given[asked] != reference[asked]
    expected = [lift_by_sorting(suspicion[asked], wrong, share) for share in (0.01, 0.05, 0.1)]
    assert [found.lift_1, found.lift_5, found.lift_10] == pytest.approx(expected)


def test_verified_labels_are_as_if_unknown():
    single, multi = case("single")[0], case("multi")[0]
    assert unverified_labels(single).tolist() == [
        -1 if verified else label for label, verified in zip(single.given, single.verified, strict=True)
    ]
    assert not unverified_labels(multi)[multi.verified].any()
    assert np.array_equal(unverified_labels(multi)[~multi.verified], multi.given[~multi.verified])


def test_the_mixture_is_of_the_losses_of_unverified_rows():
    """Of AUs one for each AU and sign of the given label."""
    scores, _ = case("single")
    found, doubted = suspicions_of(scores)["mixture"], ~scores.verified
    assert np.array_equal(found[doubted], le.mixture_suspicion(scores.suspicions["loss"][doubted]))
    assert np.isnan(found[~doubted]).all()
    scores, _ = case("multi")
    found = suspicions_of(scores)["mixture"]
    for au in range(CLASSES):
        for sign in (-1, 1):
            rows = ~scores.verified & (scores.given[:, au] == sign)
            assert np.array_equal(found[rows, au], le.mixture_suspicion(scores.suspicions["loss"][rows, au]))
    assert np.isnan(found[(scores.given == 0) | scores.verified[:, None]]).all()


def small(given, last, probabilities):
    """A trial of rows that were seen once; every kept suspicion is the last."""
    given, last = np.array(given), np.array(last)
    rows = np.arange(len(given))
    kept = None if probabilities is None else np.array(probabilities)
    suspicions = dict.fromkeys(SUSPICIONS, last)
    return TrainingScores(rows, given, rows < 0, rows + 1, suspicions, given, probabilities=kept)


def test_qualities_of_confident_learning_by_hand():
    scores = small([0, 1, 0], [0.3, 0.9, math.nan], [[0.7, 0.2, 0.1], [0.6, 0.1, 0.3], [math.nan] * 3])
    found = suspicions_of(scores)
    assert found["self-confidence"] == pytest.approx([0.3, 0.9, math.nan], nan_ok=True)
    assert found["normalized margin"] == pytest.approx([1 - 1.5 / 2, 1 - 0.5 / 2, math.nan], nan_ok=True)
    entropy = -(0.7 * math.log(0.7) + 0.2 * math.log(0.2) + 0.1 * math.log(0.1)) / math.log(3)
    assert found["entropy-weighted"][0] == pytest.approx(1 - math.log1p(entropy / 0.7) / (entropy / 0.7))
    assert list(found) == [*SUSPICIONS, "mixture", "self-confidence", "normalized margin", "entropy-weighted"]


def test_of_aus_the_margin_is_the_self_confidence_and_left_out():
    scores = small([[1, -1], [0, -1]], [[0.4, 0.1], [math.nan, 0.8]], None)
    found = suspicions_of(scores)
    assert "normalized margin" not in found
    assert found["self-confidence"].ravel() == pytest.approx([0.4, 0.1, math.nan, 0.8], nan_ok=True)
    entropy = -(0.6 * math.log(0.6) + 0.4 * math.log(0.4)) / math.log(2)
    assert found["entropy-weighted"][0, 0] == pytest.approx(1 - math.log1p(entropy / 0.6) / (entropy / 0.6))


def test_references_of_another_shape_are_refused():
    scores, reference = case("single")
    with pytest.raises(ValueError, match="must both be"):
        findings(scores, reference[:-1], CLASSES)
