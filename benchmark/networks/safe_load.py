"""Safe reading of torch.save files from untrusted sources: no code is run, and no compressed data are unpacked."""

from __future__ import annotations

import os
import zipfile
from typing import Any, BinaryIO

import torch

from ...protocols.errors import BadInput

_ZIP = b"PK\x03\x04"  # start of torch.save's present format, by which torch.load recognises it


def load(file: BinaryIO, device: torch.device, *, checksums: bool = False) -> Any:
    """Loads what torch.save wrote, with its tensors on a device.

    Args:
        file: open for reading, at any position.
        device: where tensors go.
        checksums: whether to check the checksums of entries, which torch.load does not.

    Raises:
        BadInput: entries are compressed or overlap, which torch.save never writes, or have wrong checksums.
        Exception: nearly any, for a file of another kind.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(len(_ZIP)) == _ZIP:
        with zipfile.ZipFile(file) as archive:
            _refuse_packed(archive.infolist(), size)
            if checksums and (name := archive.testzip()) is not None:
                raise BadInput(f"{name} has a wrong checksum")
    file.seek(0)
    return torch.load(file, map_location=device, weights_only=True)


def _refuse_packed(entries: list[zipfile.ZipInfo], size: int) -> None:
    """Raises BadInput for compressed entries, of which a few bytes could fill the memory when unpacked."""
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    if not stored or sum(entry.file_size for entry in entries) > size:
        raise BadInput("it holds compressed data, which torch.save never writes: save it again with torch.save")
