"""Faces read as they are needed give the same bytes as faces that are held on the device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fernoise_bench.benchmark.networks.initial_weights import Weights
from fernoise_bench.benchmark.training import augmentation as augment
from fernoise_bench.benchmark.training import pixel_store as pixels
from fernoise_bench.benchmark.training import trainer
from fernoise_bench.benchmark.training.evaluator import predict_rows
from fernoise_bench.benchmark.training.pixel_store import PixelStore, make_store
from fernoise_bench.benchmark.training.runner import run_trial
from fernoise_bench.benchmark.trial import Trial
from fernoise_bench.methods.base import Kind, Method
from fernoise_bench.protocols.base import Augmentation
from fernoise_bench.protocols.files import read_jsonl
from fernoise_bench.protocols.images.image_pool import Images, in_memory, join, of_pool
from fernoise_bench.protocols.rows import CellData, Rows

from ...toy import ToyContext, ignore, toy_cell, toy_trial
from ...weekly import often

CPU = torch.device("cpu")
EVERYTHING = Augmentation(
    crop=20, resize=22, pad=1, flip=0.5, jitter=(0.4, 0.4, 0.4, 0.1), translate=0.1, scale=(1.0, 1.2), grayscale=0.3,
    erase=0.5,
)  # fmt: skip


class Constant(Method):
    """Predicts the same for every face."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    def predict(self, images: Tensor) -> Tensor:
        return torch.full((len(images), 3), 0.5)


def lazily(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pixels, "RESIDENT_ON_CPU", 0)


def noise(count: int, side: int = 24, channels: int = 3, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class Disk:
    """Faces that are read when they are asked for, as those of a pack are."""

    pixels: np.ndarray[Any, np.dtype[np.uint8]]

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return self.pixels[rows]


def on_disk(faces: np.ndarray[Any, np.dtype[np.uint8]]) -> Images:
    return of_pool(Disk(faces))


POOLS: dict[str, Images] = {
    "one pool": on_disk(noise(40)),
    "grey": on_disk(noise(40, channels=1)),
    "grey beside colour": join([on_disk(noise(20, channels=1)), on_disk(noise(20, seed=1))]),
    "reduced": join([of_pool(Disk(noise(20, side=48)), 24), on_disk(noise(20))]),
}


@pytest.mark.parametrize("name", POOLS)
def test_a_batch_is_augmented_alike(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with a face twice in it, and out of order."""
    index = torch.tensor([39, 3, 21, 3, 0, 19, 20, 20])
    draws = torch.from_numpy(np.random.default_rng(1).random((len(index), augment.DRAWS), dtype=np.float32))
    decided = augment.decide(draws, EVERYTHING, (24, 24))
    resident = make_store(POOLS[name], CPU)
    lazily(monkeypatch)
    lazy = make_store(POOLS[name], CPU)
    assert resident.resident is not None
    assert lazy.resident is None
    assert len(lazy) == len(resident) == 40
    assert lazy.size == resident.size == (24, 24)
    views = [
        (
            augment.training_view(*store.fetch(index), decided, EVERYTHING),
            augment.test_view(*store.fetch(index), EVERYTHING),
        )
        for store in (resident, lazy)
    ]
    if name == "grey beside colour":  # a batch of grey faces alone has one channel until it is augmented
        some = torch.tensor([1, 4])
        views.append((augment.training_view(*lazy.fetch(index[some]), decided[some], EVERYTHING), torch.empty(0)))
        assert torch.equal(views[2][0], views[0][0][[1, 4]])
    for one, other in zip(*views[:2], strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_reading_ahead_changes_nothing(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Steps come in their order, whether faces are held, read when wanted, or read a step ahead as for a GPU."""
    images = on_disk(noise(40))
    order = torch.from_numpy(np.random.default_rng(0).integers(0, 40, (steps, 8))).unbind()
    resident = make_store(images, CPU)
    lazily(monkeypatch)
    lazy = make_store(images, CPU)
    ways = [list(resident.fetch_each(order)), list(lazy.fetch_each(order)), list(lazy._read_ahead(order))]
    wanted = [images.read(index.numpy()) for index in order]
    for way in ways:
        found = [store[place].numpy() for store, place in way]
        np.testing.assert_equal(found, wanted)


def test_evaluation_reads_ahead_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are asked of `fetch_each`, which knows the next one, not of `fetch`, which reads when it is asked."""
    lazily(monkeypatch)
    store = make_store(on_disk(noise(600)), CPU)
    asked: list[list[int]] = []

    def heard(self: PixelStore, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        asked.append([len(index) for index in batches])
        return iter([self._read(index) for index in batches])

    monkeypatch.setattr(PixelStore, "fetch_each", heard)
    monkeypatch.setattr(PixelStore, "fetch", None)
    predict_rows(Constant(), store, EVERYTHING, 3, "multi")
    assert asked == [[256, 256, 88]]


@pytest.mark.parametrize(("reserved", "allocated", "fits"), [(0, 0, False), (900, 200, True), (900, 900, False)])
def test_memory_that_torch_keeps_for_later_counts_as_free(
    reserved: int, allocated: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second trial of a process finds the faces' room as the first did; MB, of which a split may take 0.4."""
    megabyte = 1_000_000
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (300 * megabyte, 1200 * megabyte))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: reserved * megabyte)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: allocated * megabyte)
    assert (pixels._room(torch.device("cuda")) >= 400 * megabyte) is fits


def test_what_cannot_be_read_ahead_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the thread that reads is raised where its step is wanted."""
    lazily(monkeypatch)
    store = make_store(on_disk(noise(4)), CPU)
    ahead = store._read_ahead((torch.tensor([0]), torch.tensor([99])))
    next(ahead)
    with pytest.raises(IndexError):
        next(ahead)


def test_a_split_that_fits_is_held_and_a_larger_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    images = on_disk(noise(10))
    size = noise(10).nbytes
    monkeypatch.setattr(pixels, "RESIDENT_ON_CPU", size)
    assert make_store(images, CPU).resident is not None
    monkeypatch.setattr(pixels, "RESIDENT_ON_CPU", size - 1)
    assert make_store(images, CPU).resident is None
    assert len(make_store(images[np.zeros(0, np.int64)], CPU)) == 0


def test_faces_in_memory_are_held_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their size; and nothing leads from a split's faces to those of another."""
    lazily(monkeypatch)
    faces = noise(10)
    store = make_store(in_memory(faces)[np.array([7, 2])], CPU)
    assert store.images is None
    assert store.resident is not None
    np.testing.assert_array_equal(store.resident.numpy(), faces[[7, 2]])


@pytest.mark.parametrize("chunk", [1, 7, 1024])
def test_a_split_is_brought_to_the_device_in_chunks(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "CHUNK", chunk)
    resident = make_store(POOLS["grey beside colour"], CPU).resident
    assert resident is not None
    np.testing.assert_array_equal(resident.numpy(), POOLS["grey beside colour"].read())


# --- trials


class Mixed(ToyContext):
    """The toy cell read from disk, with grey faces among coloured ones, in pools of their own, in every split."""

    def cell(self, trial: Trial) -> CellData:
        data = toy_cell(trial.job.protocol.kind)
        assert data.validation is not None
        return replace(data, train=mixed(data.train), validation=mixed(data.validation), test=mixed(data.test))


class OnDisk(ToyContext):
    """The toy cell, all its splits rows of one pool on disk."""

    def cell(self, trial: Trial) -> CellData:
        data = toy_cell(trial.job.protocol.kind)
        assert data.validation is not None
        everything = on_disk(np.concatenate([part.images.read() for part in (data.train, data.validation, data.test)]))
        bounds = np.cumsum([0, len(data.train), len(data.validation), len(data.test)])
        train, validation, test = (everything[np.arange(a, b)] for a, b in pairwise(bounds))
        return replace(
            data,
            train=replace(data.train, images=train),
            validation=replace(data.validation, images=validation),
            test=replace(data.test, images=test),
        )


def mixed(rows: Rows) -> Rows:
    half, faces = len(rows) // 2, rows.images.read()
    return replace(rows, images=join([on_disk(faces[:half, ..., :1]), on_disk(faces[half:])]))


@pytest.mark.parametrize(
    ("name", "kind", "context"),
    often(
        [
            ("cocuring", "single", OnDisk),
            ("recot", "multi", Mixed),
            ("scn", "single", OnDisk),
            ("cocuring", "single", Mixed),
            ("recot", "multi", OnDisk),
            ("scn", "single", Mixed),
        ],
        2,
    ),
)
def test_a_trial_leaves_the_same_bytes(
    name: str, kind: Kind, context: type[ToyContext], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for place in ("resident", "lazy"):
        trial = toy_trial(name, tmp_path / place, kind=kind, epochs=2, augmentation=EVERYTHING)
        assert run_trial(trial, context(), ignore)["state"] == "done"
        lines = [{**line, "seconds": 0} for line in read_jsonl(trial.folder / "epochs.jsonl")]
        found.append(((trial.folder / "predictions.npz").read_bytes(), lines))
        lazily(monkeypatch)
    assert found[0] == found[1]
    if context is OnDisk:
        held = toy_trial(name, tmp_path / "held", kind=kind, epochs=2, augmentation=EVERYTHING)
        run_trial(held, ToyContext(), ignore)
        assert (held.folder / "predictions.npz").read_bytes() == found[0][0]


def test_a_teachers_look_at_every_row_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = toy_trial("supervised", tmp_path, kind="multi")
    training = trainer.start(trial, toy_cell("multi"), Weights("none"))
    training.method.eval()
    held = predict_rows(training.method, training.train_set.pixels, EVERYTHING, 3, "multi")
    lazily(monkeypatch)
    store = make_store(on_disk(toy_cell("multi").train.images.read()), CPU)
    read = predict_rows(training.method, store, EVERYTHING, 3, "multi")
    np.testing.assert_array_equal(held, read)
