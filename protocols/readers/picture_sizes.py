"""The size of the pictures on disk, for data sets whose owners publish all of them in one size."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ..images.decoding import DAMAGED, FORMATS
from .listing import Check

Size = tuple[int, int]
_LOOKED_AT = 100


def sampled_sizes(root: Path, paths: Sequence[str], size: Size, where: str = "") -> Check:
    """The check that pictures have a size, from the headers of about a hundred of them, evenly spaced.

    Args:
        root: the folder that paths are relative to.
        paths: the pictures.
        size: the published width and height in pixels.
        where: which pictures, in words (", training").
    """
    some = paths[:: max(1, len(paths) // _LOOKED_AT)]
    found = {path: _size(root / path) for path in some}
    return all_of_size(found, size, f"{where}, of {len(some):,} looked at")


def all_of_size(sizes: dict[str, Size | None], size: Size, where: str) -> Check:
    """The check that pictures have a size; those of unknown size (None), which do not decode, are left out."""
    others = [f"{path}: {at[0]} x {at[1]}" for path, at in sizes.items() if at is not None and at != size]
    known = sum(at is not None for at in sizes.values())
    return Check.all(f"pictures of {size[0]} x {size[1]} pixels{where}", known, others)


def _size(path: Path) -> Size | None:
    """Width and height in a picture's header; None if it has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about unusual metadata
            with Image.open(path, formats=FORMATS) as picture:
                return picture.size
    except (*DAMAGED, Image.DecompressionBombError):
        return None
