"""Outlines: lists say of every method what its class says, without importing it."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import fields, replace
from inspect import cleandoc
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch

from fernoise_bench.benchmark import method_summary, registry
from fernoise_bench.benchmark.method_summary import Outline, assigned, constant, constants_of, describe, outline
from fernoise_bench.methods.base import Variant, view_kinds
from fernoise_bench.protocols.catalog import PROTOCOLS
from fernoise_bench.protocols.errors import BadInput

from ..methods.toy import make_encoder, make_task


@pytest.mark.parametrize("name", registry.METHODS)
def test_an_outline_is_what_the_class_says(name: str) -> None:
    cls = registry.find(name).load()
    variants = {variant: value.about for variant, value in cls.variants.items()}
    about = (cls.__doc__ or "").strip().splitlines()[0]
    assert outline(registry.METHODS[name]) == Outline(about, cls.needs, variants)


def test_a_description_is_what_the_class_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every method and variant, though none of them is imported for it."""
    monkeypatch.setattr(method_summary, "find", None)
    described = 0
    for base, target in registry.METHODS.items():
        cls = registry.load_class(target)
        plain = Variant("")
        for name, variant in {base: plain, **{f"{base}:{name}": each for name, each in cls.variants.items()}}.items():
            found, params = describe(name), replace(cls.Params(), **variant.params)
            assert (found.name, found.base) == (name, base)
            assert found.needs == (cls.needs - variant.without) | variant.needs
            assert cleandoc(found.about) == cleandoc(cls.__doc__ or "")
            assert found.parameters == tuple(
                (field.name, getattr(params, field.name), field.metadata["source"]) for field in fields(params)
            )
            described += 1
    assert described > 100


def test_a_description_says_which_methods_and_variants_ask_for_a_strong_view() -> None:
    """As each does once it is built, whether its class names the views or its hyper-parameters decide on them."""
    strong = set()
    for base, target in registry.METHODS.items():
        cls = registry.load_class(target)
        kind = "single" if "single" in cls.needs else "multi"
        transition = torch.eye(3) if kind == "single" else torch.eye(2).repeat(3, 1, 1)
        task = make_task(kind, noise_rate=0.2, transition=transition, aux_names=("AU1", "AU4"))
        for name in [base, *(f"{base}:{variant}" for variant in cls.variants)]:
            built = cls(task, make_encoder, registry.find(name).params)
            assert describe(name).strong == ("strong" in view_kinds(built.views)), name
            strong |= {name} if describe(name).strong else set()
    fixmatch = {"fixmatch_multi", "fixmatch_multi:class", "fixmatch_multi:free", "fixmatch_multi:no-ema"}
    assert strong == {"disc", "disc:hard-0.2", "man", "sop:plus", *fixmatch}


def test_a_method_of_a_user_s_file_is_described_from_its_class(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\n"
        "from fernoise_bench.methods.base import Method, sourced\n\n\n"
        "@dataclass(frozen=True)\nclass P:\n    rate: float = sourced(1 / 4, 'ours')\n\n\n"
        "class Mine(Method):\n    'A method.'\n    needs = frozenset({'single'})\n    Params = P\n"
        "    def loss(self, batch): ...\n    def predict(self, images): ...\n"
    )
    found = describe(f"{tmp_path / 'mine.py'}:Mine")
    assert (found.name, found.about, found.parameters) == ("mine.Mine", "A method.", (("rate", 0.25, "ours"),))


@pytest.mark.parametrize("name", ["cocurin", "cocuring:no-relabl"])
def test_a_name_that_nothing_has(name: str) -> None:
    with pytest.raises(BadInput, match="did you mean"):
        describe(name)


def test_lists_and_cards_need_no_torch() -> None:
    code = """
import sys
from click.testing import CliRunner
from fernoise_bench.benchmark.cli import main
assert CliRunner().invoke(main, ["list"]).exit_code == 0
assert CliRunner().invoke(main, ["show", "method", "recot:no-tlr"]).exit_code == 0
assert CliRunner().invoke(main, ["--help"]).exit_code == 0
print(sorted({"torch", "timm", "sklearn", "pandas"} & set(sys.modules)))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_class_that_cannot_be_read_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
from fernoise_bench.baselines.supervised import Supervised
from fernoise_bench.methods.base import Variant
class Mine(Supervised):
    '''Says so.'''
    needs = Supervised.needs
    variants = dict(one=Variant("first"))
"""
    (tmp_path / "outside_method.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    found = outline("outside_method:Mine")
    assert (found.about, found.variants) == ("Says so.", {"one": "first"})
    assert found.needs == registry.find("supervised").needs


@pytest.mark.parametrize("protocol", ["ferplus-sym", "bp4d-3fold", "disfa-3fold-plain"])
def test_reasons_are_those_of_the_registry(protocol: str) -> None:
    for name, target in registry.METHODS.items():
        chosen = PROTOCOLS[protocol]
        assert registry.lacking(outline(target).needs, chosen, chosen.offers) == registry.find(name).missing(chosen)


# --- constant expressions


def value(text: str, **names: Any) -> Any:
    return constant(ast.parse(text, mode="eval").body, names)


@pytest.mark.parametrize(
    "text",
    [
        "-0.5", "None", "'a' 'b'", "(1, (2.5, True))", "{1, 2}", "[1, 2]", "frozenset()", "frozenset({'single'})",
        "f'{CODE}: T'", "1 if SIDE else CODE", "1 if 0 else CODE", "{**SHARED, 'b': SIDE}",
        "MappingProxyType({'a': 1, **SHARED})",
    ],
)  # fmt: skip
def test_a_constant_is_what_python_makes_of_it(text: str) -> None:
    names = {"CODE": "train.py", "SHARED": {"a": 2}, "SIDE": 48}
    made = eval(text, {"MappingProxyType": MappingProxyType}, dict(names))
    assert value(text, **names) == made


def test_a_dotted_name_is_known_as_a_whole() -> None:
    assert value("('weak', 'strong') if params.weight else 1", **{"params.weight": 0.9}) == ("weak", "strong")
    assert value("('weak', 'strong') if params.weight else 1", **{"params.weight": 0.0}) == 1
    with pytest.raises(ValueError):  # noqa: PT011 - as below
        value("params.other", **{"params.weight": 0.9})


@pytest.mark.parametrize("text", ["1 / 4", "OTHER", "f'{CODE!r}'", "f'{CODE:>9}'", "dict(a=1)", "open('file')", "x.y"])
def test_what_has_to_be_executed_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the caller goes on with the class itself
        value(text, CODE="train.py")


def test_names_are_assigned_in_order_and_may_use_each_other() -> None:
    body = ast.parse("A: int = 1\nB = C = (A, 2)\nD = A + 1\nE: int\nF, G = 3, 'x'\nH, I = pair\n").body
    assert list(assigned(body)) == ["A", "B", "C", "D", "F", "G"]
    assert constants_of(body) == {"A": 1, "B": (1, 2), "C": (1, 2), "F": 3, "G": "x"}
