"""`fernoise-bench claims`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fernoise_bench.benchmark.cli import main
from fernoise_bench.results.records import reference_leaderboard as shipped

from ....results.fabricate import Trial, fabricate_all


def claims(*words: str) -> Result:
    return CliRunner().invoke(main, ["claims", *words])


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pairs of two methods, faces and AUs, and one damaged trial."""
    folder = tmp_path_factory.mktemp("runs")
    common = {"epochs": 2, "rows": 60, "copies": 0}
    skills = {"cocuring": 0.95, "nct": 0.5}
    faces = [Trial(m, level=0.4, seed=seed, skill=skill, **common) for m, skill in skills.items() for seed in range(8)]
    aus = {"kind": "multi", "protocol": "bp4d-3fold", "level": None, "source": "generated", **common}
    parts = ("part1", "part2", "part3")
    known = {"recot": 0.95, "mixup": 0.6}
    frames = [Trial(m, seed=s, fold=f, skill=skill, **aus) for m, skill in known.items() for s in (0, 1) for f in parts]
    made = fabricate_all(folder, [*faces, *frames, Trial("scn", level=0.4, **common)])
    (made[-1] / "epochs.jsonl").write_text("{")
    return folder


def test_the_verdicts_in_words(out: Path) -> None:
    result = claims("--runs", str(out))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    (line,) = [line for line in lines if "cocuring > nct" in line and line.strip().startswith("direction only")]
    assert "ferplus-sym 0.4 (small, real faces)" in line
    assert "the claim is about all noise levels, and not all were run" in line
    assert "cocuring and nct were not run at noise 0.1" in line
    (au,) = [line for line in lines if line.strip().startswith("held here") and " recot > mixup" in line]
    assert "2 pairs  21 subjects" in au
    assert "bp4d-3fold (small, generated faces)" in au
    assert "ReCoT (Li et al., BMVC 2023)" in lines
    assert "MLCR (Niu et al., NeurIPS 2019, poster)" in lines
    assert "damaged" in result.stderr
    assert "\x1b" not in result.output


def test_json_and_the_other_formats(out: Path) -> None:
    result = claims("--runs", str(out), "--paper", "cocuring", "--json")
    content = json.loads(result.stdout)
    tried = [verdict for verdict in content["verdicts"] if verdict["verdict"] != "not run"]
    assert {verdict["paper"] for verdict in content["verdicts"]} == {"cocuring"}
    assert {"cocuring/synthetic/nct"} <= {verdict["id"] for verdict in tried}
    assert claims("--runs", str(out), "--paper", "cocuring", "--format", "json").stdout == result.stdout
    table = claims("--runs", str(out), "--paper", "rhls", "--format", "csv").stdout.splitlines()
    assert table[0].startswith("table,verdict,claim,protocol")
    assert "subjects" in table[0].split(",")
    assert "quote" in table[0].split(",")
    assert len(table) > 10


def test_filters(out: Path) -> None:
    real = json.loads(claims("--runs", str(out), "--real", "--json").stdout)["verdicts"]
    assert {verdict["source"] for verdict in real} == {"real", None}
    paper = json.loads(claims("--runs", str(out), "--profile", "paper", "--json").stdout)["verdicts"]
    assert {verdict["verdict"] for verdict in paper} == {"not run"}


def test_an_unknown_paper_is_one_line(out: Path) -> None:
    result = claims("--runs", str(out), "--paper", "recott")
    assert result.exit_code == 2
    assert result.stderr == "fernoise-bench: unknown paper 'recott': did you mean recot?\n"


def test_without_trials_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "shipped_records", lambda: ([], []))
    result = claims("--runs", str(tmp_path), "--paper", "mlcr")
    assert result.exit_code == 0
    assert "7 claims, 0 tested; verdicts by protocol: 7 not run" in result.stdout
