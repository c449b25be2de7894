"""Every protocol on miniatures of the published layouts, through the command line: verify, prepare, run, a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fernoise_bench.benchmark.cli import main
from fernoise_bench.protocols.base import Protocol
from fernoise_bench.protocols.catalog import PROTOCOLS, find
from fernoise_bench.protocols.datasets.catalog import NAMES, listing_of

from ...protocols.miniatures import affectnet as miniature_affectnet
from ...protocols.miniatures import bp4d as miniature_bp4d
from ...protocols.miniatures import cremad as miniature_cremad
from ...protocols.miniatures import disfa as miniature_disfa
from ...protocols.miniatures import emotionet as miniature_emotionet
from ...protocols.miniatures import ferplus as miniature_ferplus
from ...protocols.miniatures import openface as miniature_openface
from ...protocols.miniatures import rafdb as miniature_rafdb
from ...weekly import often

SIDES = {(name, p.option("side")) for p in PROTOCOLS.values() for name in p.data if p.option("side")}

# One protocol of each data set, design and kind of noise; the variants of these are run once a week.
FIRST = (
    *(name for name in PROTOCOLS if ":" not in name),
    *("bp4d-3fold-plain:flip", "rafdb-sym:list-0.1", "ferplus-votes:1", "ferplus-sym:instance", "cremad-face:1"),
)


def call(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def write(root: Path) -> Path:
    """A miniature of every data set, and OpenFace's output for one of them."""
    miniature_bp4d.write_au_occ(root / "bp4d")
    miniature_cremad.write_with_responses(root / "cremad")
    miniature_disfa.write_img(root / "disfa")
    miniature_emotionet.write_both(root / "emotionet")
    codes = miniature_affectnet.codes
    miniature_affectnet.write_csv(root / "affectnet", train=codes(7), validation=codes(2))
    miniature_affectnet.write_automatic(root / "affectnet", codes(6))
    miniature_ferplus.write_tables(root / "ferplus")
    listed = miniature_rafdb.rows(8, 3)
    miniature_rafdb.write_official(root / "rafdb", listed)
    wrong = [(name, code % 7 + 1 if at % 5 == 0 else code) for at, (name, code) in enumerate(listed)]
    for level, style in (("0.1", "scn"), ("0.2", "eac"), ("0.3", "ada-cm")):
        miniature_rafdb.write_noisy_list(root / f"rafdb/EmoLabel/{level}noise_train.txt", style, wrong)
    for level in ("0.4", "0.5"):
        miniature_rafdb.write_noisy_list(root / f"rafdb/EmoLabel/{level}noise_train1.txt", "eac", wrong)
    miniature_openface.write_named(root / "openface", "rafdb", listing_of("rafdb", root).path.tolist())
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniatures, prepared at the sides the protocols name."""
    place = write(tmp_path_factory.mktemp("data"))
    for name, side in sorted(SIDES):
        result = call("data", "prepare", name, "--side", side, "--data-root", str(place), "--workers", "1")
        assert result.exit_code == 0, result.output
    return place


def words_for(protocol: Protocol, root: Path, out: Path, method: str = "supervised") -> list[str]:
    words = ["run", "--protocol", protocol.name, "--method", method, "--seeds", "1", "--profile", "smoke", "--partial"]
    words += ["--engine", "inline", "--device", "cpu", "--data-root", str(root), "--out", str(out)]
    words += ["--noise", "0.2"] if protocol.levels else []
    return words + (["--fold", protocol.folds[0]] if protocol.folds else [])


def environment(out: Path) -> dict[str, Any]:
    (path,) = out.glob("*@*/*/*/environment.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_miniature_is_partial(name: str, root: Path) -> None:
    result = call("data", "verify", name, "--data-root", str(root), "--workers", "1")
    assert result.exit_code == 1, result.output
    assert "partial: it differs from what was published" in result.output


@pytest.mark.parametrize("name", often([*FIRST, *(name for name in PROTOCOLS if name not in FIRST)], len(FIRST)))
def test_a_protocol_runs_from_the_published_layout_to_a_table(name: str, root: Path, tmp_path: Path) -> None:
    protocol = find(name)
    words = words_for(protocol, root, tmp_path / "runs")
    refused = call(*[word for word in words if word != "--partial"])
    assert refused.exit_code == 2
    assert "--partial" in refused.stderr or "not the published data" in refused.stderr
    result = call(*words)
    assert result.exit_code == 0, result.output
    assert f"{name}@{protocol.version}: " in result.output
    assert "smoke profile, real faces, partial copy of the data" in result.output
    told = environment(tmp_path / "runs")
    assert [teacher["name"] for teacher in told["teachers"]] == [protocol.noisy_labels_from][: len(told["teachers"])]
    assert bool(told["teachers"]) == bool(protocol.noisy_labels_from)
    assert told["noise"]["kind"] == protocol.noise
    assert told["rows"]["train"] > 0
    assert told["rows"]["test"] > 0
    judged = told["noise"]["realised"]
    unjudged = ("automatic annotation", "automatic coder", "labelled by a teacher")
    assert (judged is None) == (protocol.noise in unjudged)
    # the label of all votes is the majority's but where votes are tied, which in so few rows none may be
    assert protocol.noise == "all votes" or judged is None or (judged > 0) == (protocol.noise != "annotators")


def test_ulc_ag_learns_from_openfaces_aus_and_only_where_they_are(root: Path, tmp_path: Path) -> None:
    result = call(*words_for(find("rafdb-sym"), root, tmp_path / "runs", "ulc_ag"))
    assert result.exit_code == 0, result.output
    (identity,) = (json.loads(path.read_text()) for path in (tmp_path / "runs").glob("*@*/ulc_ag/*/identity.json"))
    assert len(identity["aux"]) == 16
    refused = call(*words_for(find("affectnet7-sym"), root, tmp_path / "runs", "ulc_ag"))
    assert refused.exit_code == 2
    looked = f"there is no {root}/openface/affectnet.csv and no folder {root}/openface/affectnet; found there: "
    assert f"it needs auxiliary AU labels (OpenFace output under openface/): {looked}" in refused.stderr


def test_a_methods_own_recipe_has_a_table_of_its_own(root: Path, tmp_path: Path) -> None:
    protocol, out = find("rafdb-sym"), tmp_path / "runs"
    shared, native = (call(*words_for(protocol, root, out, "scn"), *more) for more in ((), ("--recipe", "native")))
    assert shared.exit_code == native.exit_code == 0, native.output
    recipes = sorted(json.loads(path.read_text())["recipe"] for path in out.glob("*@*/scn/*/identity.json"))
    assert recipes == ["native", "protocol"]
    assert "native recipe" in native.output
    assert "native recipe" not in shared.output
    table = call("table", "rafdb-sym", "--runs", str(out))
    assert table.exit_code == 2
    assert "these trials cannot share a table, they differ in: recipe, " in table.stderr
    refused = call(*words_for(protocol, root, out, "ensemble"), "--recipe", "native")
    assert refused.exit_code == 2
    assert "it has no native recipe: its paper does not state one completely" in refused.stderr


def test_a_copy_that_lacks_the_subjects_of_a_part_fails_with_the_reason(tmp_path: Path) -> None:
    coded = {key: frames for key, frames in miniature_bp4d.SOME.items() if key[0] in ("F001", "F002", "F003")}
    miniature_bp4d.write_au_occ(tmp_path / "bp4d", coded)
    call("data", "prepare", "bp4d", "--side", "240", "--data-root", str(tmp_path), "--workers", "1")
    words = words_for(find("bp4d-3fold-plain"), tmp_path, tmp_path / "runs")
    result = call(*[word if word != "part1" else "part3" for word in words])
    assert result.exit_code == 1
    assert "bp4d-3fold-plain, part3: no annotated row for test; this copy lacks" in result.stderr
