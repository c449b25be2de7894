"""Where a split's faces are while batches are cut from them: on the device, or read from disk step by step."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...protocols.images.image_pool import CHUNK, Images, Memory, in_memory

RESIDENT_ON_CPU = 1 << 28  # bytes; larger splits are read as they are needed, so that memory does not grow with a pack
SHARE_OF_DEVICE = 0.4  # of the memory that is free on a CUDA device


@dataclass(frozen=True)
class PixelStore:
    """The faces of a split for the augmentation: uint8, whole on the device, or a batch at a time.

    Attributes:
        count: how many there are.
        device: where batches are made.
        resident: uint8 [N, H, W, C] on the device, or None.
        images: where they are read from; None where they are resident, so that nothing leads to other splits' faces.
    """

    count: int
    device: torch.device
    resident: Tensor | None
    images: Images | None

    def __len__(self) -> int:
        return self.count

    def fetch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Faces and the row numbers among them that are the wanted ones.

        Args:
            index: int64 [B], rows of the split, on the device.

        Returns:
            (store uint8 [M, H, W, C], rows int64 [B]), both on the device.
        """
        if self.resident is not None:
            return self.resident, index
        return self._sent(self._read(index.cpu()))

    def fetch_each(self, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """`fetch` for each step of an epoch; what a GPU has no room for is read a step ahead, while it computes.

        Args:
            order: int64 [steps, B] on the CPU.
        """
        if self.resident is not None:
            for index in order.to(self.device):
                yield self.resident, index
        elif self.device.type == "cuda":
            yield from map(self._sent, self._read_ahead(order))
        else:
            yield from map(self.fetch, order)

    def _read_ahead(self, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """`_read` for each step, the next one under way in a thread of its own; the order of results is the order."""
        with ThreadPoolExecutor(1) as reader:
            under_way = [reader.submit(self._read, index) for index in order[:1]]
            for index in order[1:]:
                found = under_way.pop().result()
                under_way.append(reader.submit(self._read, index))
                yield found
            yield from (last.result() for last in under_way)

    def _read(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The distinct faces of some rows and the places of the rows among them, on the CPU, pinned for a GPU."""
        assert self.images is not None
        distinct, place = torch.unique(index, return_inverse=True)
        pixels = torch.from_numpy(self.images.read(distinct.numpy()))
        return (pixels.pin_memory(), place.pin_memory()) if self.device.type == "cuda" else (pixels, place)

    def _sent(self, found: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        pixels, place = found
        return pixels.to(self.device, non_blocking=True), place.to(self.device, non_blocking=True)


def make_store(images: Images, device: torch.device) -> PixelStore:
    """Keeps a split's faces on the device where they fit, else leaves them where they are."""
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
    if device.type != "cuda":
        return RESIDENT_ON_CPU
    free, _ = torch.cuda.mem_get_info(device)
    return SHARE_OF_DEVICE * free
