from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from fernoise_bench.benchmark import registry
from fernoise_bench.benchmark.cli import main
from fernoise_bench.benchmark.regression import SUITES, cpu, make_plan, trace_of
from fernoise_bench.benchmark.training.runner import WorkerContext, run_trial
from fernoise_bench.benchmark.trial import Trial
from fernoise_bench.protocols.designs.regression import CHECK_PROTOCOLS, LEVEL, REPEATS, UNKNOWN_SHARE
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.loading import open_data
from fernoise_bench.results.regression.compare import CHECKED, Reference, Trace
from fernoise_bench.results.regression.references import NONE, SHIPPED, References, load

from ..toy import ignore

METHOD = '''
"""A linear classifier of tiny pictures, quick enough to check in a test."""
import torch.nn.functional as F
from torch import nn
from fernoise_bench.methods.base import Method, Step


class Mine(Method):
    needs = frozenset({"single"})

    def __init__(self, task, make_encoder, params):
        super().__init__(task, make_encoder, params)
        self.head = nn.Linear(192, task.num_classes)

    def logits(self, images):
        return self.head(F.adaptive_avg_pool2d(images, 8).flatten(1))

    def loss(self, batch):
        return Step(F.cross_entropy(self.logits(batch.images[0]), batch.labels))

    def predict(self, images):
        return self.logits(images).softmax(dim=1)
'''


ALONE = ("--workers", "1")  # without a pool of processes


@pytest.fixture
def method(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(METHOD)
    return path


def run(method: Path, *arguments: str) -> Result:
    shared = ("check", "--method", f"{method}:Mine", "--references", str(method.parent / "refs"), *ALONE)
    return CliRunner().invoke(main, [*shared, *arguments])


@pytest.fixture
def one_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks train on one of the three protocols that the method is applicable to: the test is about their report."""
    only = {"check-single": CHECK_PROTOCOLS["check-single"]}
    monkeypatch.setattr("fernoise_bench.benchmark.regression.CHECK_PROTOCOLS", only)


def test_from_references_to_a_regression(method: Path, tmp_path: Path, one_protocol: None) -> None:
    none = run(method)
    assert (none.exit_code, none.stdout) == (2, "")
    assert "no smoke.json there; write it with --update" in none.stderr
    assert run(method, "--update", "--reason", "a first  version").exit_code == 0
    kept = load(tmp_path / "refs", "smoke")
    assert [(note["reason"], note["cpu"]) for note in kept.history] == [("a first version", cpu())]
    assert set(kept.entries) == {("check-single", "mine.Mine")}
    assert all(len(entry.seeds) == SUITES["smoke"].seeds for entry in kept.entries.values())

    other = method.with_name("other.py")
    other.write_text(METHOD)
    words = ("--method", f"{other}:Mine", *ALONE)
    new = CliRunner().invoke(main, ["check", *words, "--references", str(tmp_path / "refs")])
    assert (new.exit_code, "1 new" in new.stdout) == (0, True), new.output
    told = "warning: other.Mine has no reference on check-single: this check guards "
    assert new.stderr.count(told) == 1
    shipped = CliRunner().invoke(main, ["check", *words, "--strict"])
    assert (shipped.exit_code, shipped.stderr.count("this check guards nothing")) == (1, 1), shipped.output

    same = run(method, "--junit", str(tmp_path / "out" / "check.xml"), "--markdown", str(tmp_path / "page.md"))
    assert same.exit_code == 0, same.output
    assert "check smoke: 1 ok" in same.stdout
    assert f"- references written on: {cpu()}; checked on: {cpu()}" in same.stdout
    report = ElementTree.parse(tmp_path / "out" / "check.xml").getroot()
    assert report.attrib["failures"] == "0"
    assert [each.attrib["value"] for each in report.iter("property")] == [cpu(), cpu()]
    assert "no regression" in (tmp_path / "page.md").read_text()

    method.write_text(METHOD.replace("batch.images[0])", "batch.images[0] * 1.01)"))
    drifted = run(method, "--markdown", str(tmp_path / "page.md"))
    assert drifted.exit_code == 1
    assert "1 drifted" in drifted.stdout
    assert "loss of epoch 0" in drifted.stdout
    assert (tmp_path / "page.md").read_text().count("## fernoise-bench check") == 2, "a summary is added to the page"

    method.write_text(METHOD.replace("return Step(F.", "return Step(-F."))
    assert "broken" in run(method).stdout

    method.write_text(METHOD.replace("return Step(", "raise RuntimeError('no idea')\n        return Step("))
    failing = run(method)
    assert failing.exit_code == 1
    assert "failed: RuntimeError: no idea" in failing.stdout
    before = (tmp_path / "refs" / "smoke.json").read_bytes()
    refused = run(method, "--update", "--reason", "why not")
    assert refused.exit_code == 2
    assert "did not finish" in refused.stderr
    assert (tmp_path / "refs" / "smoke.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--update"], "--reason TEXT"),
        (["--update", "--reason", "  "], "--reason: its value is empty"),
        (["--update", "--reason", "\u200b"], "--reason TEXT"),
        (["--update", "--reason", "why", "--strict"], "--strict belongs to comparing"),
        (["--widen", "--reason", "why", "--strict"], "--strict belongs to comparing"),
        (["--reason", "why"], "--reason belongs to --update"),
        (["--widen"], "--widen needs --reason"),
        (["--widen", "--update", "--reason", "why"], "use one of the two"),
        (["--method", "nonsense"], "unknown method 'nonsense'"),
        (["--method", "noise_regularization:nothing"], "unknown variant"),
    ],
)
def test_bad_usage_is_one_line_and_code_2(arguments: list[str], said: str, tmp_path: Path) -> None:
    found = CliRunner().invoke(main, ["check", "--references", str(tmp_path), *arguments])
    assert found.exit_code == 2
    assert said in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.weekly
def test_trials_that_are_kept_are_made_anew_by_the_next_check(method: Path, tmp_path: Path, one_protocol: None) -> None:
    """What methods share may have changed since, which no identity tells."""
    assert run(method, "--update", "--reason", "first").exit_code == 0
    kept = ("--out", str(tmp_path / "kept"))
    assert run(method, *kept).exit_code == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").rglob("status.json")}
    assert run(method, *kept).exit_code == 0
    assert len(before) == len(CHECKED)
    assert all(path.stat().st_mtime_ns > then for path, then in before.items())


def test_reports_that_cannot_be_written_are_refused_first(method: Path, tmp_path: Path) -> None:
    (tmp_path / "refs").mkdir()
    (tmp_path / "refs" / "smoke.json").write_bytes((SHIPPED / "smoke.json").read_bytes())
    refused = run(method, "--junit", str(method / "check.xml"), "--out", str(tmp_path / "kept"))
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "cannot be written" in refused.stderr
    assert not list((tmp_path / "kept").rglob("status.json"))


def test_damaged_references_are_bad_input(method: Path) -> None:
    (method.parent / "refs").mkdir()
    (method.parent / "refs" / "smoke.json").write_text(json.dumps({"format": 9}))
    found = run(method)
    assert found.exit_code == 2
    assert "smoke.json: format 9" in found.stderr


@pytest.mark.weekly
def test_what_another_cpu_computes_counts_as_rounding_once_widened(
    method: Path, tmp_path: Path, one_protocol: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments in (["--update", "--reason", "first"], ["--widen", "--reason", "the same CPU"]):
        assert run(method, *arguments).exit_code == 0
    here = load(tmp_path / "refs", "smoke")
    (entry,) = here.entries.values()

    def moved(trial: Trial) -> Trace | str:
        found = trace_of(trial)
        assert not isinstance(found, str)
        return {**found, "loss": tuple((value or 0.0) * 1.03 for value in found["loss"])}

    monkeypatch.setattr("fernoise_bench.benchmark.regression.trace_of", moved)
    monkeypatch.setattr("fernoise_bench.benchmark.regression.cpu", lambda: "another CPU")
    assert "loss of epoch 0" in run(method).stdout
    widening = run(method, "--widen", "--reason", "another CPU's kernels")
    assert (widening.exit_code, "references widened: another CPU's kernels" in widening.stdout) == (0, True)
    assert "1 ok" in run(method).stdout
    there = load(tmp_path / "refs", "smoke")
    (wider,) = there.entries.values()
    assert wider.seeds == entry.seeds
    further = [0.03 * (entry.seeds[seed]["loss"][0] or 0.0) for seed in CHECKED]
    assert wider.reach["loss"][0] == pytest.approx(max(further), rel=1e-4)
    assert {**wider.reach, "loss": ()} == {**entry.reach, "loss": ()}
    assert there.cpus(["mine.Mine"]) == here.cpus(["mine.Mine"]), "the numbers are still those of the first"
    assert (there.history[-1]["widened"], there.history[-1]["cpu"]) == (["mine.Mine"], "another CPU")

    method.write_text(METHOD.replace("batch.images[0])", "batch.images[0] * 1.0001)"))
    refused = run(method, "--widen", "--reason", "a change")
    assert (refused.exit_code, "has another source than when its reference was written" in refused.stderr) == (2, True)


def test_a_method_is_checked_on_every_protocol_it_is_applicable_to(method: Path) -> None:
    plan = make_plan("smoke", [f"{method}:Mine"])
    assert set(plan.pairs) == {(f"check-{name}", "mine.Mine") for name in ("single", "real", "single-steps")}


def test_every_method_of_the_registry_is_checked() -> None:
    plan = make_plan("smoke", ())
    several = {spec.name for spec in registry.all_base() if spec.needs & {"votes", "annotators"}}
    of_people = {"check-people", "check-people-steps"}
    assert {method for _, method in plan.pairs} == {spec.name for spec in registry.all_base()}
    assert {protocol for protocol, _ in plan.pairs} == set(CHECK_PROTOCOLS)
    assert {method for protocol, method in plan.pairs if protocol in of_people} == several
    assert {protocol for protocol, method in plan.pairs if method in several} == of_people


def test_a_pair_only_the_references_know_is_missing() -> None:
    entry = Reference("digest", ({"loss": (1.0,)},), {"loss": (0.0,)})
    known = References({}, {("check-au", "gone"): entry, ("check-au", "recot"): entry}, ())
    assert make_plan("smoke", ()).missing(known) == {("check-au", "gone")}
    assert make_plan("smoke", ["recot"]).missing(known) == frozenset()
    assert make_plan("smoke", ["recot"]).missing(NONE) == frozenset()


def test_a_method_that_fits_no_protocol_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "picky.py"
    path.write_text(METHOD.replace('{"single"}', '{"single", "verified"}'))
    with pytest.raises(BadInput, match="is applicable to no check"):
        make_plan("smoke", [f"{path}:Mine"])


def test_the_kind_of_a_cpu_is_its_model_and_the_instructions_torch_uses() -> None:
    model, _, instructions = cpu().rpartition(", ")
    assert model
    assert instructions == torch.backends.cpu.get_cpu_capability()


def test_perturbed_trials_have_almost_the_same_learning_rate(tmp_path: Path) -> None:
    plan = make_plan("smoke", ["supervised"])
    for factor in plan.suite.perturbations:
        for plain, perturbed in zip(
            plan.trials(tmp_path, CHECKED), plan.trials(tmp_path, CHECKED, factor), strict=True
        ):
            rates = [trial.job.settings.recipe.learning_rate for trial in (plain, perturbed)]
            assert rates[0] != rates[1] == pytest.approx(rates[0], rel=1e-4)
            assert plain.id != perturbed.id
            assert plain.seed == perturbed.seed


def test_a_trace_holds_what_the_trial_recorded(method: Path, tmp_path: Path) -> None:
    (trial, *_) = make_plan("smoke", [f"{method}:Mine"]).trials(tmp_path, (0,))
    assert trace_of(trial) == "not run: never started"
    run_trial(trial, WorkerContext(), ignore)
    found = trace_of(trial)
    assert not isinstance(found, str)
    assert len(found["loss"]) == trial.job.settings.recipe.epochs
    assert found["loss"][0] > found["loss"][-1]  # type: ignore[operator]
    assert found["networks"] == (0,)
    assert found["oracle_knowledge"] == (0,)
    assert 1 / 8 < found["right"][0] <= found["likeliest"][0] < 1  # type: ignore[operator]


@pytest.mark.parametrize("name", ["check-single", "check-real", "check-people"])
def test_expressions_are_seen_again_with_labels_of_their_own(name: str, tmp_path: Path) -> None:
    protocol = CHECK_PROTOCOLS[name]
    cell = open_data(protocol, "smoke", "generated", tmp_path).cell(None, (*protocol.levels, None)[0], 0)
    faces = len(cell.train) // REPEATS
    assert len(cell.test) == faces
    reference, given = cell.train.reference.reshape(REPEATS, faces), cell.train.given.reshape(REPEATS, faces)
    assert (reference == reference[0]).all()
    assert (cell.test.reference == reference[0]).all()
    assert len(np.unique(cell.train.sample_id)) == len(cell.train)
    assert (given != given[0]).any()
    assert (cell.train.aux == 0).mean() == pytest.approx(UNKNOWN_SHARE, abs=0.05)
    if protocol.levels:
        assert (given != reference).mean() == pytest.approx(LEVEL, abs=0.05)


def test_people_disagree_about_a_face_seen_again(tmp_path: Path) -> None:
    cell = open_data(CHECK_PROTOCOLS["check-people"], "smoke", "generated", tmp_path).cell(None, None, 0)
    train, faces = cell.train, len(cell.test)
    for name in ("votes", "annotators"):
        of_each = getattr(train, name).reshape(REPEATS, faces, -1)
        assert (of_each == of_each[0]).all(), "its votes, and who gave them, are those of the face"
    counted = np.stack([(train.annotators[:, :, 1] == label).sum(1) for label in range(8)], axis=1)
    assert (counted == train.votes[:, :8]).all()
    cannot = train.annotators[:, :, 1] < 0
    assert cannot.mean() == pytest.approx(UNKNOWN_SHARE, abs=0.05)
    assert (cannot.sum(1) == train.votes[:, 8]).all()
    given = train.given.reshape(REPEATS, faces)
    assert (given != given[0]).any(), "a vote drawn for each row"
    assert (train.votes[np.arange(len(train)), train.given] > 0).all()
    assert (cell.test.votes == train.votes[:faces]).all()


def test_some_action_unit_labels_are_unknown_and_some_wrong(tmp_path: Path) -> None:
    protocol = CHECK_PROTOCOLS["check-au"]
    cell = open_data(protocol, "smoke", "generated", tmp_path).cell(protocol.folds[0], None, 0)
    for rows in (cell.train.take(cell.train.verified), cell.train.take(~cell.train.verified)):
        assert (rows.given == 0).mean() == pytest.approx(UNKNOWN_SHARE, abs=0.05)
    noisy = cell.train.take(~cell.train.verified)
    known = noisy.given != 0
    assert 0.02 < (noisy.given != noisy.reference)[known].mean() < 0.4
    assert (cell.test.reference != 0).all()


def test_real_faces_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="generated faces only"):
        open_data(replace(CHECK_PROTOCOLS["check-single"]), "smoke", "real", tmp_path)
