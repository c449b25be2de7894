"""Protocols of other packages, by the entry point `fernoise_bench.protocols`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from fernoise_bench.protocols import catalog
from fernoise_bench.protocols.errors import BadInput

from .miniatures.own import write


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package that ships a protocol as a file, the same as an object, and two that are wrong."""
    module = ModuleType("lab_protocols")
    file = write(tmp_path)
    vars(module).update(FILE=file, OBJECT=catalog.protocol_of_file(file), NUMBER=3)
    monkeypatch.setitem(sys.modules, "lab_protocols", module)
    values = {"mine": "FILE", "other": "OBJECT", "number": "NUMBER", "gone": "GONE", "ferplus-sym": "FILE"}
    points = [EntryPoint(name, f"lab_protocols:{value}", catalog.ENTRY_POINTS) for name, value in values.items()]
    monkeypatch.setattr(catalog, "entry_points", lambda *, group: points if group == catalog.ENTRY_POINTS else [])
    catalog._others.cache_clear()
    yield
    catalog._others.cache_clear()


@pytest.mark.usefixtures("package")
def test_they_are_found_by_name_after_those_of_this_package(tmp_path: Path) -> None:
    assert catalog.find("mine") == catalog.protocol_of_file(tmp_path / "mine.toml")
    assert catalog.find("ferplus-sym") is catalog.PROTOCOLS["ferplus-sym"]
    assert catalog.names() == (*catalog.PROTOCOLS, "mine", "other", "number", "gone")
    with pytest.raises(BadInput, match="unknown protocol 'mines': did you mean mine"):
        catalog.find("mines")
    assert catalog.known("nobody's") is None


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("name", ["other", "number"])
def test_one_that_is_no_protocol_of_its_name_is_told(name: str) -> None:
    with pytest.raises(BadInput, match=f"protocol {name}: lab_protocols:.* is not a Protocol of that name"):
        catalog.find(name)


@pytest.mark.usefixtures("package")
def test_one_that_does_not_load_is_told() -> None:
    with pytest.raises(BadInput, match="protocol gone: lab_protocols:GONE does not load"):
        catalog.find("gone")
