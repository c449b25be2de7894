"""Damaged files of reported numbers, of claims, and of references of checks: one line that names the file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.claims import claim as claim_data
from fernoise_bench.results.papers import reported as reported_tables
from fernoise_bench.results.regression import references as check_references

from .damages import BYTES, JSON, Damage

RESULTS = Path(reported_tables.__file__).parents[1]


def first_key(content: bytes) -> bytes:
    """The first line that sets a key."""
    return next(line for line in content.splitlines(keepends=True) if b" = " in line)


TOML: dict[str, Damage] = {
    **{name: damage for name, damage in BYTES.items() if name != "NUL inside"},
    "NUL inside": lambda content: content[:30] + b"\0" + content[30:],
    "UTF-16": lambda content: content.decode().encode("utf-16"),
    "a table for a list": lambda content: content.replace(b"[[", b"[").replace(b"]]", b"]"),
    "the first line twice": lambda content: first_key(content) + content,
    "numbers for texts": lambda content: b"\n".join(
        line if b" = " not in line or b"[" in line else line.partition(b" = ")[0] + b" = 7"
        for line in content.splitlines()
    ),
    "keys without a value": lambda content: content.replace(b" = ", b" = \n", 1),
    "a key gone": lambda content: content.replace(first_key(content), b"", 1),
    "cut before its end": lambda content: content[: len(content) * 9 // 10],
}


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files, which is read in their place."""
    for room, name in (("papers", "reported_numbers"), ("claims", "statements")):
        shutil.copytree(RESULTS / room / name, tmp_path / name)
    for module in (reported_tables, claim_data):
        monkeypatch.setattr(module, "files", lambda _: tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", TOML)
def test_a_damaged_table_of_reported_numbers(name: str, copy: Path) -> None:
    file = copy / "reported_numbers" / "recot-4.toml"
    reported_tables.find("recot-4")
    file.write_bytes(TOML[name](file.read_bytes()))
    with pytest.raises(BadInput, match=r"^results/papers/reported_numbers/recot-4\.toml is damaged .* again$"):
        reported_tables.find("recot-4")


@pytest.mark.parametrize("name", TOML)
def test_a_damaged_file_of_claims(name: str, copy: Path) -> None:
    paper = next(iter(claim_data.PAPERS))
    file = copy / "statements" / f"{paper}.toml"
    claim_data.claims(paper)
    file.write_bytes(TOML[name](file.read_bytes()))
    with pytest.raises(BadInput, match=rf"^results/claims/statements/{paper}\.toml is damaged \(.*: install .* again$"):
        claim_data.claims(paper)


@pytest.mark.parametrize("name", JSON)
def test_damaged_references_of_a_check(name: str, tmp_path: Path) -> None:
    check_references.save(tmp_path, "smoke", check_references.NONE)
    file = check_references.path_of(tmp_path, "smoke")
    file.write_bytes(JSON[name](file.read_bytes()))
    with pytest.raises(BadInput, match=r"smoke\.json"):
        check_references.load(tmp_path, "smoke")
