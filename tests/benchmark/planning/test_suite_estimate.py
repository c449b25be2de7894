"""What the whole suite costs: counted work, assumed or measured speed, the critical path."""

from __future__ import annotations

import json

import pytest
import torch
from click.testing import CliRunner

from fernoise_bench.benchmark import settings
from fernoise_bench.benchmark.cli import main
from fernoise_bench.benchmark.planning import device_speed as gpus
from fernoise_bench.benchmark.planning import suite_estimate as plan_suite
from fernoise_bench.benchmark.planning.compute_count import ComputeCount, Sizes, count
from fernoise_bench.benchmark.planning.device_speed import Network, Speed
from fernoise_bench.benchmark.planning.suite_estimate import (
    PUBLISHED,
    CostLine,
    SuiteCost,
    estimate_suite,
    suite,
    suite_text,
)
from fernoise_bench.benchmark.registry import find
from fernoise_bench.protocols import catalog
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.papers.reported import TABLE_IDS
from fernoise_bench.results.papers.tables import wanted

NETWORK = Network("resnet18", "", 0, 224)
SPEED = Speed(trained=100.0, inference_rate=400.0, how="a test")

# --- counted work


@pytest.mark.parametrize(
    ("method", "protocol", "work"),
    [
        ("supervised", "rafdb-sym", ComputeCount(1, 1, 0, 1)),
        ("cocuring", "rafdb-sym", ComputeCount(2, 2, 0, 2)),
        ("recot", "bp4d-3fold", ComputeCount(2, 2, 0, 2)),
        ("supervised:clean", "bp4d-3fold", ComputeCount(0.5, 0.5, 0, 1)),
        ("mean_teacher", "bp4d-3fold", ComputeCount(2, 1, 0, 1)),
        ("distillation", "bp4d-3fold", ComputeCount(1, 1, 0, 1)),
        ("ulc_ag", "rafdb-sym", ComputeCount(1, 1, 0, 1)),
    ],
)
def test_forwards_and_backwards_are_counted_in_a_training(method: str, protocol: str, work: ComputeCount) -> None:
    assert count(find(method), catalog.find(protocol)) == work


def test_passes_over_the_training_set_are_counted_apart() -> None:
    """An estimate of the noise rate looks at every row, however few steps an epoch has."""
    assert count(find("co_teaching:estimated-rate"), catalog.find("affectnet-auto")).passes > 0


def test_a_trainings_forwards_follow_from_steps_rows_and_epochs() -> None:
    """RAF-DB: 40 epochs of 95 whole batches of 128; AffectNet stops after 401 batches."""
    recipe = catalog.find("rafdb-sym").paper.recipe
    forward_only, trained = ComputeCount(2, 1, 3, 2).total(recipe, Sizes(12_271, 0, 3_068))
    assert trained == 40 * 95 * 128
    assert forward_only == 40 * (95 * 128 + 3 * 12_271 + 2 * 3_068)
    assert ComputeCount(1, 1, 0, 0).total(recipe, Sizes(287_651, 0, 0)) == (0, 40 * 401 * 128)
    # 25 epochs, each over the verified rows once, half of every batch of 100
    assert ComputeCount(1, 1, 0, 0).total(catalog.find("bp4d-3fold").paper.recipe, Sizes(1_500, 1_000, 0)) == (
        0,
        25 * 20 * 100,
    )


# --- speed


def test_a_resnet_18_has_the_flops_everybody_counts() -> None:
    """1.8 billion multiply-adds at 224 px, a backward being two forwards but for the first layer."""
    forward, both = gpus.flops(NETWORK)
    assert forward == pytest.approx(2 * 1.814e9, rel=0.01)
    assert both == pytest.approx(3 * forward, rel=0.05)


def test_an_assumed_speed_says_so_and_by_what() -> None:
    speed = gpus.assumed_speed("H100", "fp32", NETWORK)
    assert speed.how == "assumed: 67 TFLOPS fp32 of h100's data sheet at 40% utilisation, over counted FLOPs"
    assert speed.trained == pytest.approx(67e12 * 0.4 / (speed.training_gflops * 1e9))
    assert speed.inference_rate > 2 * speed.trained


def test_a_measured_speed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "PROBE_SECONDS", 0.1)
    speed = gpus.measured_speed(torch.device("cpu"), "fp32", Network("small", "", 0, 32))
    assert speed.how.startswith("measured now (cpu, ")
    assert speed.inference_rate > speed.trained > 0
    assert speed.training_gflops is None


def test_a_speed_is_measured_to_the_end_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU is started and waited for: the clock is read when nothing is left to do."""
    done: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: done.append("wait"))
    monkeypatch.setattr(gpus.time, "perf_counter", lambda: done.append("clock") or 0.0)
    gpus.seconds_of(lambda: done.append("work"), torch.device("cuda"))
    assert done == ["wait", "clock", "work", "wait", "clock"]


@pytest.mark.parametrize(("precision", "tf32"), [("fp32", False), ("tf32", True), ("bf16", False)])
def test_a_suite_is_measured_with_the_arithmetic_of_its_trials(
    precision: str, tf32: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch itself allows TF32 in convolutions, and chooses kernels that do not repeat their results."""
    flags = torch.backends
    settings.set_arithmetic("fp32" if tf32 else "tf32")
    flags.cudnn.deterministic = False
    seen: list[tuple[bool, bool, bool, int]] = []

    def measured(*_: object) -> Speed:
        matmul, cudnn = flags.cuda.matmul.allow_tf32, flags.cudnn
        seen.append((matmul, cudnn.allow_tf32, cudnn.deterministic, torch.get_num_threads()))
        return SPEED

    monkeypatch.setattr(plan_suite, "measured_speed", measured)
    cost = SuiteCost((CostLine("a", "b", 1, 0, 1, NETWORK),), {}, {})
    try:
        assert plan_suite.speeds_of(cost, None, "cuda", precision) == {NETWORK: SPEED}
    finally:
        settings.set_arithmetic("fp32")
    assert seen == [(tf32, tf32, True, 1)]


def test_unknown_gpus_and_modes_they_lack_are_refused() -> None:
    with pytest.raises(BadInput, match="unknown GPU 'h1000': did you mean h100"):
        gpus.assumed_speed("h1000", "fp32", NETWORK)
    with pytest.raises(BadInput, match="v100 has no bf16; use fp32"):
        gpus.assumed_speed("v100", "bf16", NETWORK)


# --- the suite


@pytest.fixture
def one_table(monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    """A small suite."""
    monkeypatch.setattr(plan_suite, "suite", lambda: suite(("rhls-1",)))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods need not be counted."""
    monkeypatch.setattr(plan_suite, "count", lambda *_, **__: ComputeCount(1, 1, 0, 1))


def test_every_tables_cells_are_there_once(quick: None) -> None:
    found = suite()
    pairs = [(line.protocol, line.method) for line in found.lines]
    assert len(pairs) == len(set(pairs))
    asked = {(each.protocol, each.method.replace("-", "_")) for name in TABLE_IDS for each in wanted(name)}
    assert {(protocol, method.replace("-", "_")) for protocol, method in pairs} == asked
    assert not found.left_out
    assert {protocol for protocol, _ in pairs} <= set(PUBLISHED)
    (cocuring,) = [line for line in found.lines if (line.protocol, line.method) == ("rafdb-sym", "cocuring")]
    assert cocuring.cells == 5, "Table 2 has four levels, Table 4 or another the clean one"
    (recot,) = [line for line in found.lines if (line.protocol, line.method) == ("bp4d-3fold", "recot")]
    assert (recot.cells, recot.teachers, recot.tables) == (3, ("supervised:clean",), ("recot-2",))
    assert ("bp4d-3fold", "supervised:clean") in found.teachers


def test_hours_add_up_and_the_critical_path_has_its_teacher_before_it() -> None:
    hour = 3600 * SPEED.trained
    lines = (
        CostLine("a", "slow", cells=1, forward_only=0, trained=3 * hour, network=NETWORK),
        CostLine("b", "pupil", cells=2, forward_only=0, trained=2 * hour, network=NETWORK, teachers=("t",)),
    )
    teachers = {("b", "t"): CostLine("b", "teacher t", 2, forward_only=4 * hour, trained=hour, network=NETWORK)}
    found = estimate_suite(SuiteCost(lines, teachers, {"x on a": "lacks y"}), {NETWORK: SPEED}, seeds=2, devices=3)
    assert (found["trials"], found["teachers"]) == (2 + 4, 4)
    assert found["device_hours"] == pytest.approx(2 * 3 + 4 * 2 + 4 * 2)
    path = found["critical_path"]
    assert (path["method"], path["hours"], path["of_which_teachers"]) == ("pupil", 4, 2)
    assert found["wall_hours"] >= max(22 / 3, 4)
    said = suite_text(found, "h100")
    assert "critical path: pupil on b, 4 h 0 min, 2 h 0 min of it for the teacher t" in said
    assert "not run: x on a: lacks y" in said
    assert "in total 22 h100-hours" in said


def test_plan_all_prints_and_gives_data(one_table: None) -> None:
    found = CliRunner().invoke(main, ["plan", "--all", "--gpus", "64", "--gpu", "h100"])
    assert found.exit_code == 0, found.output
    assert "on 64 h100s" in found.output
    assert "speed, assumed: " in found.output
    assert "critical path: " in found.output
    data = json.loads(CliRunner().invoke(main, ["plan", "--all", "--gpus", "8", "--gpu", "a100", "--json"]).stdout)
    assert (data["devices"], data["seeds"]) == (8, 8)
    assert all(speed["how"].startswith("assumed") for speed in data["speeds"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--all", "--protocol", "rafdb-sym"), "leave out --protocol"),
        (("--all", "--table", "recot-2", "--synthetic"), "leave out --table, --synthetic"),
        (("--protocol", "rafdb-sym", "--gpus", "4"), "--gpus and --gpu go with --all"),
        (("--all", "--gpu", "abacus"), "unknown GPU 'abacus'"),
    ],
)
def test_what_does_not_go_with_it_is_refused(words: tuple[str, ...], message: str, one_table: None) -> None:
    found = CliRunner().invoke(main, ["plan", *words])
    assert found.exit_code == 2
    assert message in found.output
