"""Jobs shared by workers, against schedules worked out by hand."""

from __future__ import annotations

import pytest

from fernoise_bench.benchmark.planning.schedule import wall_time


@pytest.mark.parametrize(
    ("waits", "devices", "hours"),
    [
        ([(1, 0)] * 4, 2, 2),
        ([(3, 0), (1, 0), (1, 0), (1, 0)], 2, 3),
        ([(1, 0), (2, 1)], 8, 3),
        ([(1, 0)], 64, 1),
        ([(1, 5)], 1, 6),
        ([(108, 0)], 2, 108),  # one trial is never divided
        ([(2, 0)] * 5, 2, 6),  # three rounds
        ([], 2, 0),
    ],
)
def test_the_wall_time_is_that_of_a_schedule(waits: list[tuple[float, float]], devices: int, hours: float) -> None:
    assert wall_time(waits, devices) == hours
