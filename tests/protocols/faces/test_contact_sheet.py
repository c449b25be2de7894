from __future__ import annotations

import numpy as np
import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.faces.behaviour import NUMBERS
from fernoise_bench.protocols.faces.contact_sheet import MEANINGS, action_unit, sheet, write

SUBJECTS = ("Eve", "Gil", "Ada", "Kim")
# Where each action unit must show, as left, top, right, bottom in parts of the image.
BROWS, EYES, NOSE = (0.1, 0.08, 0.9, 0.42), (0.1, 0.25, 0.9, 0.55), (0.2, 0.2, 0.8, 0.75)
MOUTH, CHIN = (0.15, 0.55, 0.85, 0.95), (0.2, 0.6, 0.8, 1.0)
REGIONS = {
    1: BROWS, 2: BROWS, 4: BROWS, 5: EYES, 6: (0.05, 0.25, 0.95, 0.72), 7: EYES, 9: NOSE, 10: (0.15, 0.45, 0.85, 0.9),
    12: (0.12, 0.45, 0.88, 0.92), 14: MOUTH, 15: MOUTH, 17: CHIN, 20: MOUTH, 23: MOUTH, 24: MOUTH, 25: MOUTH,
    26: (0.1, 0.55, 0.9, 1.0), 28: MOUTH, 43: EYES, 45: EYES,
}  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
def test_each_action_moves_its_own_part_of_the_face(number: int) -> None:
    images = action_unit(number, SUBJECTS, 0, 64).astype(float).reshape(len(SUBJECTS), 6, 64, 64, 3)
    change = np.abs(images - images[:, :1]).mean(axis=(0, 4))
    left, top, right, bottom = (round(64 * edge) for edge in REGIONS[number])
    inside = np.zeros((64, 64), dtype=bool)
    inside[top:bottom, left:right] = True
    assert change[5][inside].mean() > 8 * change[5][~inside].mean()
    growth = change[:, inside].mean(axis=1)
    assert (np.diff(growth) >= 0).all()
    assert growth[2] > 0.25 * growth[5]
    assert change[2].max() > 5  # a positive label must be visible


def test_no_two_actions_look_the_same() -> None:
    moved = {}
    for number in NUMBERS:
        images = action_unit(number, SUBJECTS, 0, 64).astype(float).reshape(len(SUBJECTS), 6, -1)
        change = (images[:, 5] - images[:, 0]).ravel()
        moved[number] = change / np.linalg.norm(change)
    for first in NUMBERS:
        for second in NUMBERS:
            if first < second:
                assert moved[first] @ moved[second] < 0.9, (first, second)


def test_sheet() -> None:
    page = sheet(0, size=24)
    assert page.dtype == np.uint8
    assert page.ndim == 3
    assert page.shape[0] > 24 * (len(NUMBERS) + 9)
    assert page.tobytes() == sheet(0, size=24).tobytes()
    assert set(MEANINGS) == set(NUMBERS)


def test_write() -> None:
    image = np.full((20, 60, 3), 255, dtype=np.uint8)
    write(image, 4, 10, "I?")
    assert (image[4:16, 10:25] < 128).any()
    assert (image[:, :10] == 255).all()
    assert (image[:, 40:] == 255).all()
    write(image, 4, 55, "WWWW")  # what does not fit is cut
    assert (image[4:16, 55:] < 128).any()


def test_bad_sheets() -> None:
    with pytest.raises(BadInput, match="16 pixels"):
        sheet(0, size=8)
    with pytest.raises(BadInput, match="subject"):
        sheet(0, subjects=())
