"""Folds and parts: whole, apart, by subject, the same for the same seed, and refused where nothing can be learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fernoise_bench.protocols.base import Protocol
from fernoise_bench.protocols.catalog import protocol_of_file
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.own_data.labelled import Labelled, read_labelled
from fernoise_bench.protocols.own_data.parts import Parts, parts_of

from ..miniatures.own import changed, rows, write

FOLDS = changed(('train = ["train"]\ntest = ["test"]', "folds = 3\nvalidation_share = 0.25"))


def opened(root: Path, toml: str) -> tuple[Protocol, Labelled]:
    protocol = protocol_of_file(write(root, toml))
    return protocol, read_labelled(protocol)


def made(labels: np.ndarray, subject: np.ndarray, part: np.ndarray | None = None) -> Labelled:
    """Rows of labels and subjects."""
    count = len(labels)
    return Labelled(
        path=np.arange(count).astype(str),
        box=np.full((count, 4), np.nan),
        given=labels,
        reference=np.full(count, -1),
        verified=np.zeros(count, bool),
        subject=subject,
        part=np.full(count, "") if part is None else part,
        votes=None,
        place=str,
    )


def test_a_given_split_is_taken_as_it_is(tmp_path: Path) -> None:
    listed = rows()
    listed[2]["split"], listed[3]["split"], listed[4]["given"] = "dev", "", ""
    toml = changed(('test = ["test"]', 'test = ["test"]\nvalidation = ["dev"]\nexclusive = false'))
    protocol = protocol_of_file(write(tmp_path, toml, listed))
    (found,) = parts_of(protocol, read_labelled(protocol)).values()
    assert found.train.tolist() == [0, 1, 5, 6, 7, 8]  # 3 is in no part, 4 has no label
    assert found.validation.tolist() == [2]
    assert found.test.tolist() == [9, 10, 11]


def test_a_column_of_folds_is_taken_as_it_is(tmp_path: Path) -> None:
    toml = changed(('train = ["train"]\ntest = ["test"]', 'folds = ["b", "a"]'), ('split = "split"', 'fold = "fold"'))
    protocol, listed = opened(tmp_path, toml)
    found = parts_of(protocol, listed)
    assert list(found) == ["b", "a"]
    assert found["a"].test.tolist() == found["b"].train.tolist() == [0, 1, 2, 6, 7, 8]
    assert found["b"].test.tolist() == found["a"].train.tolist() == [3, 4, 5, 9, 10, 11]


@settings(max_examples=30)
@given(st.lists(st.integers(0, 11), min_size=60, max_size=120), st.integers(0, 5))
def test_folds_by_subject_are_whole_apart_and_even(
    tmp_path_factory: pytest.TempPathFactory, subjects: list[int], seed: int
) -> None:
    subjects = [*range(12), *subjects]  # all twelve
    root = tmp_path_factory.mktemp("folds")
    (root / "mine.toml").write_text(FOLDS.replace("folds = 3", f"folds = 3\nseed = {seed}"))
    protocol = protocol_of_file(root / "mine.toml")
    # three classes of each subject, so that every fold trains on each
    subjects = [*subjects, *subjects, *subjects]
    labels, names = np.arange(len(subjects)) // (len(subjects) // 3), np.array([f"p{number}" for number in subjects])
    found = parts_of(protocol, made(labels, names))
    tested = np.concatenate([fold.test for fold in found.values()])
    assert sorted(tested.tolist()) == list(range(len(subjects)))
    sizes = [len(fold.test) for fold in found.values()]
    assert max(sizes) - min(sizes) <= np.bincount(subjects).max()
    for fold in found.values():
        three = [set(names[part].tolist()) for part in (fold.train, fold.validation, fold.test)]
        assert sum(map(len, three)) == len(set.union(*three))
        assert len(three[1]) == max(1, round(0.25 * len(three[0] | three[1])))
        assert set.union(*three) == {f"p{number}" for number in range(12)}


def test_folds_depend_on_the_seed_and_not_on_the_order_of_rows(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(FOLDS)
    protocol = protocol_of_file(tmp_path / "mine.toml")
    labels, names = np.arange(90) % 3, np.array([f"p{number // 3}" for number in range(90)])
    order = np.random.default_rng(0).permutation(90)

    def tested(protocol: Protocol, order: np.ndarray) -> list[set[str]]:
        found = parts_of(protocol, made(labels[order], names[order]))
        return [set(names[order][fold.test].tolist()) for fold in found.values()]

    first = tested(protocol, np.arange(90))
    assert tested(protocol, order) == first
    other = tuple((name, "1" if name == "split seed" else value) for name, value in protocol.options)
    assert tested(replace(protocol, options=other), np.arange(90)) != first


def test_rows_without_a_known_subject_are_their_own(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(FOLDS.replace('subject = "subject"', ""))
    protocol = protocol_of_file(tmp_path / "mine.toml")
    assert protocol.option("split") == "folds by row"
    found = parts_of(protocol, made(np.arange(30) % 3, np.full(30, "")))
    assert [len(fold.test) for fold in found.values()] == [10, 10, 10]
    assert [len(fold.validation) for fold in found.values()] == [5, 5, 5]


def test_what_cannot_be_trained_or_tested_on_is_refused(tmp_path: Path) -> None:
    def refused(message: str, toml: str = changed(), **cells: tuple[slice, str]) -> None:
        listed = rows()
        for name, (which, text) in cells.items():
            for row in listed[which]:
                row[name] = text
        protocol = protocol_of_file(write(tmp_path, toml, listed))
        with pytest.raises(BadInput, match=message):
            parts_of(protocol, read_labelled(protocol))

    refused("no row for test with the labels it needs", split=(slice(9, 12), "train"))
    refused("no row for training with the labels it needs", given=(slice(0, 9), ""))
    refused(
        "no row for validation",
        changed(('test = ["test"]', 'test = ["test"]\nvalidation = ["dev"]')),
    )
    refused(r"subject s2 is in two parts, and so are 0 others; put each in one, or set", subject=(slice(9, 10), "s2"))
    refused("sad is in the test rows and in no training row; add some, or take sad out", given=(slice(0, 9), "calm"))
    refused(
        "new is in no training row; add some, or take new out",
        changed(('"calm"]', '"calm", "new"]')),
    )
    refused(r"4 subjects for 5 folds; ask for fewer", FOLDS.replace("folds = 3", "folds = 5"))
    refused(
        "no training row is verified; mark some",
        changed(("subject =", 'verified = "verified"\nsubject =')),
        verified=(slice(0, 12), "0"),
    )
    crossing = changed(('test = ["test"]', 'test = ["test"]\nexclusive = false'))
    listed = rows()
    listed[9]["subject"] = "s2"
    protocol = protocol_of_file(write(tmp_path, crossing, listed))
    assert parts_of(protocol, read_labelled(protocol))[None].test.tolist() == [9, 10, 11]


UNITS = """
[protocol]
name = "units"
kind = "action units"
labels = ["AU1", "AU12"]
[data]
table = "units.csv"
[data.columns.given]
AU1 = "AU1"
AU12 = "AU12"
[split]
folds = 2
"""


@pytest.mark.parametrize(
    ("toml", "cell", "message"),
    [
        (UNITS, "9", "AU12 has no known label in the training rows; add some, or take AU12 out"),
        (UNITS, "", "AU12 has no known label in the training rows; add some"),
        (
            UNITS.replace('AU12 = "AU12"\n', ""), "1",
            r"AU12 has no known label in the training rows; name its column in \[data.columns.given\]",
        ),
    ],
)  # fmt: skip
def test_an_action_unit_without_a_label_is_refused_and_one_that_is_absent_is_not(
    tmp_path: Path, toml: str, cell: str, message: str
) -> None:
    def found(toml: str, cell: str) -> Mapping[str | None, Parts]:
        (tmp_path / "units.csv").write_text("path,AU1,AU12\n" + "".join(f"{n}.png,1,{cell}\n" for n in range(8)))
        (tmp_path / "mine.toml").write_text(toml)
        protocol = protocol_of_file(tmp_path / "mine.toml")
        return parts_of(protocol, read_labelled(protocol))

    assert len(found(UNITS, "0")) == 2
    with pytest.raises(BadInput, match=message):
        found(toml, cell)


def test_a_verified_row_whose_votes_tie_has_no_label_to_train_on(tmp_path: Path) -> None:
    toml = changed(('given = "given"', 'votes = "v_"\nverified = "verified"')) + '[noise]\nkind = "votes"\n'
    listed = [{**row, "v_happy": "2", "v_sad": "1", "v_calm": "1"} for row in rows()]
    for number, row in enumerate(listed):
        row |= {"v_sad": "3"} if number % 3 == 1 else {"v_calm": "4"} if number % 3 == 2 else {}
    listed[2] |= {"v_happy": "4", "verified": "1"}  # a tie
    listed[5] |= {"v_happy": "4", "verified": "0"}
    protocol = protocol_of_file(write(tmp_path, toml, listed))
    (found,) = parts_of(protocol, read_labelled(protocol)).values()
    assert found.train.tolist() == [0, 1, 3, 4, 5, 6, 7, 8]  # the label of 5 is drawn from its votes
