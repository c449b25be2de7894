"""What every registered method and variant must do, whatever its idea.

A method file of your own: FERNOISE_METHOD=path/to/file.py:Class pytest tests/test_conformance.py
"""

from __future__ import annotations

import dataclasses
import gc
import os
import random
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, MethodType

import numpy as np
import pytest
import torch

from fernoise_bench.benchmark import registry
from fernoise_bench.benchmark.training.evaluator import Best
from fernoise_bench.benchmark.training.runner import run_trial
from fernoise_bench.benchmark.training.state import Training
from fernoise_bench.methods.base import Step
from fernoise_bench.protocols.base import Kind
from fernoise_bench.protocols.rows import CellData, Rows
from fernoise_bench.results.metrics import accuracy, f1_per_label

from .afresh import resumed_afresh
from .protocols.miniatures.ferplus import write_tables
from .results.fabricate import Trial, fabricate
from .toy import ToyContext, digest, ignore, run_epochs, start, toy_cell, toy_trial
from .watch import opened

OWN = os.environ.get("FERNOISE_METHOD", "")
OWN = OWN and str(Path.cwd() / OWN)  # some tests go elsewhere
METHODS = [registry.find(OWN)] if OWN else list(registry.all_base())


def _cases() -> Iterator[tuple[str, Kind]]:
    """Every base name, or the method file that is asked for, on every kind of labels it can learn from."""
    for spec in METHODS:
        for kind in sorted(spec.needs & {"single", "multi"}):
            yield OWN or spec.name, kind  # type: ignore[misc]


def _variants() -> Iterator[tuple[str, Kind]]:
    for spec in METHODS:
        for kind in sorted(spec.needs & {"single", "multi"}):
            for name in spec.load().variants:
                full = registry.find(f"{OWN or spec.name}:{name}")
                if not (kind == "single" and "verified" in full.needs):
                    yield f"{OWN or spec.name}:{name}", kind  # type: ignore[misc]


CASES = list(_cases())
VARIANTS = list(_variants())
every_method = pytest.mark.parametrize(("name", "kind"), CASES, ids=lambda value: str(value))


@every_method
def test_learns_a_separable_toy_set(name: str, kind: Kind, tmp_path: Path) -> None:
    """Far better than chance after a few epochs, wrong labels notwithstanding."""
    data = toy_cell(kind, size=512)
    training = start(name, kind, tmp_path, data=data, epochs=6)
    run_epochs(training, range(6))
    training.evaluator.epoch(training.method, 5)
    predicted = training.evaluator.predictions()["last"]
    if kind == "single":
        assert accuracy(predicted, data.test.reference) > 0.8
    else:
        assert f1_per_label(predicted, data.test.reference).mean() > 0.8


@every_method
def test_same_seed_same_state_other_seed_other_state(name: str, kind: Kind, tmp_path: Path) -> None:
    states = []
    for seed in (0, 0, 1):
        training = start(name, kind, tmp_path, seed=seed)
        run_epochs(training, range(2))
        states.append(digest(training.method))
    assert states[0] == states[1] != states[2]


@every_method
def test_does_not_draw_from_the_global_generator(name: str, kind: Kind, tmp_path: Path) -> None:
    training = start(name, kind, tmp_path)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    numpy_before = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is what is watched
    python_before = random.getstate()
    run_epochs(training, range(2))
    remedy = "draw from Batch.generator"
    assert torch.equal(before, torch.get_rng_state()), f"{name} draws from torch's global generator: {remedy}"
    alike = np.array_equal(numpy_before, np.random.get_state()[1])  # noqa: NPY002
    assert alike, f"{name} draws from NumPy's global generator: {remedy}"
    assert python_before == random.getstate(), f"{name} draws from Python's global generator: {remedy}"


@every_method
def test_all_state_is_parameters_and_buffers(name: str, kind: Kind, tmp_path: Path) -> None:
    """Construct, prepare, load state, go on in another process: the same as never having stopped."""
    whole = start(name, kind, tmp_path)
    run_epochs(whole, (0, 1))
    resumed = resumed_afresh(whole, name, kind, tmp_path, (2, 3))
    run_epochs(whole, (2, 3))
    same = digest(whole.method) == resumed
    assert same, f"{name} keeps state outside parameters and buffers: a resumed trial is another than one never stopped"


@every_method
def test_predicts_probabilities_of_single_images_as_of_batches(name: str, kind: Kind, tmp_path: Path) -> None:
    training = start(name, kind, tmp_path)
    run_epochs(training, range(1))
    training.method.eval()
    images = torch.rand(5, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        together = training.method.predict(images)
        alone = torch.cat([training.method.predict(image[None]) for image in images])
    assert together.shape == (5, 3)
    assert together.min() >= 0
    assert together.max() <= 1
    assert torch.allclose(together, alone, atol=1e-5)
    if kind == "single":
        assert torch.allclose(together.sum(dim=1), torch.ones(5), atol=1e-5)


@every_method
def test_says_what_it_trained_on_in_the_agreed_shapes(name: str, kind: Kind, tmp_path: Path) -> None:
    training = start(name, kind, tmp_path)
    training.method.train()
    for batch in training.train_set.batches(0, training.method.views):
        step: Step = training.method.loss(batch)
        size = len(batch.index)
        for tensor in (step.weight, step.target):
            if tensor is not None:
                assert not tensor.requires_grad
                assert tensor.shape[1] == size
        if step.loss is not None:
            assert step.loss.shape == ()
            assert torch.isfinite(step.loss)
        break


every_au_method = pytest.mark.parametrize("name", [name for name, kind in CASES if kind == "multi"])


@every_au_method
def test_an_au_without_a_known_label_trains_without_trouble(name: str, tmp_path: Path) -> None:
    data = toy_cell("multi")
    given = data.train.given.copy()
    given[:, 1] = 0
    training = start(name, "multi", tmp_path, data=dataclasses.replace(data, train=data.train.with_given(given)))
    losses = run_epochs(training, range(2))
    assert all(loss is not None and np.isfinite(loss) for loss in losses)


# Their peers get the same view of a row, and part of their loss compares the peers.
COMPARES = frozenset({"deep_co_training", "mean_teacher", "mlcr", "recot"})


@every_au_method
def test_a_batch_of_unknown_labels_teaches_nothing(name: str, tmp_path: Path) -> None:
    """No update, or no gradient; a method that compares views or peers may learn from that alone."""
    training = start(name, "multi", tmp_path)
    if name in COMPARES:
        pytest.skip("compares two views of a row or two networks, which needs no label")
    batch = next(training.train_set.batches(0, training.method.views))
    step = training.method.loss(dataclasses.replace(batch, labels=torch.zeros_like(batch.labels)))
    if step.loss is not None:
        step.loss.backward()  # type: ignore[no-untyped-call]
        assert all(not p.grad.any() for p in training.method.parameters() if p.grad is not None)


@every_method
def test_no_reference_label_or_test_row_can_be_reached(name: str, kind: Kind, tmp_path: Path) -> None:
    """Walks every object a method can reach from what it was handed."""
    data = toy_cell(kind)
    training = start(name, kind, tmp_path, data=data)
    training.method.begin_epoch(0, training.train_set.view(0))
    forbidden = {
        id(data),
        id(data.test),
        id(data.train),
        id(data.train.reference),
        id(training.evaluator),
        id(training.auditor),
    }
    reached = _reachable(training.method)
    reached += _reachable(training.train_set.view(0))
    assert not [item for item in reached if id(item) in forbidden]
    assert not [item for item in reached if isinstance(item, (CellData, Rows))]


# A whole training on few rows: what a method does after its warm-up counts too.
FEW, WHOLE = 32, 8


def _other_references(data: CellData) -> CellData:
    """The same training faces and given labels; other references, other test and validation rows."""
    train = dataclasses.replace(data.train, reference=np.roll(data.train.reference, 1, axis=0))
    other = toy_cell("single" if data.train.given.ndim == 1 else "multi", len(data.train), seed=1)
    return dataclasses.replace(data, train=train, validation=other.validation, test=other.test)


def _said_of_the_same_faces(training: Training, data: CellData, epoch: int) -> bytes:
    """Predictions on the faces every toy cell has, as if they were the test faces of `data`, whatever those are."""
    faces = toy_cell(training.method.task.kind, FEW).test.images
    shown = dataclasses.replace(data, test=dataclasses.replace(data.test, images=faces))
    evaluator = dataclasses.replace(training.evaluator, data=shown, best=Best())
    evaluator.epoch(training.method, epoch)
    return evaluator.predictions()["last"].tobytes()


@every_method
def test_learns_from_what_it_is_handed_alone(name: str, kind: Kind, tmp_path: Path) -> None:
    """With other reference labels and other test rows, the very same training, and the same said of the same faces."""

    def trained(data: CellData) -> tuple[str, list[bytes]]:
        training, said = start(name, kind, tmp_path, data=data, epochs=WHOLE), []
        for epoch in range(WHOLE):
            run_epochs(training, (epoch,))
            said.append(_said_of_the_same_faces(training, data, epoch))
        return digest(training.method), said

    state, said = trained(toy_cell(kind, FEW))
    gc.collect()  # the first cell's rows must not be there to be found
    other_state, other_said = trained(_other_references(toy_cell(kind, FEW)))
    assert state == other_state, f"{name} has found reference labels or test rows: it trains otherwise without them"
    assert said == other_said, f"{name} has found test labels: it predicts otherwise without them"


@every_method
def test_opens_nothing_while_it_trains(name: str, kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file, folder, connection or process: a method has what it is handed, and keeps what it learns in buffers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FERNOISE_DATA", str(tmp_path / "data"))
    write_tables(tmp_path / "data" / "ferplus")
    fabricate(tmp_path / "fernoise-runs", Trial())
    assert toy_trial(name, tmp_path, kind=kind).identity  # what the harness remembers of the method is read before
    with opened() as seen:
        training = start(name, kind, tmp_path, data=toy_cell(kind, FEW), epochs=WHOLE)
        for epoch in range(WHOLE):
            run_epochs(training, (epoch,))
            training.evaluator.epoch(training.method, epoch)
    assert not seen, f"{name} opens what it was not handed: {', '.join(seen[:3])}"


REACH_LIMIT = 200_000


def _reachable(root: object) -> list[object]:
    """Everything reachable by references from an object: modules, classes and functions' globals left out."""
    seen: dict[int, object] = {}
    queue: list[object] = [root]
    while queue:
        assert len(seen) < REACH_LIMIT, "too much to walk through: raise the limit"
        item = queue.pop()
        if id(item) in seen or isinstance(item, (type, type(torch))):
            continue
        seen[id(item)] = item
        if isinstance(item, FunctionType):  # a function's globals are its module's
            queue += [cell.cell_contents for cell in item.__closure__ or ()]
            queue += [*(item.__defaults__ or ()), *(item.__kwdefaults__ or {}).values()]
        elif isinstance(item, MethodType):
            queue += [item.__self__, item.__func__]
        else:
            queue += gc.get_referents(item)
    return list(seen.values())


@pytest.mark.parametrize(("name", "kind"), VARIANTS, ids=lambda value: str(value))
def test_every_variant_runs_to_its_end(name: str, kind: Kind, tmp_path: Path) -> None:
    trial = toy_trial(name, tmp_path, kind=kind, epochs=2)
    status = run_trial(trial, ToyContext(), ignore)
    assert status["state"] == "done", status["reason"]


@every_method
def test_every_hyper_parameter_has_a_source(name: str, kind: Kind) -> None:
    spec = registry.find(name)
    for field in dataclasses.fields(spec.params):
        assert field.metadata.get("source"), f"{name}: {field.name} has no source"
