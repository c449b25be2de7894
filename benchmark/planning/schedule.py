"""When the last of some jobs ends that several workers share. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable


def wall_time(jobs: Iterable[tuple[float, float]], workers: int) -> float:
    """The time at which the last job ends, when each free worker takes the longest of the jobs that may start first.

    A job is never divided, so that no number of workers is quicker than the longest job.

    Args:
        jobs: (duration, earliest start) of each, in one unit.
        workers: how many run at a time.
    """
    free = [0.0] * workers
    for length, start in sorted(jobs, key=lambda job: (job[1], -job[0])):
        heapq.heappush(free, max(heapq.heappop(free), start) + length)
    return max(free)
