"""`data status`, `data verify` and `data faces`, on miniature copies of the published layouts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from fernoise_bench.benchmark.cli import main
from fernoise_bench.protocols.datasets.catalog import NAMES
from fernoise_bench.protocols.packs.prepare import open_pack
from fernoise_bench.protocols.readers import rafdb

from ...protocols.miniatures import affectnet as miniature_affectnet
from ...protocols.miniatures import bp4d as miniature_bp4d
from ...protocols.miniatures import cremad as miniature_cremad
from ...protocols.miniatures import disfa as miniature_disfa
from ...protocols.miniatures import emotionet as miniature_emotionet
from ...protocols.miniatures import rafdb as miniature_rafdb

Write = Callable[[Path], object]

MINIATURES: list[tuple[str, Write]] = [
    *(("bp4d", write) for write in miniature_bp4d.LAYOUTS),
    *(("disfa", write) for write in miniature_disfa.EXTRACTED),
    ("disfa", miniature_disfa.write_videos),
    ("cremad", miniature_cremad.write),
    ("cremad", miniature_cremad.write_with_responses),
    ("emotionet", miniature_emotionet.write_2020),
    ("emotionet", miniature_emotionet.write_2020_in_labels),
    ("emotionet", miniature_emotionet.write_older),
    ("emotionet", miniature_emotionet.write_automatic),
    ("emotionet", miniature_emotionet.write_both),
    ("emotionet", miniature_emotionet.write_image_lists),
    *(("rafdb", write) for write in miniature_rafdb.LAYOUTS.values()),
    *(("affectnet", write) for write in miniature_affectnet.LAYOUTS.values()),
]


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["data", *words])


@pytest.mark.parametrize(
    ("name", "write"), MINIATURES, ids=[f"{name}-{number}" for number, (name, _) in enumerate(MINIATURES)]
)
def test_a_miniature_is_partial_and_says_by_how_much(name: str, write: Write, tmp_path: Path) -> None:
    write(tmp_path / name)
    result = run("verify", name, "--data-root", str(tmp_path), "--json")
    assert result.exit_code == 1, result.output
    found = json.loads(result.output)
    assert found["dataset"] == name
    assert found["partial"] is True
    assert found["rows"] > 0
    wrong = [check for check in found["checks"] if check["ok"] == "NO"]
    assert wrong
    assert all(check["expected"] != check["found"] for check in wrong)
    shared = [check for check in found["checks"] if check["what"] == "subjects in more than one part"]
    assert [check["found"] for check in shared] == [0] * (name in ("bp4d", "disfa", "cremad"))
    table = run("verify", name, "--data-root", str(tmp_path))
    assert table.exit_code == 1
    assert found["layout"] in table.output
    assert "partial: it differs from what was published" in table.output


def test_an_absent_or_unknown_data_set_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    for name, part in (("bp4d", "ask for it at"), ("bp5d", "unknown data set 'bp5d': did you mean bp4d")):
        result = run("verify", name, "--data-root", str(tmp_path))
        assert result.exit_code == 2
        assert result.stderr.count("\n") == 1
        assert part in result.stderr


def test_status_has_a_line_for_every_data_set(tmp_path: Path) -> None:
    miniature_bp4d.write_au_occ(tmp_path / "bp4d")
    result = run("status", "--data-root", str(tmp_path), "--json")
    assert result.exit_code == 0
    lines = {line["data set"]: line for line in json.loads(result.output)}
    assert set(lines) == set(NAMES)
    assert lines["bp4d"]["found"] == "partial"
    assert lines["disfa"]["found"] == "no"
    assert "ask for it at" in lines["disfa"]["remark"]
    assert run("status", "--data-root", str(tmp_path)).output.count("\n") == len(NAMES)


def test_the_name_that_status_had_before_still_works_and_is_in_no_help(tmp_path: Path) -> None:
    words = ("--data-root", str(tmp_path), "--json")
    assert (run("where", *words).exit_code, run("where", *words).output) == (0, run("status", *words).output)
    help_text = run("--help").output
    assert re.search(r"^  status ", help_text, re.MULTILINE)
    assert not re.search(r"^  where ", help_text, re.MULTILINE)


def test_prepare_packs_a_miniature_once_and_continues(tmp_path: Path) -> None:
    miniature_bp4d.write_au_occ(tmp_path / "bp4d")
    words = ("prepare", "bp4d", "--data-root", str(tmp_path), "--side", "16")
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert "faces of 16 px" in result.output
    assert "the copy is partial, see data verify" in result.output
    pack = open_pack(tmp_path / "packs" / "bp4d-16")
    assert pack.faces.shape[1:] == (16, 16, 3)
    assert len(pack.faces) == len(pack.labels) > 0
    before = (tmp_path / "packs" / "bp4d-16" / "pack.json").read_bytes()
    assert run(*words).exit_code == 0
    assert (tmp_path / "packs" / "bp4d-16" / "pack.json").read_bytes() == before


@pytest.mark.parametrize("name", ["ferplus", "rafdb", "nothing"])
def test_what_cannot_be_prepared_is_one_line_and_exit_code_2(name: str, tmp_path: Path) -> None:
    result = run("prepare", name, "--data-root", str(tmp_path))
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "packs").exists()


@pytest.mark.data
def test_the_published_ferplus_is_whole(data_root: Path) -> None:
    result = run("verify", "ferplus", "--data-root", str(data_root))
    assert result.exit_code == 0
    assert result.output.endswith("complete: as published (labels and pixels have the published SHA-256)\n")


def test_a_copy_without_a_difference_is_said_to_agree_in_what_was_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rafdb, "COUNTS", {"train": (3,) * 7, "test": (2,) * 7})
    miniature_rafdb.write_official(
        tmp_path / "rafdb", picture=lambda index: np.full((100, 100, 3), 7 * index, np.uint8)
    )
    for quick, seen in (
        ((), "labels row by row and pixels were not: no digest of them is published"),
        (("--quick",), "no picture was decoded"),
    ):
        result = run("verify", "rafdb", "--data-root", str(tmp_path), *quick)
        assert result.exit_code == 0
        said = result.output.splitlines()[-1]
        assert said == f"complete: equal to the published set in all that is compared above; {seen}"


def test_the_contact_sheet_is_written_as_png(tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    assert run("faces", "--out", str(out), "--size", "16").exit_code == 0
    with Image.open(out) as sheet:
        assert sheet.format == "PNG"
    for bad in (tmp_path / "sheet.jpg", tmp_path / "none" / "sheet.png"):
        result = run("faces", "--out", str(bad), "--size", "16")
        assert result.exit_code == 2
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("size", ["-1", "15", "257", "100000"])
def test_a_sheet_of_faces_too_small_or_too_large_is_one_line(size: str, tmp_path: Path) -> None:
    result = run("faces", "--out", str(tmp_path / "sheet.png"), "--size", size)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert size in result.stderr
    assert not list(tmp_path.iterdir())
