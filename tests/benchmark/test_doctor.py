"""`doctor` says what there is, what is missing, and what to do; and how fast the machine is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fernoise_bench.benchmark import doctor
from fernoise_bench.benchmark.cli import main
from fernoise_bench.benchmark.planning import harness_speed as speed
from fernoise_bench.benchmark.planning.harness_speed import LARGE, SMALL, Case, SpeedFinding, advice


def call(*words: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *words])


def checks(*words: str) -> dict[str, dict[str, Any]]:
    found = json.loads(call(*words, "--json").stdout)
    return {check["what"]: check for check in found["checks"]}


def test_it_names_what_is_there_and_where_to_get_the_rest(tmp_path: Path) -> None:
    found = checks("--data-root", str(tmp_path / "data"), "--out", str(tmp_path / "runs"))
    assert {"python", "torch", "cpu", "threads", "memory", "output", "disk", "extra [ray]"} <= set(found)
    assert found["torch"]["state"] == "ok"
    assert found["data rafdb"]["state"] == "note"
    assert "ask for it at" in found["data rafdb"]["advice"]
    assert str(tmp_path / "data" / "weights") in found["weights msceleb"]["advice"]
    assert found["output"] == {"what": "output", "state": "ok", "found": f"{tmp_path} is writable", "advice": ""}
    assert list(tmp_path.iterdir()) == [], "looking leaves nothing behind"


def test_for_people_every_check_has_a_line_and_the_exit_code_is_0(tmp_path: Path) -> None:
    found = call("--data-root", str(tmp_path), "--out", str(tmp_path))
    assert found.exit_code == 0, found.output
    assert "note    weights msceleb   no\n" in found.output
    assert "→ one of ijba_res18_naive.pth.tar" in found.output


def test_a_place_that_cannot_be_written_to_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = call("--data-root", str(tmp_path), "--out", str(tmp_path / "file" / "runs"))
    assert found.exit_code == 1
    assert f"PROBLEM output            --out {tmp_path / 'file' / 'runs'}: " in found.output


def test_a_missing_package_is_a_problem_and_a_missing_extra_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("no-such-package",))
    monkeypatch.setattr(doctor, "EXTRAS", {"dreams": ("no_such_module",)})
    assert [(check.what, check.state) for check in doctor.installed()][1:] == [("no-such-package", "problem")]
    dreams = doctor.extras()[0]
    assert (dreams.state, dreams.advice) == ("note", "if you need it: pip install 'fernoise-bench[dreams]'")


def test_weights_that_are_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "resnet18_msceleb.pth").touch()
    found = {check.what: check for check in doctor.weights(tmp_path)}
    assert (found["weights msceleb"].state, found["weights msceleb"].found) == ("ok", "resnet18_msceleb.pth")


# --- speed


def finding(case: Case, precision: str, harness: float, share: float = 1.0) -> SpeedFinding:
    return SpeedFinding(case, precision, harness, harness / share)


def test_a_machine_at_its_bound_needs_no_change() -> None:
    found = [finding(SMALL["cpu"], "fp32", 1000), finding(SMALL["cpu"], "fp32", 1900)]
    found += [finding(LARGE["cpu"], "fp32", 100), finding(LARGE["cpu"], "bf16", 110)]
    assert advice(found, "cpu") == []


def test_what_is_slow_or_could_be_faster_is_said() -> None:
    small, large = SMALL["cuda"], LARGE["cuda"]
    found = [finding(small, "fp32", 1000, share=0.8), finding(small, "fp32", 3000)]
    found += [finding(large, "fp32", 100), finding(large, "tf32", 200), finding(large, "bf16", 90)]
    below, tf32, bf16, share = advice(found, "cuda")
    assert "0.80 of the minimal loop's speed" in below
    assert tf32 == "--precision tf32 trains large encoders 2.0 times as fast here"
    assert bf16 == "--precision bf16 is slower here: 0.9 times the speed of fp32"
    assert "--engine ray --gpus-per-trial 0.25" in share


def test_both_loops_train_and_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "ROUNDS", 1)
    found = speed.measure(Case("small", 32, 8, 3), "cpu", "fp32")
    assert found.harness > 0
    assert found.bare > 0
    training = speed.make_training(Case("small", 32, 8, 3), "cpu", "fp32")
    before = {name: value.clone() for name, value in training.method.state_dict().items()}
    speed.bare_steps(training, training.train_set.batches(0, 1), speed.own_loss)
    after = training.method.state_dict()
    assert any(not value.equal(after[name]) for name, value in before.items())
    assert training.counters.take()["forwards"] == 24, "three batches of eight, once"


def test_speed_is_printed_and_given_as_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "examine", lambda *_: [doctor.DoctorCheck("a", "ok", "b")])
    monkeypatch.setattr(speed, "measure", lambda case, device, precision: finding(case, precision, 100, share=0.5))
    said = call("--speed", "--device", "cpu", "--out", str(tmp_path)).output
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in said.splitlines() if line[:1] == "|"]
    assert ["small, 48 px, batches of 32", "fp32", "100", "200", "0.50"] in rows
    data = json.loads(call("--speed", "--device", "cpu", "--json", "--out", str(tmp_path)).stdout)
    assert [line["share"] for line in data["speed"]] == [0.5] * 4
    assert data["advice"]
