"""Where a split's faces are while batches are cut from them: on the device, or read from disk step by step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..protocols.images import CHUNK, Images

RESIDENT_ON_CPU = 1 << 28  # bytes; larger splits are read as they are needed, so that memory does not grow with a pack
SHARE_OF_DEVICE = 0.4  # of the memory that is free on a CUDA device


@dataclass(frozen=True)
class PixelStore:
    """The faces of a split for the augmentation: uint8, whole on the device, or a batch at a time.

    Attributes:
        images: where they come from.
        device: where batches are made.
        resident: uint8 [N, H, W, C] on the device, or None.
    """

    images: Images
    device: torch.device
    resident: Tensor | None

    def __len__(self) -> int:
        return len(self.images)

    def fetch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Faces and the row numbers among them that are the wanted ones.

        Args:
            index: int64 [B], rows of the split, on the device.

        Returns:
            (store uint8 [M, H, W, C], rows int64 [B]), both on the device.
        """
        if self.resident is not None:
            return self.resident, index
        distinct, place = torch.unique(index.cpu(), return_inverse=True)
        pixels = torch.from_numpy(self.images.read(distinct.numpy()))
        if self.device.type == "cuda":
            pixels = pixels.pin_memory()
        return pixels.to(self.device, non_blocking=True), place.to(self.device)


def make_store(images: Images, device: torch.device) -> PixelStore:
    """Keeps a split's faces on the device where they fit, else leaves them where they are."""
    one = images.read(np.arange(min(1, len(images))))
    size = one.nbytes * len(images)
    if size > _room(device):
        return PixelStore(images, device, None)
    whole = torch.empty((len(images), *one.shape[1:]), dtype=torch.uint8, device=device)
    for start in range(0, len(images), CHUNK):
        chunk = images.read(np.arange(start, min(start + CHUNK, len(images))))
        whole[start : start + len(chunk)] = torch.from_numpy(chunk).to(device)
    return PixelStore(images, device, whole)


def _room(device: torch.device) -> float:
    if device.type != "cuda":
        return RESIDENT_ON_CPU
    free, _ = torch.cuda.mem_get_info(device)
    return SHARE_OF_DEVICE * free
