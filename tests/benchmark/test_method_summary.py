"""Outlines: lists say of every method what its class says, without importing it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fernoise_bench.benchmark import registry
from fernoise_bench.benchmark.method_summary import Outline, outline
from fernoise_bench.protocols.catalog import PROTOCOLS


@pytest.mark.parametrize("name", registry.METHODS)
def test_an_outline_is_what_the_class_says(name: str) -> None:
    cls = registry.find(name).load()
    variants = {variant: value.about for variant, value in cls.variants.items()}
    about = (cls.__doc__ or "").strip().splitlines()[0]
    assert outline(registry.METHODS[name]) == Outline(about, cls.needs, variants)


def test_lists_need_no_torch() -> None:
    code = """
import sys
from click.testing import CliRunner
from fernoise_bench.benchmark.cli import main
assert CliRunner().invoke(main, ["list"]).exit_code == 0
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
