"""Reading what torch.save wrote, which may come from anybody: no code is run, no more is unpacked than there is."""

from __future__ import annotations

import os
import zipfile
from typing import Any, BinaryIO

import torch

from ...protocols.errors import BadInput

_ZIP = b"PK\x03\x04"  # by which torch.load tells its present format from that of before torch 1.6


def load(file: BinaryIO, device: torch.device, *, checksums: bool = False) -> Any:
    """The content of a file, its tensors on a device.

    Args:
        file: open for reading, at any place.
        device: where tensors go.
        checksums: whether damaged entries are found, which torch.load lets pass.

    Raises:
        BadInput: entries are compressed or overlap, as torch.save never leaves them, or have another checksum.
        Exception: nearly any, for bytes that are no such file.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(len(_ZIP)) == _ZIP:
        with zipfile.ZipFile(file) as archive:
            _refuse_packed(archive.infolist(), size)
            if checksums and (name := archive.testzip()) is not None:
                raise BadInput(f"{name} does not have its checksum")
    file.seek(0)
    return torch.load(file, map_location=device, weights_only=True)


def _refuse_packed(entries: list[zipfile.ZipInfo], size: int) -> None:
    """A few bytes may unpack to all the memory there is."""
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    if not stored or sum(entry.file_size for entry in entries) > size:
        raise BadInput("it holds compressed data, which torch.save never writes: save it again with torch.save")
