"""Constant expressions have the value that executing them gives; others are refused."""

from __future__ import annotations

import ast
from types import MappingProxyType
from typing import Any

import pytest

from fernoise_bench.benchmark.constants import assigned, constant, constants_of


def value(text: str, **names: Any) -> Any:
    return constant(ast.parse(text, mode="eval").body, names)


@pytest.mark.parametrize(
    "text",
    [
        "-0.5", "None", "'a' 'b'", "(1, (2.5, True))", "{1, 2}", "[1, 2]", "frozenset()", "frozenset({'single'})",
        "f'{CODE}: T'", "{**SHARED, 'b': SIDE}", "MappingProxyType({'a': 1, **SHARED})",
    ],
)  # fmt: skip
def test_a_constant_is_what_python_makes_of_it(text: str) -> None:
    names = {"CODE": "train.py", "SHARED": {"a": 2}, "SIDE": 48}
    made = eval(text, {"MappingProxyType": MappingProxyType}, dict(names))
    assert value(text, **names) == made


@pytest.mark.parametrize("text", ["1 / 4", "OTHER", "f'{CODE!r}'", "f'{CODE:>9}'", "dict(a=1)", "open('file')", "x.y"])
def test_what_has_to_be_executed_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the caller goes on with the class itself
        value(text, CODE="train.py")


def test_names_are_assigned_in_order_and_may_use_each_other() -> None:
    body = ast.parse("A: int = 1\nB = C = (A, 2)\nD = A + 1\nE: int\nF, G = 3, 'x'\nH, I = pair\n").body
    assert list(assigned(body)) == ["A", "B", "C", "D", "F", "G"]
    assert constants_of(body) == {"A": 1, "B": (1, 2), "C": (1, 2), "F": 3, "G": "x"}
