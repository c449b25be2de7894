"""Runs from Python are those of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import fernoise_bench as fb
from fernoise_bench.benchmark.cli import main

from ...results.fabricate import Trial, fabricate


@pytest.mark.slow
def test_a_run_is_that_of_the_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The command line finds the same trial finished; it is trained once, and others in the folder are left out."""

    def trained() -> fb.Records:
        return fb.run("ferplus-sym", "supervised", noise=0.4, synthetic=True, profile="smoke", out=tmp_path)

    fabricate(tmp_path, Trial(method="gce"))
    (mine,) = trained()
    assert "1/1  supervised · noise 0.4 · seed 0  done" in capfd.readouterr().err
    assert (mine.method, mine.level, mine.identity.profile, mine.state) == ("supervised", 0.4, "smoke", "done")
    line = "run --protocol ferplus-sym --method supervised --noise 0.4 --synthetic --profile smoke"
    done = CliRunner().invoke(main, [*line.split(), "--out", str(tmp_path)])
    assert (done.exit_code, "1 finished before, 0 to run" in done.stderr) == (0, True)
    (again,) = trained()
    assert again == mine
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"protocol": "ferplus-sim", "methods": "gce"}, "did you mean ferplus-sym"),
        ({"protocol": "ferplus-sym", "methods": "gcee"}, "did you mean gce"),
        ({"protocol": "ferplus-sym"}, "name methods"),
        ({"protocol": "ferplus-sym", "methods": "recot"}, "not applicable"),
        ({"protocol": "ferplus-sym", "methods": "gce", "noise": [0.2, 0.25]}, "has the levels"),
        ({"protocol": "bp4d-3fold-plain", "methods": "rhls", "fold": 4}, "has the folds"),
    ],
)
def test_what_is_impossible_is_refused_before_anything_is_written(
    arguments: dict[str, object], told: str, tmp_path: Path
) -> None:
    with pytest.raises(fb.BadInput) as error:
        fb.run(**{"synthetic": True, "profile": "smoke", "out": tmp_path / "out", **arguments})  # type: ignore[arg-type]
    assert told in str(error.value)
    assert not (tmp_path / "out").exists()
