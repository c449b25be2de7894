"""What a method may ask for besides labels and pictures: votes, how labels go wrong, learning rates of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fernoise_bench.benchmark.networks.initial_weights import Weights
from fernoise_bench.benchmark.registry import MethodSpec, find
from fernoise_bench.benchmark.training import trainer
from fernoise_bench.benchmark.training.runner import run_trial
from fernoise_bench.benchmark.training.state import Training
from fernoise_bench.methods.base import Batch, MakeEncoder, Method, Network, NoParams, ParameterGroup, Step, Task
from fernoise_bench.protocols.base import Kind
from fernoise_bench.protocols.files import read_json
from fernoise_bench.protocols.rows import CellData

from ...everything import NAME, WITH_VOTES
from ...toy import ToyContext, ignore, run_epochs, toy_cell, toy_trial


class Plain(Method):
    """Cross-entropy with a scale of each class."""

    needs: ClassVar[frozenset[str]] = frozenset({"single", "multi"})

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: NoParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)
        self.scale = nn.Parameter(torch.ones(task.num_classes))

    def loss(self, batch: Batch) -> Step:
        return Step(torch.nn.functional.cross_entropy(self.network(batch.images[0]) * self.scale, batch.labels))

    def predict(self, images: Tensor) -> Tensor:
        return (self.network(images) * self.scale).softmax(dim=1)


def specification(cls: type[Method]) -> MethodSpec:
    spec = MethodSpec(cls.__name__, "", "", {}, cls.needs, "0" * 16)
    object.__setattr__(spec, "load", lambda: cls)
    return spec


def start(
    method: str | type[Method], out: Path, *, kind: Kind = "single", data: CellData | None = None, **recipe: Any
) -> Training:
    trial = toy_trial(method if isinstance(method, str) else specification(method), out, kind=kind, **recipe)
    return trainer.start(trial, data or toy_cell(kind), Weights("none"))


# --- how labels go wrong


class Told(Plain):
    needs: ClassVar[frozenset[str]] = frozenset({"single", "multi", "transition"})


class Reads(Told):
    def loss(self, batch: Batch) -> Step:
        assert self.task.transition is not None
        return super().loss(batch)


class ReadsUndeclared(Plain):
    def loss(self, batch: Batch) -> Step:
        assert self.task.transition is None
        return super().loss(batch)


@pytest.mark.parametrize(
    ("cls", "expected"), [(Plain, []), (Told, []), (Reads, ["transition"]), (ReadsUndeclared, ["transition"])]
)
def test_reading_the_transition_is_recorded(cls: type[Method], expected: list[str], tmp_path: Path) -> None:
    trial = toy_trial(specification(cls), tmp_path, kind="single")
    assert run_trial(trial, ToyContext(), ignore)["state"] == "done"
    assert read_json(trial.folder / "environment.json")["oracle_knowledge"] == expected


def test_the_transition_is_where_the_property_alone_finds_it(tmp_path: Path) -> None:
    task = start(Told, tmp_path).method.task
    assert not any(isinstance(value, Tensor) and value.ndim > 1 for value in vars(task).values())
    assert task.oracle_reads == set()
    assert task.transition is not None
    task.transition.zero_()  # of a copy
    assert task.oracle_reads == {"transition"}
    assert task.transition.sum() == 3


def test_the_transition_of_classes_is_counted_in_the_training_rows(tmp_path: Path) -> None:
    train = toy_cell("single").train
    found = start(Told, tmp_path).method.task.transition
    assert found is not None
    assert (found.dtype, found.device.type, found.shape) == (torch.float64, "cpu", (3, 3))
    for true in range(3):
        rows = [given for given, reference in zip(train.given, train.reference, strict=True) if reference == true]
        for said in range(3):
            assert float(found[true, said]) == pytest.approx(sum(given == said for given in rows) / len(rows))


def test_the_transition_of_action_units_is_that_of_rows_that_are_not_verified(tmp_path: Path) -> None:
    data = toy_cell("multi")
    reference = data.train.reference.copy()
    reference[::7, 0] = 0  # unknown
    reference[:, 2] = np.where(reference[:, 2] < 0, 0, reference[:, 2])  # no row without it
    found = start(
        Told, tmp_path, kind="multi", data=replace(data, train=replace(data.train, reference=reference))
    ).method.task.transition
    assert found is not None
    assert found.shape == (3, 2, 2)
    for unit in range(3):
        for true in (0, 1):
            given = [
                said
                for said, right, verified in zip(
                    data.train.given[:, unit], reference[:, unit], data.train.verified, strict=True
                )
                if right == 2 * true - 1 and said != 0 and not verified
            ]
            expected = sum(said > 0 for said in given) / len(given) if given else true
            assert found[unit, true].tolist() == pytest.approx([1 - expected, expected])
    assert found[2, 0].tolist() == [1.0, 0.0]
    assert 0.05 < float(found[0, 0, 1]) < 0.4


def test_without_references_there_is_no_transition(tmp_path: Path) -> None:
    data = toy_cell("single")
    data = replace(data, noise={**data.noise, "realised": None})
    assert start(Told, tmp_path, data=data).method.task.transition is None


# --- votes


def test_votes_are_handed_to_a_method_that_needs_them(tmp_path: Path) -> None:
    training, votes = start(WITH_VOTES, tmp_path), toy_cell("single").train.votes
    view = training.train_set.view(0)
    assert view.votes is not None
    assert view.votes.dtype == torch.int64
    assert view.votes.numpy().tolist() == votes.tolist()
    view.votes.zero_()  # of a copy
    for batch in [*training.train_set.batches(0, ("weak",)), *training.train_set.in_order(augmented=False, epoch=0)]:
        assert batch.votes is not None
        assert batch.votes.tolist() == votes[batch.index.numpy()].tolist()
        assert batch.votes.shape[1] == training.task.num_classes + 2


@pytest.mark.parametrize(("name", "kind"), [(NAME, "single"), (NAME, "multi"), ("supervised", "single")])
def test_no_other_method_sees_votes(name: str, kind: Kind, tmp_path: Path) -> None:
    training = start(name, tmp_path, kind=kind)
    assert training.train_set.view(0).votes is None
    assert next(training.train_set.batches(0, 1)).votes is None


# --- single annotators


class WithAnnotators(Plain):
    needs: ClassVar[frozenset[str]] = frozenset({"single", "annotators"})


def test_single_labels_are_handed_to_a_method_that_needs_them(tmp_path: Path) -> None:
    training, expected = start(WithAnnotators, tmp_path), toy_cell("single").train.annotators
    view = training.train_set.view(0)
    assert view.annotators is not None
    assert view.annotators.dtype == torch.int64
    assert view.annotators.numpy().tolist() == expected.tolist()
    view.annotators.zero_()  # of a copy
    for batch in [*training.train_set.batches(0, 1), *training.train_set.in_order(augmented=False, epoch=0)]:
        assert batch.annotators is not None
        assert batch.annotators.tolist() == expected[batch.index.numpy()].tolist()


def test_annotators_are_numbered_among_those_of_the_training_rows(tmp_path: Path) -> None:
    data = toy_cell("single")
    renamed = data.train.annotators.copy()
    renamed[..., 0] = np.where(renamed[..., 0] < 0, -1, 1_000 - 7 * renamed[..., 0])
    data = replace(data, train=replace(data.train, annotators=renamed))
    found = start(WithAnnotators, tmp_path, data=data).train_set.view(0).annotators
    expected = toy_cell("single").train.annotators
    assert found is not None
    assert found[..., 0].numpy().tolist() == np.where(expected[..., 0] < 0, -1, 7 - expected[..., 0]).tolist()
    assert found[..., 1].numpy().tolist() == expected[..., 1].tolist()


def test_who_learns_from_several_labels_says_so_in_its_record(tmp_path: Path) -> None:
    for cls, expected in ((WithAnnotators, ["votes"]), (Plain, [])):
        trial = toy_trial(specification(cls), tmp_path, kind="single")
        assert run_trial(trial, ToyContext(), ignore)["state"] == "done"
        assert read_json(trial.folder / "environment.json")["oracle_knowledge"] == expected
        assert ("annotators" in read_json(trial.folder / "identity.json")) == bool(expected)


@pytest.mark.parametrize(("name", "kind"), [(WITH_VOTES, "single"), (NAME, "multi"), ("supervised", "single")])
def test_no_other_method_sees_annotators(name: str, kind: Kind, tmp_path: Path) -> None:
    training = start(name, tmp_path, kind=kind)
    assert training.train_set.view(0).annotators is None
    assert next(training.train_set.batches(0, 1)).annotators is None


# --- parameters with a learning rate of their own


class Scaled(Plain):
    def parameter_groups(self) -> Sequence[ParameterGroup]:
        return (ParameterGroup((self.scale,), 0.02, 0.1),)


def group_of(training: Training, parameter: nn.Parameter) -> dict[str, Any]:
    (found,) = [
        group for group in training.optimizer.param_groups if any(each is parameter for each in group["params"])
    ]
    return found


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_group_has_its_rate_and_decay_and_the_recipes_schedule(optimizer: str, tmp_path: Path) -> None:
    recipe = {"optimizer": optimizer, "weight_decay": 0.3, "head_factor": 10.0, "schedule": "exponential", "decay": 0.5}
    training = start(Scaled, tmp_path, **recipe)
    method, plan = training.method, training.train_set.sampler.recipe
    counted = [parameter for group in training.optimizer.param_groups for parameter in group["params"]]
    assert {id(parameter) for parameter in counted} == {id(parameter) for parameter in method.parameters()}
    assert len(counted) == len(list(method.parameters()))
    assert isinstance(method, Scaled)
    mine, others = group_of(training, method.scale), group_of(training, method.network.head.weight)
    assert (mine["lr"], mine["weight_decay"]) == (pytest.approx(0.02), 0.1)
    assert (others["lr"], others["weight_decay"]) == (pytest.approx(0.03), 0.3)
    assert mine.get("momentum") == others.get("momentum")
    trainer.set_learning_rate(training.optimizer, plan, 2)
    assert (mine["lr"], others["lr"]) == (pytest.approx(0.02 / 4), pytest.approx(0.03 / 4))


def test_a_group_is_stepped_by_the_trainer(tmp_path: Path) -> None:
    """As plain SGD: p - rate (gradient + decay p)."""
    training = start(Scaled, tmp_path, optimizer="sgd", momentum=0.0)
    method = training.method
    assert isinstance(method, Scaled)
    batch = next(training.train_set.batches(0, 1))
    loss = method.loss(batch).loss
    assert loss is not None
    (gradient,) = torch.autograd.grad(loss, method.scale)
    expected = method.scale.detach() - 0.02 * (gradient + 0.1 * method.scale.detach())
    sums = trainer.Sums(training.train_set.device, 1)
    trainer.run_step(training, batch, sums)
    torch.testing.assert_close(method.scale.detach(), expected)


def test_parameters_of_an_encoder_may_be_in_a_group_and_no_group_changes_nothing(tmp_path: Path) -> None:
    class Whole(Plain):
        def parameter_groups(self) -> Sequence[ParameterGroup]:
            return (ParameterGroup(tuple(self.network.encoder.parameters()), 1e-4), ParameterGroup((), 1.0))

    training = start(Whole, tmp_path)
    assert [group["lr"] for group in training.optimizer.param_groups] == [pytest.approx(3e-3), pytest.approx(1e-4)]
    plain = start(Plain, tmp_path).optimizer
    assert [(group["factor"], len(group["params"])) for group in plain.param_groups][1:] == [(1.0, 3)]
    assert "weight_decay" in plain.param_groups[0]


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        (lambda method: [ParameterGroup((method.scale,), 0.1)] * 2, r"parameter_groups\(\) names scale twice"),
        (lambda method: [ParameterGroup((method.scale,) * 2, 0.1)], r"parameter_groups\(\) names scale twice"),
        (
            lambda method: [ParameterGroup((nn.Parameter(torch.ones(2, 5)),), 0.1)],
            r"parameter_groups\(\) names a parameter \[2, 5\] that is none of the method's",
        ),
    ],
    ids=["two groups", "twice in one", "another's"],
)
def test_a_wrong_group_is_told(groups: Any, told: str, tmp_path: Path) -> None:
    class Wrong(Plain):
        def parameter_groups(self) -> Sequence[ParameterGroup]:
            return groups(self)  # type: ignore[no-any-return]

    with pytest.raises(ValueError, match=told):
        start(Wrong, tmp_path)
    status = run_trial(toy_trial(specification(Wrong), tmp_path, kind="single"), ToyContext(), ignore)
    assert status["state"] == "failed"
    assert "parameter_groups()" in status["reason"]


# --- all of it together


@pytest.mark.parametrize(("name", "kind"), [(WITH_VOTES, "single"), (NAME, "multi")])
def test_what_a_record_says_of_a_method_that_uses_everything(name: str, kind: Kind, tmp_path: Path) -> None:
    trial = toy_trial(name, tmp_path, kind=kind)
    assert run_trial(trial, ToyContext(), ignore)["state"] == "done"
    environment = read_json(trial.folder / "environment.json")
    assert environment["views"] == 2
    assert environment["oracle_knowledge"] == (["transition", "votes"] if kind == "single" else ["transition"])
    assert find(name).load().views == ("weak", "strong")


def test_the_identity_of_a_trial_has_no_strong_view_unless_the_recipe_changes_it(tmp_path: Path) -> None:
    trial = toy_trial("supervised", tmp_path, kind="single")
    assert "strong" not in trial.identity["settings"]["recipe"]["augmentation"]
    strong = start(NAME, tmp_path).train_set.strong
    how = replace(trial.job.settings.recipe.augmentation, strong=replace(strong, slots=1))
    other = toy_trial("supervised", tmp_path, kind="single", augmentation=how)
    assert other.id != trial.id
    assert other.identity["settings"]["recipe"]["augmentation"]["strong"]["slots"] == 1


def test_training_on_a_strong_view_counts_its_passes(tmp_path: Path) -> None:
    training = start(NAME, tmp_path)
    training.counters.take()
    run_epochs(training, (0,))
    rows = training.train_set.sampler.steps * training.train_set.sampler.batch_size
    assert training.counters.take() == {"forwards": 2 * rows, "backwards": 2 * rows}
