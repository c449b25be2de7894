"""The checks of the conformance suite. Each trains a method on toy faces and raises NotConforming for what it breaks.

They take the method's name as `run --method` does, the kind of labels it learns from, and an empty folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from ...methods.base import view_kinds
from ...protocols.base import Kind
from ...protocols.rows import Array, CellData, Rows
from ...results.metrics import accuracy, f1_per_label
from .. import registry
from ..isolation.openings import Opening, opened
from ..isolation.process_state import CHILDREN, GENERATORS, THREADS, ProcessState
from ..method_source import source_files
from ..networks.encoders import CountedEncoder
from ..training.evaluator import Best
from ..training.runner import run_trial
from ..training.state import Training
from .afresh import resumed_afresh
from .reach import reachable
from .toy import ToyContext, digest, ignore, run_epochs, start, toy_cell, toy_trial

# A whole training on few rows: what a method does after its warm-up counts too.
FEW, WHOLE = 32, 8
ENOUGH = 0.8  # accuracy or mean F1, of faces that a small network tells apart without fail
_AT = re.compile(r"(.*?)(?: \((\w+\.py:\d+)\))?", re.DOTALL)  # a reason, and the place at its end
# Part of their loss compares peers, or two views of a row.
COMPARES = frozenset({"deep_co_training", "fixmatch_multi", "mean_teacher", "mlcr", "recot"})


class NotConforming(Exception):
    """What a method does that no method may do; `place` is the line of its file, where it is known."""

    def __init__(self, reason: str, place: str = "") -> None:
        super().__init__(reason)
        self.place = place


class LeftOut(Exception):
    """Why a check does not apply to a method."""


def learns_a_separable_set(name: str, kind: Kind, folder: Path) -> None:
    """Far better than chance after a few epochs, wrong labels notwithstanding."""
    data = toy_cell(kind, size=512)
    training = start(name, kind, folder, data=data, epochs=6)
    run_epochs(training, range(6))
    training.evaluator.epoch(training.method, 5)
    predicted, truth = training.evaluator.predictions()["last"], data.test.reference
    score = accuracy(predicted, truth) if kind == "single" else float(f1_per_label(predicted, truth).mean())
    if not score > ENOUGH:
        what = "an accuracy" if kind == "single" else "a mean F1"
        raise NotConforming(f"reaches {what} of {score:.2f} where others reach more than {ENOUGH}: check its loss")


def repeats_itself(name: str, kind: Kind, folder: Path) -> None:
    """Same seed, same state; other seed, other state."""
    states = []
    for seed in (0, 0, 1):
        training = start(name, kind, folder, seed=seed)
        if not any(isinstance(module, CountedEncoder) for module in training.method.modules()):
            raise NotConforming("has no encoder of the protocol's: build networks with make_encoder, as others do")
        run_epochs(training, range(2))
        states.append(digest(training.method))
    if states[0] != states[1]:
        raise NotConforming("trains otherwise with the same seed: draw from batch.generator, and depend on no clock")
    if states[1] == states[2]:
        raise NotConforming("trains the same with another seed: start from the weights that make_encoder gives")


def draws_from_its_generator(name: str, kind: Kind, folder: Path) -> None:
    """The global generators stay as they were."""
    training = start(name, kind, folder)
    before, of_torch = ProcessState.now(frozenset({CHILDREN, THREADS})), torch.get_rng_state()
    run_epochs(training, range(2))
    drawn = [] if torch.equal(of_torch, torch.get_rng_state()) else ["torch's global generator"]
    for generator in [*drawn, *(name for name in before.changes() if name in GENERATORS)]:
        raise NotConforming(f"draws from {generator}: draw from batch.generator")


def keeps_its_state_in_buffers(name: str, kind: Kind, folder: Path) -> None:
    """Construct, prepare, load state, go on in another process: the same as never having stopped."""
    whole = start(name, kind, folder)
    run_epochs(whole, (0, 1))
    resumed = resumed_afresh(whole, name, kind, folder, (2, 3))
    run_epochs(whole, (2, 3))
    if digest(whole.method) != resumed:
        raise NotConforming(
            "keeps state outside parameters and buffers: a resumed trial is another than one never stopped"
        )


def predicts_probabilities(name: str, kind: Kind, folder: Path) -> None:
    """Of single images as of batches."""
    training = start(name, kind, folder)
    run_epochs(training, range(1))
    training.method.eval()
    images = torch.rand(5, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        together = training.method.predict(images)
        alone = torch.cat([training.method.predict(image[None]) for image in images])
    if together.shape != (5, 3):
        raise NotConforming(f"predicts an array {list(together.shape)} for 5 images of 3 classes, not [5, 3]")
    if not (together.min() >= 0 and together.max() <= 1):
        raise NotConforming("predicts numbers outside [0, 1]: return probabilities, not logits")
    if not torch.allclose(together, alone, atol=1e-5):
        raise NotConforming("predicts otherwise for an image alone than in a batch")
    if kind == "single" and not torch.allclose(together.sum(dim=1), torch.ones(5), atol=1e-5):
        raise NotConforming("predicts probabilities that do not sum to 1 over the classes: use softmax")


def says_what_it_trained_on(name: str, kind: Kind, folder: Path) -> None:
    """The parts of a Step have the agreed shapes."""
    training = start(name, kind, folder)
    training.method.train()
    batch = next(training.train_set.batches(0, training.method.views))
    step = training.method.loss(batch)
    for part, tensor in (("weight", step.weight), ("target", step.target)):
        if tensor is not None and tensor.requires_grad:
            raise NotConforming(f"returns a {part} with gradient: detach it")
        if tensor is not None and (tensor.ndim < 2 or tensor.shape[1] != len(batch.index)):
            raise NotConforming(
                f"returns a {part} {list(tensor.shape)} for a batch of {len(batch.index)}: the first axis is networks, "
                "the second samples"
            )
    if step.loss is not None and step.loss.shape != ():
        raise NotConforming(f"returns a loss {list(step.loss.shape)}: reduce it to a scalar")
    if step.loss is not None and not torch.isfinite(step.loss):
        raise NotConforming(f"returns a loss that is not finite ({step.loss.item()})")


def trains_without_labels_of_an_au(name: str, kind: Kind, folder: Path) -> None:
    """An AU without any known label makes no trouble."""
    data = toy_cell(kind)
    given = data.train.given.copy()
    given[:, 1] = 0
    training = start(name, kind, folder, data=dataclasses.replace(data, train=data.train.with_given(given)))
    losses = run_epochs(training, range(2))
    if not all(loss is not None and np.isfinite(loss) for loss in losses):
        raise NotConforming(f"has the loss {losses[-1]} where an AU has no known label: leave unknown labels out")


def learns_nothing_from_unknown_labels(name: str, kind: Kind, folder: Path) -> None:
    """No update, or no gradient; a method that compares views or peers may learn from that alone."""
    training = start(name, kind, folder)
    if name in COMPARES or (not registry.find(name).is_own and _may_compare(training)):
        raise LeftOut("compares two views of a row or two networks, which needs no label")
    batch = next(training.train_set.batches(0, training.method.views))
    step = training.method.loss(dataclasses.replace(batch, labels=torch.zeros_like(batch.labels)))
    if step.loss is not None:
        step.loss.backward()  # type: ignore[no-untyped-call]
        if any(p.grad.any() for p in training.method.parameters() if p.grad is not None):
            raise NotConforming("learns from a batch whose labels are all unknown (0): give them no weight")


def _may_compare(training: Training) -> bool:
    networks = sum(isinstance(module, CountedEncoder) for module in training.method.modules())
    return len(view_kinds(training.method.views)) > 1 or networks > 1


def reaches_no_reference(name: str, kind: Kind, folder: Path) -> None:
    """Walks every object a method can reach from what it was handed."""
    data = toy_cell(kind)
    training = start(name, kind, folder, data=data)
    training.method.begin_epoch(0, training.train_set.view(0))
    told = training.evaluator, training.auditor, training.transition_audit
    parts = (data, data.test, data.train, data.train.reference, *told)
    forbidden = set(map(id, parts))
    for item in [*reachable(training.method), *reachable(training.train_set.view(0))]:
        if id(item) in forbidden or isinstance(item, (CellData, Rows)):
            raise NotConforming(f"reaches reference labels or test rows, a {type(item).__name__}")


def learns_from_what_it_is_handed(name: str, kind: Kind, folder: Path) -> None:
    """With other reference labels and other test rows, the very same training, and the same said of the same faces."""

    def trained(data: CellData) -> tuple[str, list[bytes]]:
        training, said = start(name, kind, folder, data=data, epochs=WHOLE), []
        for epoch in range(WHOLE):
            run_epochs(training, (epoch,))
            said.append(_said_of_the_same_faces(training, data, epoch))
        if "transition" in training.task.oracle_reads - registry.find(name).needs:
            raise NotConforming("reads task.transition, which it is not told: name 'transition' among its needs")
        return digest(training.method), said

    state, said = trained(toy_cell(kind, FEW))
    gc.collect()  # the first cell's rows must not be there to be found
    other_state, other_said = trained(_other_references(toy_cell(kind, FEW)))
    if state != other_state:
        raise NotConforming("has found reference labels or test rows: it trains otherwise without them")
    if said != other_said:
        raise NotConforming("has found test labels: it predicts otherwise without them")


def _other_references(data: CellData) -> CellData:
    """The same training faces and given labels; other references, other test and validation rows.

    References change places among rows of the same given label, so that labels go wrong as often in the same way: a
    method may be told that.
    """
    train = dataclasses.replace(data.train, reference=_exchanged(data.train))
    other = toy_cell("single" if data.train.given.ndim == 1 else "multi", len(data.train), seed=1)
    return dataclasses.replace(data, train=train, validation=other.validation, test=other.test)


def _exchanged(train: Rows) -> Array:
    """The reference labels, moved on by one among rows that have the same given label and are as much doubted."""
    reference = train.reference.reshape(len(train), -1).copy()
    for column, given in zip(reference.T, train.given.reshape(len(train), -1).T, strict=True):
        for verified in (False, True):
            for label in np.unique(given):
                rows = np.flatnonzero((given == label) & (train.verified == verified))
                column[rows] = np.roll(column[rows], 1)
    return reference.reshape(train.reference.shape)


def _said_of_the_same_faces(training: Training, data: CellData, epoch: int) -> bytes:
    """Predictions on the faces every toy cell has, as if they were the test faces of `data`, whatever those are."""
    faces = toy_cell(training.method.task.kind, FEW).test.images
    shown = dataclasses.replace(data, test=dataclasses.replace(data.test, images=faces))
    evaluator = dataclasses.replace(training.evaluator, data=shown, best=Best())
    evaluator.epoch(training.method, epoch)
    return evaluator.predictions()["last"].tobytes()


def opens_nothing(name: str, kind: Kind, folder: Path) -> None:
    """No file, folder, connection or process: a method has what it is handed, and keeps what it learns in buffers."""
    with _something_to_find(folder):
        assert toy_trial(name, folder, kind=kind).identity  # what the harness remembers of the method is read before
        with opened() as seen:
            try:
                training = start(name, kind, folder, data=toy_cell(kind, FEW), epochs=WHOLE)
                for epoch in range(WHOLE):
                    run_epochs(training, (epoch,))
                    training.evaluator.epoch(training.method, epoch)
            except Exception:
                if not seen:
                    raise
    if seen:
        found = ", ".join(dict.fromkeys(opening.what for opening in seen[:3]))
        raise NotConforming(f"opens what it was not handed: {found}", _line_of(seen[0], name))


@contextlib.contextmanager
def _something_to_find(folder: Path) -> Iterator[None]:
    """Works in a folder where files of a data set and of results lie in their usual places."""
    data, trial = folder / "data" / "ferplus", folder / "fernoise-runs" / "ferplus-sym@1" / "supervised" / "0"
    for file in (data / "fer2013.csv", data / "fer2013new.csv", trial / "predictions.npz"):
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    before = os.environ.get("FERNOISE_DATA")
    os.environ["FERNOISE_DATA"] = str(folder / "data")
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        os.environ.pop("FERNOISE_DATA")
        if before is not None:
            os.environ["FERNOISE_DATA"] = before


def _line_of(opening: Opening, name: str) -> str:
    """The line of the method's files that opened something, as in mine.py:14; "" where no line of them did."""
    own = {str(path) for path in source_files(registry.find(name).target)}
    return next((f"{Path(file).name}:{line}" for file, line in opening.calls if file in own), "")


def runs_to_its_end(name: str, kind: Kind, folder: Path) -> None:
    """As a trial, which also fails for what it changes of what trials share in their process."""
    status = run_trial(toy_trial(name, folder, kind=kind, epochs=2), ToyContext(), ignore)
    if status["state"] != "done":
        reason, place = _AT.fullmatch(status["reason"]).groups("")  # type: ignore[union-attr]
        raise NotConforming(reason, place)


def names_its_sources(name: str, kind: Kind, folder: Path) -> None:
    """Every hyper-parameter says where its value comes from."""
    for field in dataclasses.fields(registry.find(name).params):
        if not field.metadata.get("source"):
            raise NotConforming(f"{field.name} has no source: write sourced(value, 'where it comes from')")
