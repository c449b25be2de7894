"""Labels of drawn votes, and their synthetic twins: exact rates, the structure each keeps, and refused arguments."""

from __future__ import annotations

from collections import Counter
from itertools import combinations_with_replacement
from math import factorial, prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernoise_bench.protocols import noise
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.vote_noise import (
    TWIN_NOISE,
    VOTE_NOISE,
    confusion_twin,
    drawn_majority,
    instance_twin,
    name_of,
    symmetric_twin,
)

CLASSES = 5
STREAM = int.from_bytes(b"label votes")
TWINS = [symmetric_twin, confusion_twin, instance_twin]
SEEDS = st.integers(0, 2**40)


def faces(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Votes of ten annotators, and the class of most votes, unknown for every ninth face."""
    generator = np.random.default_rng(seed)
    shares = generator.dirichlet(np.full(CLASSES, 0.4), count)
    votes = np.array([generator.multinomial(10, share) for share in shares]).reshape(count, CLASSES)
    reference = votes.argmax(1)
    reference[::9] = -1
    return votes, reference


def chance_of_majority(share: np.ndarray, count: int, label: int) -> float:
    """The probability that a label wins among `count` votes, ties split evenly, by adding up all outcomes."""
    total = 0.0
    for outcome in combinations_with_replacement(range(len(share)), count):
        drawn = Counter(outcome)
        chance = factorial(count) * prod(share[c] ** n / factorial(n) for c, n in drawn.items())
        winners = [c for c, n in drawn.items() if n == max(drawn.values())]
        total += chance * (label in winners) / len(winners)
    return total


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_labels_win_as_often_as_probability_says(count: int) -> None:
    votes = np.array([6, 3, 1, 0, 0])
    found = drawn_majority(np.tile(votes, (20_000, 1)), count, seed=3)
    for label in range(CLASSES):
        expected = chance_of_majority(votes / 10, count, label)
        assert abs((found == label).mean() - expected) < 4 * np.sqrt(0.25 / 20_000)


def test_all_votes_give_the_most_frequent_class_and_ties_are_drawn() -> None:
    votes = np.tile([4, 4, 1, 0, 1], (4_000, 1))
    found = drawn_majority(votes, None, seed=1)
    assert set(found.tolist()) == {0, 1}
    assert abs((found == 0).mean() - 0.5) < 0.04
    assert (drawn_majority(np.array([[1, 3, 2]]), None, 0) == [1]).all()


def test_more_votes_contain_fewer_ones() -> None:
    """Where the first two of three votes agree, the third cannot change the label."""
    votes, _ = faces(3_000)
    one, two, three = (drawn_majority(votes, count, 7) for count in (1, 2, 3))
    assert (one != two).any()
    assert ((one == two) | (two == three) | (one == three)).mean() > 0.9
    sure = (votes == 10).any(1)
    assert (one[sure] == votes[sure].argmax(1)).all()


@given(seed=SEEDS, count=st.sampled_from([1, 2, 3, None]))
def test_a_label_has_a_vote_and_a_row_without_votes_none(seed: int, count: int | None) -> None:
    votes, _ = faces(60)
    votes[3] = 0
    found = drawn_majority(votes, count, seed)
    rows = np.arange(60) != 3
    assert found[3] == -1
    assert (votes[rows, found[rows]] > 0).all()
    assert (found == drawn_majority(votes, count, seed)).all()


@pytest.mark.parametrize("twin", TWINS)
@given(seed=SEEDS, count=st.integers(0, 120))
def test_a_twin_has_exactly_as_many_wrong_labels(twin: object, seed: int, count: int) -> None:
    votes, reference = faces(count, seed % 13)
    human = drawn_majority(votes, 1, seed)
    before = human.copy(), reference.copy(), votes.copy()
    made = twin(votes, reference, human, seed)  # type: ignore[operator]
    known = reference >= 0
    assert ((made != reference) & known).sum() == ((human != reference) & known).sum()
    assert (made[~known] == human[~known]).all()
    assert ((made >= 0) & (made < CLASSES)).all()
    assert all((a == b).all() for a, b in zip(before, (human, reference, votes), strict=True))


def matrix(reference: np.ndarray, labels: np.ndarray) -> np.ndarray:
    found = np.zeros((CLASSES, CLASSES), int)
    np.add.at(found, (reference[reference >= 0], labels[reference >= 0]), 1)
    return found


def test_what_each_twin_keeps_of_human_noise() -> None:
    votes, reference = faces(6_000)
    known = reference >= 0
    human = drawn_majority(votes, 1, 5)
    against = 1 - votes[np.arange(6_000), np.maximum(reference, 0)] / 10
    symmetric, confusion, instance = (twin(votes, reference, human, 5) for twin in TWINS)
    assert (matrix(reference, confusion) == matrix(reference, human)).all()
    assert (confusion != human).any()
    shares = matrix(reference, symmetric) / matrix(reference, symmetric).sum(1, keepdims=True)
    off = shares[~np.eye(CLASSES, dtype=bool)]
    assert off.std() < 0.02
    wrong = {
        name: (labels != reference)[known]
        for name, labels in {
            "human": human,
            "symmetric": symmetric,
            "confusion": confusion,
            "instance": instance,
        }.items()
    }
    ambiguity = {name: np.corrcoef(value, against[known])[0, 1] for name, value in wrong.items()}
    assert ambiguity["instance"] == pytest.approx(ambiguity["human"], abs=0.04)
    assert ambiguity["human"] > 0.3
    assert abs(ambiguity["symmetric"]) < 0.04
    assert ambiguity["confusion"] < 0.5 * ambiguity["human"]
    rows = known & (instance != reference)
    assert (votes[rows, instance[rows]] > 0).all()


def test_a_face_is_wrong_as_often_as_its_votes_say() -> None:
    votes = np.array([[9, 1], [7, 3], [5, 5], [10, 0]] * 10)
    reference = np.zeros(40, int)
    often = np.zeros(40)
    wanted = 9  # 1 + 3 + 5 of 10, times ten faces, in expectation
    human = np.zeros(40, int)
    human[:wanted] = 1
    for seed in range(2_000):
        often += instance_twin(votes, reference, human, seed) == 1
    share = often.reshape(10, 4).mean(0) / 2_000
    assert np.abs(share - np.array([0.1, 0.3, 0.5, 0.0])).max() < 0.01


def test_more_wrong_labels_than_the_votes_can_give_are_not_asked_for() -> None:
    """A face whose votes are all against the reference is wrong for certain, also where others are ambiguous."""
    votes = np.array([[0, 10], [9, 1], [9, 1], [9, 1]])
    for seed in range(50):
        made = instance_twin(votes, np.zeros(4, int), np.array([1, 1, 0, 0]), seed)
        assert made[0] == 1
        assert made.sum() == 2


# --- the same draws by a loop


def lots(seed: int, number: int, *shape: int) -> list:
    return np.random.default_rng((STREAM, seed, number)).random(shape).tolist()


def at_place(weights: list[float], place: float) -> int:
    """The class at a place of the cumulative weights."""
    reached = 0.0
    for label, weight in enumerate(weights):
        reached += weight
        if place * sum(weights) < reached:
            return label
    raise AssertionError("beyond the last class")


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_drawn_votes_are_those_of_a_loop_with_lots_of_their_own_for_ties(count: int) -> None:
    votes, _ = faces(500, 4)
    places = [lots(9, number, 500) for number in range(count)]
    ties = lots(9, 1_000, 500, CLASSES)
    expected = []
    for row, weights in enumerate(votes.tolist()):
        drawn = Counter(at_place(weights, place[row]) for place in places)
        winners = [label for label, times in drawn.items() if times == max(drawn.values())]
        expected.append(max(winners, key=ties[row].__getitem__))
    assert drawn_majority(votes, count, 9).tolist() == expected


def inclusion(shares: dict[int, float], wanted: int) -> dict[int, float]:
    """Probabilities in proportion to the shares that add up to a number, none above 1."""
    found = {row: min(1.0, wanted * share / sum(shares.values())) for row, share in shares.items()}
    sure = [row for row, chance in found.items() if chance == 1]
    if sure and len(sure) < len(shares):
        return dict.fromkeys(sure, 1.0) | inclusion(
            {row: share for row, share in shares.items() if row not in sure}, wanted - len(sure)
        )
    return found


def test_the_instance_twin_is_that_of_a_loop() -> None:
    """A systematic sample in an order drawn anew; the wrong class by the votes against the reference."""
    votes, reference = faces(400, 6)
    votes[:4] = [0, 0, 0, 0, 10]
    reference[:4] = 1  # wrong for certain
    human = drawn_majority(votes, 1, 5)
    against = {
        row: [0 if label == reference[row] else count for label, count in enumerate(counts)]
        for row, counts in enumerate(votes.tolist())
        if reference[row] >= 0
    }
    wanted = sum(human[row] != reference[row] for row in against)
    chance = inclusion({row: sum(wrong) / 10 for row, wrong in against.items()}, wanted)
    order, places, (start,) = lots(8, 1_002, 400), lots(8, 1_001, 400), lots(8, 1_003, 1)
    expected, reached = np.where(reference < 0, human, reference).tolist(), 0.0
    for row in sorted((row for row in chance if chance[row] < 1), key=order.__getitem__):
        before, reached = reached, reached + chance[row]
        if np.floor(before - start) != np.floor(reached - start):
            expected[row] = at_place(against[row], places[row])
    for row in (row for row in chance if chance[row] == 1):
        expected[row] = at_place(against[row], places[row])
    assert 1.0 in chance.values()
    found = instance_twin(votes, reference, human, 8)
    assert (found != reference)[list(against)].sum() == wanted
    assert found.tolist() == expected


def test_neighbours_are_wrong_together_as_often_as_chance_has_it() -> None:
    """In a systematic sample in the order of rows two neighbours of such shares are never both chosen."""
    votes, reference = np.tile([7, 3], (40, 1)), np.zeros(40, int)
    human = np.where(np.arange(40) < 12, 1, 0)
    both = [
        (made[1:] & made[:-1]).mean()
        for made in (instance_twin(votes, reference, human, seed) == 1 for seed in range(400))
    ]
    assert np.mean(both) == pytest.approx(12 / 40 * 11 / 39, abs=0.008)


def test_a_wrong_class_is_drawn_by_the_votes_for_it() -> None:
    votes, reference = np.tile([4, 3, 2, 1, 0], (6_000, 1)), np.zeros(6_000, int)
    found = instance_twin(votes, reference, drawn_majority(votes, 1, 0), 0)
    shares = np.bincount(found[found > 0], minlength=CLASSES)[1:] / (found > 0).sum()
    np.testing.assert_allclose(shares, [3 / 6, 2 / 6, 1 / 6, 0], atol=0.03)


def test_draws_stay_what_they_were() -> None:
    """Fixed values: labels drawn otherwise need a new version of the protocols that have them."""
    votes, reference = faces(300, 2)
    found = {
        name: noise.mask_hash(drawn(votes, reference, 7), reference)[:16]
        for name, drawn in {**VOTE_NOISE, **TWIN_NOISE}.items()
    }
    assert found == {
        "1 vote": "f47fa33b48dabf02",
        "2 votes": "d3d804537ed07bd9",
        "3 votes": "05c2ec5e3e475260",
        "5 votes": "e1fa204288095ffc",
        "all votes": "e7c308b48a7e4124",
        "symmetric at the rate of 1 vote": "bf6da59266796f90",
        "class-conditional at the rate of 1 vote": "24f64cfeef6598ce",
        "instance-dependent at the rate of 1 vote": "7588e01e76e1c208",
    }


def test_refused_arguments() -> None:
    with pytest.raises(BadInput, match="0 votes drawn: at least 1"):
        drawn_majority(np.ones((2, 3)), 0, 0)
    with pytest.raises(BadInput, match="votes must be numbers of 0 or more"):
        drawn_majority(-np.ones((2, 3)), 1, 0)
    with pytest.raises(BadInput, match="is negative"):
        drawn_majority(np.ones((2, 3)), 1, -1)
    assert (name_of(1), name_of(3), name_of(None)) == ("1 vote", "3 votes", "all votes")
    assert name_of(1, "symmetric") == "symmetric at the rate of 1 vote"


def test_one_vote_is_not_the_draw_of_another_protocol() -> None:
    """`ferplus-annotator` draws votes too, with the same seeds."""
    votes, _ = faces(400)
    assert (drawn_majority(votes, 1, 0) != noise.by_votes(votes, 0)).any()
