"""Drawing of frames from identity, action unit intensities, pose and light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .behaviour import Frames
from .camera import expose
from .canvas import Canvas
from .eyes_brows_nose import brows, eyes, nose
from .head import background, beard, glasses, hair, head, lighting, occluders
from .identity import traits
from .keyed_random import mix_key, normal, uniform
from .mouth import mouth
from .muscles import both, mean_displacement, strengths
from .wrinkles import folds


def draw(
    frames: Frames,
    levels: NDArray[np.float64],
    pose: NDArray[np.float64],
    light: NDArray[np.float64],
    size: int,
    nuisance: float,
) -> NDArray[np.uint8]:
    """Images uint8 [n, size, size, 3] of frames with AU intensities levels [n, 20, 2], pose [n, 3] and light [n, 3].

    nuisance scales shifts, occlusion, blur, noise and compression.
    """
    trait, strength = traits(frames.person), strengths(levels)
    jitter = nuisance * normal(mix_key(frames.sequence, 61), 3).astype(np.float32)[:, :, None, None]
    canvas = Canvas(size, pose, 0.025 * jitter[:, :2], 1 + 0.03 * jitter[:, 2])
    background(canvas, uniform(mix_key(frames.sequence, 62), 24).astype(np.float32)[:, :, None, None])
    head(canvas, trait, mean_displacement("chin_drop", strength) - 0.02 * both(strength, 17))
    beard(canvas, trait)
    eyes(
        canvas,
        trait,
        strength,
        0.014 * nuisance * normal(mix_key(frames.frame, 63), 2).astype(np.float32).T[:, :, None, None],
    )
    mouth(canvas, trait, strength)
    nose(canvas, trait, strength)
    brows(canvas, trait, strength)
    folds(canvas, trait, strength)
    hair(canvas, trait)
    glasses(canvas, trait)
    chance = uniform(mix_key(frames.sequence, 64), 6).astype(np.float32)
    kind = np.where(chance[:, 0] < 0.08 * nuisance, np.floor(chance[:, 1] * 3) + 1, 0)[:, None, None]
    occluders(canvas, trait, kind.astype(np.float32), chance[:, 2, None, None])
    lighting(canvas, light.astype(np.float32).T[:, :, None, None])
    blur = nuisance * 0.14 * chance[:, 3] * chance[:, 3]
    noise = nuisance * (1 + 6 * chance[:, 4])
    blocks = nuisance * np.where(chance[:, 5] < 0.3, 6 + 20 * chance[:, 5], np.float32(0))
    return expose(
        canvas.rgb, canvas.shade, mix_key(frames.frame, 65), blur.astype(np.float32), noise, blocks.astype(np.float32)
    )
