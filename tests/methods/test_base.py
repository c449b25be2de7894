from __future__ import annotations

import pytest

from .toy import make_task


@pytest.mark.parametrize(
    ("epochs", "value", "stated_for", "expected"),
    [
        (40, 9, (40, 70), 9),
        (70, 9, (40, 70), 9),  # stated for both lengths: never scaled between them
        (80, 9, (40, 70), 18),  # any other length by the first
        (35, 9, (70, 40), 4),  # 4.5, to the even
        (15, 3, (40, 200), 1),
        (200, 20, (40, 200), 20),
        (200, 20, (40,), 100),
        (10, 0, (40, 200), 0),
    ],
)
def test_epoch_constants_stay_at_every_stated_length_and_keep_their_share_elsewhere(
    epochs: int, value: int, stated_for: tuple[int, ...], expected: int
) -> None:
    assert make_task(epochs=epochs).scaled_epochs(value, *stated_for) == expected
