"""The readers on whatever hypothesis thinks of, within a budget: the data, BadInput, or nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fernoise_bench.protocols.datasets.catalog import inspect
from fernoise_bench.protocols.errors import BadInput, printable
from fernoise_bench.protocols.files import read_arrays, read_json, read_jsonl
from fernoise_bench.results.records.record import load_records

from ..results.fabricate import Trial, fabricate
from .readers import TARGETS, Target

BUDGET = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
PIECES = st.sampled_from(
    [b"", b"\0", b",", b"\n", b"\r", b"\r\n", b'"', b"'", b" ", b"\t", b"-", b"9" * 30, b"1e9", b"../", b"/", b"\xff",
     b"{", b"[]", b"\xef\xbb\xbf", "１".encode(), "é".encode(), b"nan", b"0", b"-1", b"#", b";", b"None", b"\x1a"]
)  # fmt: skip
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 40), st.one_of(PIECES, st.binary(max_size=8))), min_size=1, max_size=6
)


def edited(content: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """Cuts stretches out of a file and puts others in."""
    for share, cut, piece in edits:
        at = int(share * len(content))
        content = content[:at] + piece + content[at + cut :]
    return content


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Target], Path]:
    made: dict[int, Path] = {}

    def root(target: Target) -> Path:
        if id(target) not in made:
            made[id(target)] = tmp_path_factory.mktemp(target.dataset)
            target.write(made[id(target)] / target.dataset)
        return made[id(target)]

    return root


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.file)
def test_a_reader_of_a_data_set(target: Target, roots: Callable[[Target], Path]) -> None:
    root = roots(target)
    file = root / target.dataset / target.file
    whole = file.read_bytes()

    @BUDGET
    @given(EDITS)
    def fuzz(edits: list[tuple[float, int, bytes]]) -> None:
        file.write_bytes(edited(whole, edits))
        line = ""
        try:
            inspect(target.dataset, root)
        except BadInput as error:
            line = str(error)
        assert "\n" not in line
        assert len(line) < 3000

    try:
        fuzz()
    finally:
        file.write_bytes(whole)


FILES = ["identity.json", "status.json", "environment.json", "epochs.jsonl", "predictions.npz"]


@pytest.mark.parametrize("name", FILES)
def test_the_reader_of_records(name: str, tmp_path: Path) -> None:
    """Read as it was, or named as damaged: never half a record."""
    folder = fabricate(tmp_path, Trial(rows=12, epochs=2))
    (whole,), _ = load_records(tmp_path)
    file = folder / name
    content = file.read_bytes()

    @BUDGET
    @given(EDITS)
    def fuzz(edits: list[tuple[float, int, bytes]]) -> None:
        file.write_bytes(edited(content, edits))
        records, damaged = load_records(tmp_path)
        assert len(records) + len(damaged) == 1
        assert all(line.isprintable() for line in damaged)
        if records and records[0].done:
            assert records[0].scores == whole.scores or name == "environment.json"

    fuzz()
    shutil.rmtree(folder)


@BUDGET
@given(st.binary(max_size=200))
def test_the_store(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    for read in (read_json, read_jsonl, read_arrays):
        try:
            read(path)
        except BadInput as error:
            assert str(path) in str(error)  # noqa: PT017 - what does not raise is as right


@given(st.text())
def test_printable_is_one_line_that_steers_nothing(text: str) -> None:
    line = printable(text)
    assert line.isprintable()
    line.encode()
    if text.isprintable() and "  " not in text:
        assert line == text.strip()
