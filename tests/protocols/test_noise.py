"""Label noise: exact counts, nested levels, unknown labels, seeds, and refused arguments."""

import hashlib
from collections.abc import Callable
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernoise_bench.protocols import noise
from fernoise_bench.protocols.errors import BadInput

CLASSES = 7
RATES = st.integers(0, 99).map(lambda percent: percent / 100)
SEEDS = st.integers(0, 2**64)
LABELS = st.builds(
    lambda values, dtype: np.array(values, dtype),
    st.lists(st.integers(-2, CLASSES - 1), max_size=200),
    st.sampled_from([np.int64, np.int32, np.int8]),
)
AUS = st.builds(
    lambda rows, columns, seed, dtype: np.random.default_rng(seed).integers(-1, 2, (rows, columns)).astype(dtype),
    st.integers(0, 80),
    st.integers(0, 5),
    st.integers(0, 1000),
    st.sampled_from([np.int64, np.int8, np.float32]),
)
Flip = Callable[[np.ndarray, float, int], np.ndarray]
CLASS_NOISE: dict[str, Flip] = {
    "symmetric": lambda labels, rate, seed: noise.symmetric(labels, rate, CLASSES, seed),
    "pair": lambda labels, rate, seed: noise.pair_flip(labels, rate, CLASSES, seed),
    "bernoulli": lambda labels, rate, seed: noise.symmetric(labels, rate, CLASSES, seed, exact=False),
    "all classes": lambda labels, rate, seed: noise.symmetric(labels, rate, CLASSES, seed, include_true=True),
    "transition": lambda labels, rate, seed: noise.by_transition(
        labels, (1 - rate) * np.eye(CLASSES) + rate * noise.FER2013_TRANSITION, seed
    ),
}
AU_NOISE: dict[str, Flip] = {
    "plain": lambda labels, rate, seed: noise.au_flip(labels, rate, seed),
    "balanced": lambda labels, rate, seed: noise.au_flip(labels, rate, seed, balanced=True),
}


def share(rate: float, count: int) -> int:
    """floor(rate·count + 0.5) for a rate in whole percent, in integers."""
    return (round(rate * 100) * count * 2 + 100) // 200


def check_common(flip: Flip, labels: np.ndarray, rate: float, seed: int) -> np.ndarray:
    """Same dtype and shape, input untouched, determined by the seed."""
    before = labels.copy()
    noisy = flip(labels, rate, seed)
    assert np.array_equal(labels, before)
    assert noisy is not labels
    assert not np.shares_memory(noisy, labels)
    assert (noisy.dtype, noisy.shape) == (labels.dtype, labels.shape)
    assert np.array_equal(noisy, flip(labels, rate, seed))
    return noisy


@pytest.mark.parametrize("kind", CLASS_NOISE)
@given(labels=LABELS, rate=RATES, seed=SEEDS)
def test_class_noise_keeps_form_and_unknown_labels(kind: str, labels: np.ndarray, rate: float, seed: int) -> None:
    noisy = check_common(CLASS_NOISE[kind], labels, rate, seed)
    assert np.array_equal(noisy[labels < 0], labels[labels < 0])
    known = noisy[labels >= 0]
    assert ((known >= 0) & (known < CLASSES)).all()


@pytest.mark.parametrize("kind", ["symmetric", "pair"])
@given(labels=LABELS, rate=RATES, seed=SEEDS)
def test_exact_counts_in_each_class_and_no_row_flipped_to_itself(
    kind: str, labels: np.ndarray, rate: float, seed: int
) -> None:
    changed = CLASS_NOISE[kind](labels, rate, seed) != labels
    for label in range(CLASSES):
        rows = labels == label
        assert changed[rows].sum() == share(rate, rows.sum())


@pytest.mark.parametrize("kind", CLASS_NOISE)
@given(labels=LABELS, rates=st.tuples(RATES, RATES).map(sorted), seed=SEEDS)
def test_a_higher_level_contains_the_lower_one(kind: str, labels: np.ndarray, rates: list[float], seed: int) -> None:
    low, high = (CLASS_NOISE[kind](labels, rate, seed) for rate in rates)
    flipped = low != labels
    assert np.array_equal(high[flipped], low[flipped])


@given(labels=LABELS, rate=RATES, seed=SEEDS)
def test_pair_noise_goes_to_the_next_class(labels: np.ndarray, rate: float, seed: int) -> None:
    noisy = noise.pair_flip(labels, rate, CLASSES, seed)
    changed = noisy != labels
    assert np.array_equal(noisy[changed], (labels[changed] + 1) % CLASSES)


@pytest.mark.parametrize("kind", AU_NOISE)
@given(labels=AUS, rates=st.tuples(RATES, RATES).map(sorted), seed=SEEDS)
def test_au_noise_keeps_form_unknown_entries_and_nests(
    kind: str, labels: np.ndarray, rates: list[float], seed: int
) -> None:
    low, high = (check_common(AU_NOISE[kind], labels, rate, seed) for rate in rates)
    for noisy in (low, high):
        assert np.array_equal(np.abs(noisy), np.abs(labels))
    assert np.array_equal(high[low != labels], low[low != labels])


@given(labels=AUS, rate=RATES, seed=SEEDS)
def test_au_noise_turns_exactly_its_share_of_each_unit(labels: np.ndarray, rate: float, seed: int) -> None:
    changed = (noise.au_flip(labels, rate, seed) != labels).sum(0).tolist()
    assert changed == [share(rate, n) for n in (labels != 0).sum(0)]


@given(labels=AUS, rate=RATES, seed=SEEDS)
def test_balanced_au_noise_keeps_base_rates(labels: np.ndarray, rate: float, seed: int) -> None:
    noisy = noise.au_flip(labels, rate, seed, balanced=True)
    positive, negative = (labels == 1).sum(0), (labels == -1).sum(0)
    assert np.array_equal((noisy == 1).sum(0), positive)
    half = [floor(Fraction(round(rate * 100), 200) * int(n) + Fraction(1, 2)) for n in positive + negative]
    expected = np.minimum(np.minimum(half, positive), negative)
    assert np.array_equal(((noisy != labels) & (labels == 1)).sum(0), expected)


@pytest.mark.parametrize(("rate", "rows", "flips"), [(0.3, 10, 3), (0.29, 50, 15), (0.35, 10, 4), (0.7 - 0.6, 5, 1)])
def test_float_error_of_the_rate_does_not_shift_a_count(rate: float, rows: int, flips: int) -> None:
    labels = np.zeros(rows, np.int64)
    assert (noise.symmetric(labels, rate, 2, 0) != labels).sum() == flips
    assert (noise.au_flip(np.ones((rows, 1)), rate, 0) == -1).sum() == flips
    assert (noise.symmetric(labels, np.float32(0.3), 2, 0) != labels).sum() == share(0.3, rows)


def test_a_small_type_holds_as_many_classes_as_it_has_room_for() -> None:
    labels = np.array([0, 127], np.int8)
    assert noise.pair_flip(labels, 0.9, 128, 0).tolist() == [1, 0]
    with pytest.raises(BadInput, match="int8 cannot hold 129 classes"):
        noise.pair_flip(labels, 0.9, 129, 0)


def test_new_labels_are_even_over_the_other_classes() -> None:
    labels = np.full(70_000, 3)
    noisy = noise.symmetric(labels, 0.6, CLASSES, 11)
    counts = np.bincount(noisy, minlength=CLASSES)
    assert counts[3] == 28_000
    assert np.abs(np.delete(counts, 3) - 7_000).max() < 400  # five standard deviations


def test_bernoulli_and_true_class_rates() -> None:
    labels = np.random.default_rng(0).integers(0, CLASSES, 100_000)
    free = noise.symmetric(labels, 0.4, CLASSES, 5, exact=False)
    assert noise.realised_rate(free, labels) == pytest.approx(0.4, abs=0.008)
    drawn = noise.symmetric(labels, 0.4, CLASSES, 5, include_true=True)
    assert noise.realised_rate(drawn, labels) == pytest.approx(0.4 * 6 / 7, abs=0.008)
    arrivals = np.bincount(drawn[drawn != labels], minlength=CLASSES)
    assert np.abs(arrivals / len(labels) - 0.4 * 6 / 49).max() < 0.0035  # five standard deviations
    rows = np.zeros(100, np.int64)
    counts = {np.count_nonzero(noise.symmetric(rows, 0.4, CLASSES, seed, exact=False)) for seed in range(9)}
    assert len(counts) > 1


def test_transition_frequencies() -> None:
    labels = np.arange(CLASSES).repeat(20_000)
    noisy = noise.by_transition(labels, noise.FER2013_TRANSITION, 3)
    counts = np.zeros((CLASSES, CLASSES))
    np.add.at(counts, (labels, noisy), 1)
    assert np.abs(counts / 20_000 - noise.FER2013_TRANSITION).max() < 0.018
    assert (counts[noise.FER2013_TRANSITION == 0] == 0).all()


def test_transition_with_certain_rows() -> None:
    labels = np.array([0, 1, 2, -1, 0])
    assert noise.by_transition(labels, [[0, 1, 0], [0, 1, 0], [1, 0, 0]], 0).tolist() == [1, 1, 0, -1, 1]
    assert noise.by_transition(labels, [[0, 0, 1], [0, 1, 0], [0, 1, 0]], 0).tolist() == [2, 1, 1, -1, 2]
    assert noise.by_transition(labels, np.eye(3), 0).tolist() == labels.tolist()


def test_rows_of_a_transition_sum_to_one_within_a_millionth() -> None:
    labels = np.array([0, 1])
    assert noise.by_transition(labels, np.eye(2) * (1 - 9e-7), 0).tolist() == [0, 1]
    with pytest.raises(BadInput, match="rows that sum to 1"):
        noise.by_transition(labels, np.eye(2) * (1 - 2e-6), 0)


def test_half_precision_is_added_in_full() -> None:
    votes = np.tile([2048, 1, 1, 1], (20_000, 1))  # in half precision 2048 + 1 is 2048
    assert np.array_equal(noise.by_votes(votes.astype(np.float16), 0), noise.by_votes(votes, 0))
    with pytest.raises(BadInput, match="rows that sum to 1"):
        noise.by_transition(np.array([0]), np.array([[0.9995, 0.0006], [0, 1]], np.float16), 0)


class Zeros:
    """A generator of nothing but 0, the least a real one may draw."""

    def random(self, size: int) -> np.ndarray:
        return np.zeros(size)

    def integers(self, low: int, high: int, size: int) -> np.ndarray:
        return np.full(size, low)


def test_a_draw_of_zero_takes_the_first_class_that_has_a_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np.random, "default_rng", lambda seed: Zeros())
    assert noise.by_votes([[0, 3, 1], [2, 0, 1]], 0).tolist() == [1, 0]
    assert noise.by_transition(np.array([0, 2]), [[0.5, 0, 0.5], [0, 1, 0], [0, 0.2, 0.8]], 0).tolist() == [2, 1]
    assert noise.symmetric(np.array([0, 1]), 0.0, 2, 0, exact=False).tolist() == [0, 1]
    # what stays for certain does not leave, though the row's rounding gives others a share, or nobody
    assert noise.by_transition(np.array([0, 1]), [[1, 5e-7], [0, 1 - 5e-7]], 0).tolist() == [0, 1]


def test_transition_constant_is_row_normalised_in_ferplus_order_and_read_only() -> None:
    matrix = noise.FER2013_TRANSITION
    assert (matrix.shape, matrix.dtype) == ((7, 7), np.float64)
    assert np.allclose(matrix.sum(1), 1, rtol=0, atol=1e-15)
    assert (matrix.argmax(1) == np.arange(7)).all()
    assert matrix[0].round(3).tolist() == [0.463, 0.036, 0.019, 0.241, 0.114, 0.003, 0.124]  # neutral
    assert matrix[6].round(3).tolist() == [0.0, 0.006, 0.111, 0.019, 0.043, 0.004, 0.818]  # fear
    with pytest.raises(ValueError, match="read-only"):
        matrix[0, 0] = 1


def test_votes_without_doubt_and_rows_without_a_vote() -> None:
    votes = [[0, 3, 0], [5, 0, 0], [0, 0, 0], [0, 0, 1]]
    for seed in range(10):
        assert noise.by_votes(votes, seed).tolist() == [1, 0, -1, 2]
    assert noise.by_votes(votes, 0).dtype == np.int64
    assert noise.by_votes(np.zeros((2, 0)), 0).tolist() == [-1, -1]
    assert noise.by_votes(np.zeros((0, 3)), 0).tolist() == []


def test_votes_are_drawn_in_their_shares_by_the_seed() -> None:
    votes = np.tile([3, 0, 1, 4], (40_000, 1))
    drawn = noise.by_votes(votes, 7)
    assert np.abs(np.bincount(drawn, minlength=4) / 40_000 - [0.375, 0, 0.125, 0.5]).max() < 0.0125  # five deviations
    assert np.array_equal(drawn, noise.by_votes(votes / 8, 7))
    assert not np.array_equal(drawn, noise.by_votes(votes, 8))


def test_votes_too_small_to_be_halved_still_have_their_class() -> None:
    """A draw times the smallest number rounds to all of it, which must not reach the next class."""
    votes = np.tile([np.nextafter(0, 1), 0], (100, 1))
    assert not noise.by_votes(votes, 0).any()


def test_seeds_give_different_noise_and_large_seeds_are_taken() -> None:
    labels = np.arange(500) % CLASSES
    noisy = [noise.symmetric(labels, 0.4, CLASSES, seed) for seed in (0, 1, 2**70)]
    assert len({noise.mask_hash(given, labels) for given in noisy}) == 3


def test_noise_stays_what_it_was() -> None:
    """Fixed values: a change of them is a change of every noisy protocol."""
    labels = np.arange(1000) % CLASSES
    assert noise.mask_hash(noise.symmetric(labels, 0.3, CLASSES, 0), labels).startswith("c4115a912ebffe8b")
    assert noise.mask_hash(noise.by_transition(labels, noise.FER2013_TRANSITION, 0), labels).startswith(
        "451986e39e5e8d07"
    )
    matrix = hashlib.sha256(noise.FER2013_TRANSITION.astype("<f8").tobytes())
    assert matrix.hexdigest().startswith("7de67a99822001b0")
    assert noise.mask_hash(noise.by_votes(np.eye(CLASSES)[labels] + 0.2, 0), labels).startswith("1bb949f91161f4bc")
    aus = np.where(np.arange(3000).reshape(1000, 3) % 5 < 2, 1, -1)
    assert noise.mask_hash(noise.au_flip(aus, 0.3, 0), aus).startswith("e8bbfc9090f13a42")


def test_no_global_generator_is_touched() -> None:
    labels = np.arange(100) % CLASSES
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    for flip in CLASS_NOISE.values():
        flip(labels, 0.4, 1)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_mask_hash() -> None:
    reference = np.array([0, 1, 2, 3, 4])
    given = np.array([0, 1, 5, 3, 0])
    expected = hashlib.sha256(b"(5,)" + bytes([0b00101000]) + np.array([5, 0], "<i8").tobytes()).hexdigest()
    assert noise.mask_hash(given, reference) == expected
    assert noise.mask_hash(given.astype(np.int8), reference.astype(np.int8)) == expected
    assert noise.mask_hash(np.array([0, 1, 6, 3, 0]), reference) != expected
    assert noise.mask_hash(reference, reference) != noise.mask_hash(reference[:4], reference[:4])


def test_realised_rate() -> None:
    assert noise.realised_rate(np.array([0, 2, -1, 3, -1]), np.array([0, 1, -1, 3, 2])) == pytest.approx(1 / 3)
    assert noise.realised_rate(np.array([[1, 0], [-1, 0], [1, 1]]), np.array([[1, 1], [1, 0], [1, -1]])) == 0.5
    assert noise.realised_rate(np.array([-1]), np.array([-1])) == 0.0


Y, AU = np.array([0, 1, 2]), np.array([[1, -1], [0, 1]])
REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "rate one": (lambda: noise.symmetric(Y, 1.0, 3, 0), r"noise rate 1.0 is outside \[0, 1\)"),
    "rate negative": (lambda: noise.pair_flip(Y, -0.1, 3, 0), r"noise rate -0.1"),
    "rate not a number": (lambda: noise.au_flip(AU, float("nan"), 0), r"noise rate nan"),
    "one class": (lambda: noise.symmetric(Y * 0, 0.2, 1, 0), r"1 classes: label noise needs at least 2"),
    "label too high": (lambda: noise.symmetric(Y, 0.2, 2, 0), r"label 2 is outside 0 to 1"),
    "labels not integers": (lambda: noise.pair_flip(Y / 2, 0.2, 3, 0), r"must be integers \[N\], not float64"),
    "labels in two dimensions": (lambda: noise.pair_flip(AU, 0.2, 3, 0), r"integers \[N\], .* of 2 dimensions"),
    "dtype too small": (lambda: noise.symmetric(Y.astype(np.int8), 0.2, 200, 0), r"int8 cannot hold 200 classes"),
    "seed negative": (lambda: noise.symmetric(Y, 0.2, 3, -1), r"seed -1 is negative"),
    "matrix not square": (lambda: noise.by_transition(Y, np.ones((3, 2)) / 2, 0), r"square.*\(3, 2\)"),
    "matrix too small for the labels": (lambda: noise.by_transition(Y, np.eye(2), 0), r"label 2 is outside 0 to 1"),
    "matrix of counts": (lambda: noise.by_transition(Y, np.eye(3) * 2, 0), r"rows that sum to 1"),
    "matrix with a negative entry": (
        lambda: noise.by_transition(Y, np.eye(3) * 3 - np.eye(3)[[1, 2, 0]] - np.eye(3)[[2, 0, 1]], 0),
        r"^a transition matrix needs entries of 0 or more and rows that sum to 1; divide each by its sum$",
    ),
    "matrix not a number": (lambda: noise.by_transition(Y, np.full((3, 3), np.nan), 0), r"entries of 0 or more"),
    "votes of one dimension": (lambda: noise.by_votes(Y, 0), r"^votes must be numbers of 0 or more, \[N, C\]$"),
    "votes negative": (lambda: noise.by_votes(-AU, 0), r"^votes must be numbers of 0 or more"),
    "votes infinite": (lambda: noise.by_votes([[1, np.inf]], 0), r"^votes must be numbers of 0 or more"),
    "AU value": (
        lambda: noise.au_flip(AU * 2, 0.2, 0),
        r"^action-unit labels must be signed numbers \[N, L\] in \{-1, 0, \+1\}; mark unknown entries 0$",
    ),
    "AU of one dimension": (lambda: noise.au_flip(Y, 0.2, 0), r"\[N, L\]"),
    "AU unsigned": (lambda: noise.au_flip(np.abs(AU).astype(np.uint8), 0.2, 0), r"signed numbers"),
    "shapes differ": (lambda: noise.realised_rate(Y, Y[:2]), r"shape \(3,\) against .* \(2,\)"),
    "shapes differ in the hash": (lambda: noise.mask_hash(Y, Y[:2]), r"shape \(3,\)"),
}


@pytest.mark.parametrize(("call", "expected"), REFUSED.values(), ids=REFUSED)
def test_refused_arguments(call: Callable[[], object], expected: str) -> None:
    with pytest.raises(BadInput, match=expected):
        call()


def test_a_draw_without_a_salt_is_itself_and_with_one_is_a_keyed_hash() -> None:
    """Of 56 bits, so that nobody tries them all."""
    assert [noise.salted(draw, "") for draw in (0, 7)] == [0, 7]
    key = hashlib.blake2b(b"pepper").digest()
    expected = hashlib.blake2b(b"3", key=key, digest_size=7).digest()
    assert noise.salted(3, "pepper").to_bytes(7, "little") == expected
    assert len({noise.salted(draw, salt) for draw in range(100) for salt in ("a", "b", "ä" * 64)}) == 300
