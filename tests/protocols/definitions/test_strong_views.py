"""The usual strong views value by value, from what was published: a fingerprint holds none of these values."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from fernoise_bench.protocols.base import StrongAugmentation
from fernoise_bench.protocols.definitions.strong_views import FACES, USB

NONE = (0.0, 0.0)
# MAN's RandomAugment(2, 10): two of fourteen operations, each with probability 1/2, at the strongest level, 10 of 10
OF_FACES = {
    "slots": 2,
    "probability": 0.5,
    "magnitude": "fixed",
    "ranges": (
        ("identity", NONE),
        ("autocontrast", NONE),
        ("equalize", NONE),
        ("rotate", (0.0, 30.0)),
        ("solarize", (0.0, 256.0)),
        ("colour", (0.1, 1.9)),
        ("contrast", (0.1, 1.9)),
        ("brightness", (0.1, 1.9)),
        ("sharpness", (0.1, 1.9)),
        ("shear-x", (0.0, 0.3)),
        ("shear-y", (0.0, 0.3)),
        ("translate-x", (0.0, 10 / 224)),
        ("translate-y", (0.0, 10 / 224)),
        ("posterize", (0.0, 4.0)),
    ),
    "sign": True,
    "fill": 128.0,
    "cutout": (0.0, 16 / 224),
    "cutout_fill": (128.0, 128.0, 128.0),
    "whole_view": False,
}
# USB's: three of the same operations, each carried out, at any magnitude, after the whole ordinary view
OF_USB = {
    "slots": 3,
    "probability": 1.0,
    "magnitude": "uniform",
    "ranges": (
        ("identity", NONE),
        ("autocontrast", NONE),
        ("equalize", NONE),
        ("rotate", (-30.0, 30.0)),
        ("solarize", (0.0, 256.0)),
        ("colour", (0.05, 0.95)),
        ("contrast", (0.05, 0.95)),
        ("brightness", (0.05, 0.95)),
        ("sharpness", (0.05, 0.95)),
        ("shear-x", (-0.3, 0.3)),
        ("shear-y", (-0.3, 0.3)),
        ("translate-x", (-0.3, 0.3)),
        ("translate-y", (-0.3, 0.3)),
        ("posterize", (4.0, 8.0)),
    ),
    "sign": False,
    "fill": 0.0,
    "cutout": (0.0, 0.5),
    "cutout_fill": (125.0, 123.0, 114.0),
    "whole_view": True,
}
SAME_IDENTITY = (
    "no trial's identity has the usual strong view: where it is to change, raise RESULT_VERSION in benchmark/trial.py, "
    "or records of MAN, DISC, SOP+ and FixMatch from before and after would pass for the same"
)


@pytest.mark.parametrize(("strong", "expected"), [(FACES, OF_FACES), (USB, OF_USB)], ids=["faces", "usb"])
def test_the_usual_strong_views_are_as_published(strong: StrongAugmentation, expected: dict[str, object]) -> None:
    assert {name: value for name, value in asdict(strong).items() if name != "source"} == expected, SAME_IDENTITY
