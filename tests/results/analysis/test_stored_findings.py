"""Findings come back from disk as they were, join by trial, and a damaged file is named."""

from __future__ import annotations

import math
from dataclasses import astuple
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.analysis.label_estimates import Estimate
from fernoise_bench.results.analysis.label_findings import Finding, Found
from fernoise_bench.results.analysis.stored_findings import FILE, LabelFindings, read_findings, write_findings

numbers = st.one_of(st.just(math.nan), st.integers(0, 1000).map(lambda value: value / 1000))
founds = st.builds(Found, **dict.fromkeys(Found.__dataclass_fields__, numbers))
found_by_score = st.dictionaries(
    st.sampled_from(["last", "mean", "left out"]),
    st.builds(Finding, founds, st.lists(founds, max_size=3).map(tuple)),
    min_size=1,
)
estimates = st.dictionaries(
    st.sampled_from(["mixture", "confident joint"]),
    st.builds(Estimate, **dict.fromkeys(Estimate.__dataclass_fields__, numbers)),
)


def same(first: LabelFindings, second: LabelFindings) -> bool:
    """With NaN equal to NaN."""
    return repr(first) == repr(second)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(["a/b/1", "a/b/2", "a/c/3"]), st.tuples(found_by_score, estimates), min_size=1))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, trials: dict[str, tuple[object, object]]
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    ordered = sorted(trials)
    whole = LabelFindings({key: trials[key][0] for key in ordered}, {key: trials[key][1] for key in ordered})
    write_findings(folder, whole)
    assert same(read_findings([folder]), whole)
    before = (folder / FILE).read_bytes()
    write_findings(folder, whole)
    assert (folder / FILE).read_bytes() == before


def finding(value: float) -> dict[str, Finding]:
    return {"mean": Finding(Found(*[value] * 9), ())}


def test_new_findings_join_those_that_are_there(tmp_path: Path) -> None:
    write_findings(tmp_path, LabelFindings({"t/1": finding(0.1), "t/2": finding(0.2)}))
    write_findings(tmp_path, LabelFindings({"t/2": finding(0.3)}))
    found = read_findings([tmp_path / "nowhere", tmp_path]).found
    assert {key: astuple(value["mean"].whole)[0] for key, value in found.items()} == {"t/1": 0.1, "t/2": 0.3}


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"version": 1}', '{"version": 1, "trials": {"a": {"scores": {"x": [[1], []]}}}}']
)
def test_a_damaged_file_is_named_and_replaced_by_the_next_findings(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(BadInput, match=r"label_findings\.json is damaged .*: remove it, and run label-errors again"):
        read_findings([tmp_path])
    write_findings(tmp_path, LabelFindings({"t/1": finding(0.1)}))
    assert set(read_findings([tmp_path]).found) == {"t/1"}


def test_a_file_of_another_version_is_not_read(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"version": 99, "trials": "unknown"}')
    assert not read_findings([tmp_path]).found
