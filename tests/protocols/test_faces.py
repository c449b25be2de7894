from __future__ import annotations

import numpy as np
import pytest
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.faces import FaceSpecification, annotators, automatic_coder, faces


def test_same_seed_same_bytes() -> None:
    specification = FaceSpecification(40, size=32)
    first, again, other = faces(specification, 3), faces(specification, 3), faces(specification, 4)
    for one, two in zip(first, again, strict=True):
        assert one.tobytes() == two.tobytes()
    assert not np.array_equal(first.images, other.images)


def test_shapes_and_ranges() -> None:
    names = ("AU12", "AU1", "AU45")
    found = faces(FaceSpecification(21, size=40, subjects=("a", "b"), au_names=names), 0)
    images, aus, expressions, subjects = found
    assert images.shape == (21, 40, 40, 3)
    assert images.dtype == np.uint8
    assert aus.shape == (21, 3)
    assert aus.dtype == np.int8
    assert aus.min() >= 0
    assert aus.max() <= 5
    assert expressions.dtype == np.int64
    assert list(subjects) == ["a"] * 11 + ["b"] * 10
    assert automatic_coder(found, 0).shape == (21, 3)
    assert annotators(found, 0).shape == (21, 10)


@pytest.mark.parametrize(
    "bad",
    [
        FaceSpecification(-1),
        FaceSpecification(1, size=15),
        FaceSpecification(1, au_names=("AU3",)),
        FaceSpecification(1, au_names=("AU1",), au_rates=(1.2,)),
    ],
)
def test_bad_specifications(bad: FaceSpecification) -> None:
    with pytest.raises(BadInput):
        faces(bad, 0)
