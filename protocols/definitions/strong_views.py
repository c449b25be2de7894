"""Strong views, the same for all methods of a protocol; the usual one depends on the kind of labels."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..base import Augmentation, Kind, StrongAugmentation

_BLENDS = ("colour", "contrast", "brightness", "sharpness")
_NONE = (0.0, 0.0)

FACES = StrongAugmentation(
    slots=2,
    probability=0.5,
    magnitude="fixed",
    ranges=(
        *((name, _NONE) for name in ("identity", "autocontrast", "equalize")),
        ("rotate", (0.0, 30.0)),
        ("solarize", (0.0, 256.0)),
        *((name, (0.1, 1.9)) for name in _BLENDS),
        *((name, (0.0, 0.3)) for name in ("shear-x", "shear-y")),
        *((name, (0.0, 10 / 224)) for name in ("translate-x", "translate-y")),
        ("posterize", (0.0, 4.0)),
    ),
    sign=True,
    fill=128.0,
    cutout=(0.0, 16 / 224),
    cutout_fill=(128.0, 128.0, 128.0),
    whole_view=False,
    source="MAN's code, randaugument.py:268-328, transform.py:6-22: RandomAugment(2, 10); its autocontrast, in which "
    "bytes wrap, is repaired; weights of grey for RGB",
)

USB = StrongAugmentation(
    slots=3,
    probability=1.0,
    magnitude="uniform",
    ranges=(
        *((name, _NONE) for name in ("identity", "autocontrast", "equalize")),
        ("rotate", (-30.0, 30.0)),
        ("solarize", (0.0, 256.0)),
        *((name, (0.05, 0.95)) for name in _BLENDS),
        *((name, (-0.3, 0.3)) for name in ("shear-x", "shear-y", "translate-x", "translate-y")),
        ("posterize", (4.0, 8.0)),
    ),
    sign=False,
    fill=0.0,
    cutout=(0.0, 0.5),
    cutout_fill=(125.0, 123.0, 114.0),
    whole_view=True,
    source="USB's code, datasets/augmentation/randaugment.py:145-202, cv_datasets/cifar.py, after this protocol's own "
    "view",
)

USUAL: Mapping[Kind, StrongAugmentation] = MappingProxyType({"single": FACES, "multi": USB})


def strong_of(how: Augmentation, kind: Kind) -> StrongAugmentation:
    """The strong augmentation of a recipe for protocols of a kind."""
    return USUAL[kind] if how.strong is None else how.strong
