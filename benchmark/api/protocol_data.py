"""The faces of a protocol with their given and reference labels, for scripts and PyTorch's DataLoader."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...protocols.base import Augmentation, Protocol
from ...protocols.catalog import find
from ...protocols.errors import BadInput, unknown
from ...protocols.loading import Data, open_data
from ...protocols.rows import Rows, Source
from .training import data_folder

if TYPE_CHECKING:
    from torch import Tensor

    from ..training.pixel_store import PixelStore

SOURCES: tuple[Source, ...] = ("real", "generated")


@dataclass(frozen=True, eq=False)
class Faces:
    """Training, validation or test faces; a map-style data set for `torch.utils.data.DataLoader`.

    `faces[i]` is (image, label): the image as an encoder is fed it at test time, a tensor float32 [3, S, S] in [0, 1],
    resized and cropped as the recipe says and not augmented; and the given label, an int, or int64 [L] for AUs.

    Attributes:
        rows: the faces with everything that is known of them.
        names: the classes or AUs, in column order.
        augmentation: of the recipe, which has the sizes.
    """

    rows: Rows = field(repr=False)
    names: tuple[str, ...]
    augmentation: Augmentation = field(repr=False)

    @cached_property
    def images(self) -> NDArray[np.uint8]:
        """All images as stored, uint8 [N, H, W, C], C 1 (grey) or 3. Of large data sets take `rows.images.read(…)`."""
        return self.rows.images.read()

    @property
    def given(self) -> NDArray[Any]:
        """The labels that a method sees: int64 [N], or int8 [N, L] in {-1, 0, +1}, 0 unknown."""
        return self.rows.given

    @property
    def reference(self) -> NDArray[Any]:
        """The labels used for evaluation, which no method sees: as `given`; -1, or 0 for AUs, where there is none."""
        return self.rows.reference

    @property
    def sample_ids(self) -> NDArray[np.int64]:
        """A permanent identifier of each face, int64 [N]; in predictions.npz it is `sample_id`."""
        return self.rows.sample_id

    @property
    def groups(self) -> NDArray[Any]:
        """The subject of each face, [N]; a value of its own where subjects are not known."""
        return self.rows.group

    @property
    def verified(self) -> NDArray[np.bool_]:
        """Which faces are declared clean, bool [N]."""
        return self.rows.verified

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[Tensor, Any]]:
        return (self[place] for place in range(len(self)))

    def __getitem__(self, place: int) -> tuple[Tensor, Any]:
        (item,) = self.__getitems__([place])
        return item

    def __getitems__(self, places: Sequence[int]) -> list[tuple[Tensor, Any]]:
        """Several faces at once, as a DataLoader asks for a batch.

        Raises:
            IndexError: a place outside.
        """
        import torch

        from ..training.augmentation import test_view

        wanted = np.arange(len(self))[np.asarray(places, np.int64)]
        images = test_view(*self._store.fetch(torch.from_numpy(wanted)), self.augmentation)
        given = self.rows.given[wanted]
        labels = given.tolist() if given.ndim == 1 else torch.from_numpy(given.astype(np.int64))
        return list(zip(images, labels, strict=True))

    @cached_property
    def _store(self) -> PixelStore:
        import torch

        from ..training.pixel_store import make_store

        return make_store(self.rows.images, torch.device("cpu"))


@dataclass(frozen=True, eq=False)
class OpenProtocol:
    """A protocol's faces in one fold, noise level and draw.

    Attributes:
        name, version, profile, source: what was opened.
        fold, noise, seed: of these faces; None where the protocol has no folds or levels.
        kind: "single" (one label a face) or "multi" (AUs).
        names: the classes or AUs, in column order.
        metric: "accuracy" or "f1".
        noise_rate: realised share of wrong training labels; None where it is not known.
        train, test: the faces.
        validation: None where the protocol has none.
    """

    name: str
    version: int
    profile: str
    source: Source
    fold: str | None
    noise: float | None
    seed: int
    kind: str
    names: tuple[str, ...]
    metric: str
    noise_rate: float | None
    train: Faces = field(repr=False)
    validation: Faces | None = field(repr=False)
    test: Faces = field(repr=False)


def open_protocol(
    name_or_file: str | os.PathLike[str],
    profile: str | None = None,
    source: str = "real",
    data_root: str | os.PathLike[str] | None = None,
    *,
    fold: str | int | None = None,
    noise: float | None = None,
    seed: int = 0,
    partial: bool = False,
) -> OpenProtocol:
    """Reads or generates the faces of a protocol, as a trial of the same fold, noise level and seed sees them.

    Faces that a teacher labels during a run (the noisy set of `bp4d-3fold` and its like) have no given label here.

    Args:
        name_or_file: the protocol's name.
        profile: "paper", "transfer", "small" or "smoke"; None: paper, or small on generated faces.
        source: "real" or "generated".
        data_root: folder of the data sets; None: the environment variable FERNOISE_DATA, or ./data.
        fold: the part to test on, by name or number; None: the first.
        noise: level; None: the highest.
        seed: of the draw of the noise.
        partial: accept data that differ from the published set.

    Raises:
        BadInput: an unknown name, profile, source, fold or level, or the data are missing or damaged.
    """
    protocol = find_protocol(name_or_file)
    if source not in SOURCES:
        raise unknown("source of faces", source, SOURCES)
    real: Source = "real" if source == "real" else "generated"
    size = profile or ("paper" if real == "real" else "small")
    protocol.profile(size)  # refuses one that there is not
    part = protocol.choose_folds(() if fold is None else (str(fold),))[0]
    level = protocol.choose_levels(() if noise is None else (noise,))[-1]
    if not isinstance(seed, int) or seed < 0:
        raise BadInput(f"seed {seed}: seeds are 0 and more")
    data = open_data(protocol, size, real, data_folder(data_root), partial=partial)
    return _opened(data, part, level, seed)


def _opened(data: Data, fold: str | None, level: float | None, seed: int) -> OpenProtocol:
    protocol, cell = data.protocol, data.cell(fold, level, seed)
    augmentation = protocol.profile(data.profile).recipe.augmentation

    def faces(rows: Rows) -> Faces:
        return Faces(rows, protocol.names, augmentation)

    return OpenProtocol(
        name=protocol.name,
        version=protocol.version,
        profile=data.profile,
        source=data.source,
        fold=fold,
        noise=level,
        seed=seed,
        kind=protocol.kind,
        names=protocol.names,
        metric=protocol.metric,
        noise_rate=cell.noise["realised"],
        train=faces(cell.train),
        validation=None if cell.validation is None else faces(cell.validation),
        test=faces(cell.test),
    )


def find_protocol(name_or_file: str | os.PathLike[str]) -> Protocol:
    """The protocol of a name, or of a TOML file that defines one for data of one's own.

    Raises:
        BadInput: an unknown name, or a file that is missing or not such a definition.
    """
    return find(os.fspath(name_or_file))
