"""The images of a split during training: whole in the device's memory, or read from disk for each step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...protocols.images.image_pool import CHUNK, Images, Memory, in_memory

RESIDENT_ON_CPU = 1 << 28  # bytes; larger splits are read from disk as needed, to bound the memory
SHARE_OF_DEVICE = 0.4  # of a CUDA device's free memory that a split may take


@dataclass(frozen=True)
class PixelStore:
    """The images of a split as uint8, all on the device or fetched for each batch.

    Attributes:
        count: number of images.
        device: of the batches.
        resident: uint8 [N, H, W, C] on the device, or None.
        images: where they are read from; None where they are resident, so that no reference to other splits' images
            is left.
    """

    count: int
    device: torch.device
    resident: Tensor | None
    images: Images | None

    def __len__(self) -> int:
        return self.count

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        if self.resident is not None:
            return self.resident.shape[1], self.resident.shape[2]
        assert self.images is not None
        return self.images.shape[1:3]

    def fetch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The images of some rows.

        Args:
            index: int64 [B], rows of the split, on the device.

        Returns:
            (images uint8 [M, H, W, C], the position of each row among them int64 [B]), both on the device.
        """
        if self.resident is not None:
            return self.resident, index
        return self._to_device(self._read(index.cpu()))

    def fetch_each(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """`fetch` for each batch; for a GPU, images from disk are read one batch ahead, while it computes.

        Args:
            batches: int64 [B] each, rows of the split, on the CPU.
        """
        if self.resident is not None:
            if batches:  # one copy to the device, not one a batch
                placed = torch.split(torch.cat(tuple(batches)).to(self.device), [len(index) for index in batches])
                yield from ((self.resident, index) for index in placed)
        elif self.device.type == "cuda":
            yield from map(self._to_device, self._read_ahead(batches))
        else:
            yield from map(self.fetch, batches)

    def _read_ahead(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """`_read` for each batch, in order; the next one is read in another thread."""
        with ThreadPoolExecutor(1) as reader:
            pending = [reader.submit(self._read, index) for index in batches[:1]]
            for index in batches[1:]:
                found = pending.pop().result()
                pending.append(reader.submit(self._read, index))
                yield found
            yield from (last.result() for last in pending)

    def _read(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """`fetch` to the CPU, each image once, in pinned memory for a GPU."""
        assert self.images is not None
        distinct, position = torch.unique(index, return_inverse=True)
        pixels = torch.from_numpy(self.images.read(distinct.numpy()))
        return (pixels.pin_memory(), position.pin_memory()) if self.device.type == "cuda" else (pixels, position)

    def _to_device(self, found: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        pixels, position = found
        return pixels.to(self.device, non_blocking=True), position.to(self.device, non_blocking=True)


def make_store(images: Images, device: torch.device) -> PixelStore:
    """A store of a split's images: on the device where they fit, else read where they are."""
    one = images.read(np.arange(min(1, len(images))))
    size = one.nbytes * len(images)
    if all(isinstance(pool, Memory) for pool in images.pools):
        if device.type != "cuda" or size <= _room(device):
            return PixelStore(len(images), device, torch.from_numpy(images.read()).to(device), None)
        return PixelStore(len(images), device, None, in_memory(images.read()))
    if size > _room(device):
        return PixelStore(len(images), device, None, images)
    whole = torch.empty((len(images), *one.shape[1:]), dtype=torch.uint8, device=device)
    for start in range(0, len(images), CHUNK):
        chunk = images.read(np.arange(start, min(start + CHUNK, len(images))))
        whole[start : start + len(chunk)] = torch.from_numpy(chunk).to(device)
    return PixelStore(len(images), device, whole, None)


def _room(device: torch.device) -> float:
    """Bytes that a split may take."""
    if device.type != "cuda":
        return RESIDENT_ON_CPU
    free, _ = torch.cuda.mem_get_info(device)
    # what an earlier trial of this process has left to torch, which is free for this one
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return SHARE_OF_DEVICE * (free + unused)
