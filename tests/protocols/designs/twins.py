"""The generated twins of all protocols, for tests of what every cell is."""

from __future__ import annotations

from pathlib import Path

import pytest

from fernoise_bench.protocols.catalog import PROTOCOLS
from fernoise_bench.protocols.loading import Data, open_data

from ...weekly import often

NOWHERE = Path("nowhere")


class Twins(dict[str, Data]):
    """The smoke-sized twin of every protocol, drawn when it is first asked for."""

    def __missing__(self, name: str) -> Data:
        self[name] = open_data(PROTOCOLS[name], "smoke", "generated", NOWHERE)
        return self[name]


def _first_of_each_noise() -> tuple[list[str], int]:
    """One protocol of each design, kind of noise and set of offers, then the others."""
    first = {(each.design, each.noise, each.offers): name for name, each in reversed(PROTOCOLS.items())}
    return [*first.values(), *(name for name in PROTOCOLS if name not in first.values())], len(first)


every_protocol = pytest.mark.parametrize("name", often(*_first_of_each_noise()))
