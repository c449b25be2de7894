"""The list of mutants is in step with the methods: every place is there, every method has its four."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from fernoise_bench.benchmark import registry

from .run_mutants import ROOT, Mutant, mutants, summary

LIST = mutants()


def test_every_method_has_at_least_four() -> None:
    count = Counter(mutant.method for mutant in LIST)
    assert set(count) == {spec.name for spec in registry.all_base()}
    assert min(count.values()) >= 4


def test_every_kind_of_mistake_is_made() -> None:
    assert {mutant.kind for mutant in LIST} == {
        *("sign", "peers", "detach", "mask", "schedule", "constant", "swap", "leak"),
    }


@pytest.mark.parametrize("mutant", LIST, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_one_place_of_code(mutant: Mutant) -> None:
    source = (ROOT / mutant.file).read_text()
    assert ast.dump(ast.parse(source)) != ast.dump(ast.parse(mutant.applied(source)))


def test_names_are_unique() -> None:
    assert len({mutant.name for mutant in LIST}) == len(LIST)


def test_what_was_found_is_told_apart_by_method_and_source(tmp_path: Path) -> None:
    assert len({mutant.digest(ROOT) for mutant in LIST}) == len(LIST)
    (tmp_path / "a.py").write_text("x = 1")
    mutant = Mutant("m", "sign", "a.py", "wrong", "x = 1", "x = 2")
    before = mutant.digest(tmp_path)
    (tmp_path / "a.py").write_text("x = 1\ny = 1")
    assert mutant.digest(tmp_path) != before


def test_the_methods_come_by_turns() -> None:
    methods = [mutant.method for mutant in LIST]
    first = methods[: len(set(methods))]
    assert len(set(first)) == len(first)


def test_a_place_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.py, m: wrong: its place is there 0 times"):
        Mutant("m", "sign", "a.py", "wrong", "x = 1", "x = 2").applied("y = 1")


@pytest.mark.parametrize(
    ("caught", "code"), [(["check"] * 20, 0), (["check"] * 19 + [""], 0), (["conformance"] * 8 + ["check"] * 12, 1)]
)
def test_the_summary_fails_where_too_many_escape(caught: list[str], code: int) -> None:
    entries = [{"name": "m: wrong", "method": "m", "kind": "sign", "caught": who} for who in caught]
    assert summary(entries, 20) == code
    assert summary([], 20) == 1
