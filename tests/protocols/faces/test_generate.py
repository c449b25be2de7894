from __future__ import annotations

import hashlib

import numpy as np
import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.faces import generate as module
from fernoise_bench.protocols.faces.generate import (
    AUS,
    Faces,
    FaceSpecification,
    annotator_votes,
    automatic_annotator,
    faces,
)

BP4D = dict(
    zip(
        ("AU1", "AU2", "AU4", "AU6", "AU7", "AU10", "AU12", "AU14", "AU15", "AU17", "AU23", "AU24"),
        (0.211, 0.171, 0.203, 0.462, 0.549, 0.594, 0.562, 0.466, 0.169, 0.344, 0.165, 0.152),
        strict=True,
    )
)
DISFA = dict(
    zip(
        ("AU1", "AU2", "AU4", "AU6", "AU9", "AU12", "AU25", "AU26"),
        (0.050, 0.043, 0.152, 0.079, 0.042, 0.129, 0.277, 0.088),
        strict=True,
    )
)


def spontaneous(rates: dict[str, float], subjects: int, count: int = 3000) -> Faces:
    people = tuple(f"S{number:02d}" for number in range(subjects))
    return faces(FaceSpecification(count, 16, people, tuple(rates), tuple(rates.values())), 7)


@pytest.fixture(scope="module")
def bp4d() -> Faces:
    return spontaneous(BP4D, 41)


@pytest.fixture(scope="module")
def posed() -> Faces:
    return faces(FaceSpecification(1500, 16, content="expressions"), 5)


def same(first: Faces, second: Faces) -> bool:
    return all(one.tobytes() == two.tobytes() for one, two in zip(first, second, strict=True))


def test_same_seed_same_bytes_and_other_seeds_differ() -> None:
    specification = FaceSpecification(40, 32)
    assert same(faces(specification, 3), faces(specification, 3))
    assert not np.array_equal(faces(specification, 3).images, faces(specification, 4).images)


def test_bytes_are_pinned_for_every_machine() -> None:
    # Raise this digest by hand when the drawing changes on purpose; on any one version all machines must agree.
    found = faces(FaceSpecification(64, 48, subjects=("a", "b", "c")), 11)
    digest = hashlib.sha256(found.images.tobytes() + found.aus.tobytes() + found.expressions.tobytes())
    assert digest.hexdigest()[:16] == "83d6a8ba86dba96e"


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    specification = FaceSpecification(40, 32, content="expressions")
    whole = faces(specification, 3)
    monkeypatch.setattr(module, "_CHUNK", 7)
    assert same(whole, faces(specification, 3))


@pytest.mark.parametrize("content", ["aus", "expressions"])
def test_faces_stay_when_the_count_grows(content: str) -> None:
    few, many = (faces(FaceSpecification(count, 32, content=content), 3) for count in (10, 30))
    assert np.array_equal(few.images, many.images[:10])
    assert np.array_equal(few.aus, many.aus[:10])
    few, many = (faces(FaceSpecification(count, 32, ("x", "y"), content=content), 3) for count in (20, 60))
    assert np.array_equal(few.images, many.images[[*range(10), *range(30, 40)]])


def test_shapes_types_and_ranges() -> None:
    names = ("AU12", "AU1", "AU45")
    found = faces(FaceSpecification(21, 40, ("a", "b"), names), 0)
    images, aus, expressions, subjects = found
    assert images.shape == (21, 40, 40, 3)
    assert images.dtype == np.uint8
    assert aus.shape == (21, 3)
    assert aus.dtype == np.int8
    assert aus.min() >= 0
    assert aus.max() <= 5
    assert expressions.shape == (21,)
    assert expressions.dtype == np.int64
    assert list(subjects) == ["a"] * 11 + ["b"] * 10
    assert found.pose.shape == found.light.shape == (21, 3)
    np.testing.assert_allclose(found.distribution.sum(axis=1), 1)
    labels, votes = automatic_annotator(found, 0), annotator_votes(found, 0, 4)
    assert labels.shape == (21, 3)
    assert labels.dtype == np.int8
    assert set(np.unique(labels)) == {-1, 1}
    assert votes.shape == (21, 4)
    assert votes.dtype == np.int64


def test_no_faces_is_no_error() -> None:
    found = faces(FaceSpecification(0, 16), 0)
    assert found.images.shape == (0, 16, 16, 3)
    assert automatic_annotator(found, 0).shape == (0, len(AUS))
    assert annotator_votes(found, 0).shape == (0, 10)


def test_columns_follow_the_names_asked_for() -> None:
    every, some = (faces(FaceSpecification(50, 16, au_names=names), 2) for names in (AUS, ("AU12", "AU4")))
    assert np.array_equal(some.aus, every.aus[:, [AUS.index("AU12"), AUS.index("AU4")]])
    assert np.array_equal(automatic_annotator(some, 1)[:, 0], automatic_annotator(every, 1)[:, AUS.index("AU12")])


@pytest.mark.parametrize(("rates", "subjects"), [(BP4D, 41), (DISFA, 27)])
def test_rates_are_met(rates: dict[str, float], subjects: int) -> None:
    realised = (spontaneous(rates, subjects).aus >= 2).mean(axis=0)
    gaps = np.abs(realised - list(rates.values()))
    assert gaps.max() < 0.06
    assert gaps.mean() < 0.025


def test_extreme_rates() -> None:
    found = faces(FaceSpecification(200, 16, au_names=("AU4", "AU12"), au_rates=(0.0, 1.0)), 0)
    assert not (found.aus[:, 0] >= 2).any()
    assert (found.aus[:, 1] >= 2).all()


def test_rates_also_bind_posed_expressions() -> None:
    found = faces(FaceSpecification(1000, 16, au_names=("AU12",), au_rates=(0.4,), content="expressions"), 0)
    assert abs((found.aus >= 2).mean() - 0.4) < 0.05


def test_actions_that_go_together(bp4d: Faces) -> None:
    related = np.asarray(np.corrcoef((bp4d.aus >= 2).T))
    names = list(BP4D)
    for first, second in (("AU1", "AU2"), ("AU6", "AU12"), ("AU10", "AU12"), ("AU6", "AU7")):
        assert related[names.index(first), names.index(second)] > 0.3
    assert related[names.index("AU12"), names.index("AU15")] < 0


def test_impossible_pairs_and_companions() -> None:
    found = faces(FaceSpecification(3000, 16), 1).aus >= 2
    column = {name: found[:, place] for place, name in enumerate(AUS)}
    assert not (column["AU43"] & column["AU5"]).any()
    assert not (column["AU24"] & column["AU25"]).any()
    assert (column["AU26"] & ~column["AU25"]).mean() < 0.01


def test_sequences_are_smooth() -> None:
    levels = faces(FaceSpecification(1200, 16, ("a", "b", "c")), 0).levels[:, AUS.index("AU12")]
    near, far = np.abs(levels[1:] - levels[:-1]).mean(), np.abs(levels[200:] - levels[:-200]).mean()
    assert near < 0.6 * far


def test_subjects_persist() -> None:
    subjects = ("a", "b", "c", "d", "e", "f")
    still = FaceSpecification(48, 32, subjects, content="expressions", expressions=("neutral",), nuisance=0)
    first, again = (faces(still, seed).images.astype(float).reshape(6, 8, -1) for seed in (0, 9))
    within = np.abs(first - again).mean()
    between = np.abs(first - np.roll(again, 1, axis=0)).mean()
    assert within < 0.7 * between


def test_expressions_are_balanced_and_told_by_their_actions(posed: Faces) -> None:
    shares = np.bincount(posed.expressions, minlength=7) / len(posed.expressions)
    assert shares.min() > 0.09
    names = list(module.EXPRESSIONS)
    smiles = posed.levels[:, AUS.index("AU12")] > 2.5
    assert (posed.expressions[smiles] == names.index("happiness")).mean() > 0.9


def test_ambiguity_spreads_the_votes() -> None:
    shares = [
        faces(FaceSpecification(400, 16, content="expressions", ambiguity=ambiguity), 0).distribution.max(axis=1)
        for ambiguity in (0.0, 0.3, 1.0)
    ]
    assert shares[0].mean() > shares[1].mean() > shares[2].mean()
    assert (shares[1] < 0.55).mean() > 0.02  # some faces are truly ambiguous by default


def test_annotators_follow_the_distribution(posed: Faces) -> None:
    votes = annotator_votes(posed, 0, count=50)
    seen = np.stack([(votes == place).mean(axis=1) for place in range(7)], axis=1)
    assert np.abs(seen.mean(axis=0) - posed.distribution.mean(axis=0)).max() < 0.01
    assert np.abs(seen - posed.distribution).mean() < 0.04
    assert not np.array_equal(votes, annotator_votes(posed, 1, count=50))


def test_coder_misses_weak_actions_more(bp4d: Faces) -> None:
    missed = automatic_annotator(bp4d, 0) < 0
    shares = [missed[bp4d.aus == intensity].mean() for intensity in (2, 3, 5)]
    assert shares[0] > shares[1] > shares[2]


def test_coder_errs_more_on_turned_heads_and_bad_light(bp4d: Faces) -> None:
    wrong = ((automatic_annotator(bp4d, 0) > 0) != (bp4d.aus >= 2)).mean(axis=1)
    turn = np.abs(bp4d.pose[:, 0]) + np.abs(bp4d.pose[:, 1])
    assert wrong[turn > 18].mean() > wrong[turn < 8].mean() + 0.02
    across = np.abs(bp4d.light[:, 0])
    assert wrong[across > 0.6].mean() > wrong[across < 0.2].mean()


def test_coder_has_a_bias_for_each_subject(bp4d: Faces) -> None:
    alarms = (automatic_annotator(bp4d, 0) > 0) & (bp4d.aus == 0)
    for name in ("AU4", "AU17"):
        column = alarms[:, list(BP4D).index(name)]
        rates = np.array([column[bp4d.subjects == subject].mean() for subject in np.unique(bp4d.subjects)])
        chance = np.random.Generator(np.random.PCG64(0)).permutation(column)
        shuffled = np.array([chance[bp4d.subjects == subject].mean() for subject in np.unique(bp4d.subjects)])
        assert rates.std() > 2 * shuffled.std()


def test_coder_quality(bp4d: Faces) -> None:
    truth = bp4d.aus >= 2
    wrong = [((automatic_annotator(bp4d, 0, quality) > 0) != truth).mean() for quality in (0.5, 1.0, 4.0)]
    assert wrong[0] > wrong[1] > wrong[2]
    assert 0.08 < wrong[1] < 0.25


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (FaceSpecification(-1), "negative"),
        (FaceSpecification(1, size=15), "16 pixels"),
        (FaceSpecification(1, au_names=("AU3",)), "AU3"),
        (FaceSpecification(1, au_names=("AU1",), au_rates=(1.2,)), "0..1"),
        (FaceSpecification(1, au_names=("AU1",), au_rates=(float("nan"),)), "0..1"),
        (FaceSpecification(1, au_rates=(0.1,)), "rates"),
        (FaceSpecification(1, au_names=("AU1", "AU1")), "twice"),
        (FaceSpecification(1, subjects=("a", "a")), "twice"),
        (FaceSpecification(1, content="smiles"), "smiles"),
        (FaceSpecification(1, expressions=("joy",)), "joy"),
        (FaceSpecification(1, expressions=()), "expression"),
        (FaceSpecification(1, ambiguity=1.5), "ambiguity"),
        (FaceSpecification(1, nuisance=-1), "nuisance"),
    ],
)
def test_bad_specifications(bad: FaceSpecification, word: str) -> None:
    with pytest.raises(BadInput, match=word):
        faces(bad, 0)


def test_bad_labellers(posed: Faces) -> None:
    with pytest.raises(BadInput, match="quality"):
        automatic_annotator(posed, 0, 0.0)
    with pytest.raises(BadInput, match="annotators"):
        annotator_votes(posed, 0, -1)
