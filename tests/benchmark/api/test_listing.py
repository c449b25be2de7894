"""Lists of methods and protocols from Python."""

from __future__ import annotations

import pandas as pd

import fernoise_bench as fb
from fernoise_bench.benchmark import registry
from fernoise_bench.protocols.catalog import PROTOCOLS


def test_every_method_is_listed_with_what_it_needs() -> None:
    methods = {method.name: method for method in fb.list_methods()}
    assert set(methods) >= set(registry.METHODS)
    found = methods["co_teaching"]
    assert (found.tasks, found.needs, found.venue, found.year) == (("expressions",), ("noise_rate",), "NeurIPS", 2018)
    assert "co_teaching:estimated-rate" in found.variants
    assert methods["supervised"].tasks == ("expressions", "action units")
    assert (methods["supervised"].paper, methods["supervised"].year) == ("", 0)
    for name in methods["recot"].variants:
        assert registry.find(name)


def test_every_protocol_is_listed() -> None:
    protocols = {protocol.name: protocol for protocol in fb.list_protocols()}
    assert list(protocols) == list(PROTOCOLS)
    found = protocols["bp4d-3fold"]
    assert (found.task, len(found.labels), found.folds) == ("action units", 12, ("part1", "part2", "part3"))
    assert protocols["ferplus-sym"].levels == (0.0, 0.1, 0.2, 0.3, 0.4)
    assert pd.DataFrame(fb.list_protocols()).set_index("name").loc["fer2013-real", "metric"] == "accuracy"
