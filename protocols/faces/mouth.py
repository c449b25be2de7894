"""Drawing of the mouth: lips, teeth and tongue, and the skin around the lips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..files import Array
from .canvas import Canvas, Patch, bump, ramp
from .eyes_brows_nose import tone
from .identity import Traits
from .muscles import THIN_LOWER, THIN_UPPER, Strength, both, displacement, mean_displacement, visible_share


@dataclass(frozen=True)
class Lips:
    """Geometry of the lips, [n, h, w] each: across is -1..1 from corner to corner, the others are heights.

    From above: top and high (upper lip), low and bottom (lower lip); open is 0..1, beyond the distance past the
    corners.
    """

    across: Array
    top: Array
    high: Array
    low: Array
    bottom: Array
    open: Array
    beyond: Array


def mouth(canvas: Canvas, trait: Traits, strength: Strength) -> None:
    """Draws the mouth."""
    patch = canvas.patch((-0.62, 0.1, 0.62, 1.0))
    lips = _shape(patch, trait, strength)
    _inside(patch, lips, _lips(patch, lips, trait))
    _skin(patch, lips, strength)


def _shape(patch: Patch, trait: Traits, strength: Strength) -> Lips:
    """The geometry of the lips for given action unit intensities."""
    sealed = np.maximum(both(strength, 24), both(strength, 28)) * np.float32(0.9)
    out = [trait["mouth_width"] + displacement("mouth_out", strength, side) for side in (0, 1)]
    ends = [displacement("corner", strength, side) + trait["corners"] for side in (0, 1)]
    right = patch.u > 0
    width, corner = np.where(right, out[1], out[0]), np.where(right, ends[1], ends[0])
    raised = np.where(right, displacement("lip_raise", strength, 1), displacement("lip_raise", strength, 0))
    across = patch.u / width
    square = np.minimum(across * across, np.float32(1.6))
    arc = np.maximum(1 - square, np.float32(0))
    full = arc * (1 + 0.6 * square)
    line = trait["mouth_height"] - 0.175 * (ends[0] + ends[1]) - mean_displacement("mouth_lift", strength) * arc
    line = line + corner * square + trait["uneven_mouth"] * across
    parted = 0.6 * raised * ramp((raised - 0.030) / 0.030)  # only a strongly raised upper lip opens the mouth
    high = line - mean_displacement("lip_open", strength) * (1 - sealed) * arc - parted * full
    low = line + mean_displacement("jaw_open", strength) * (1 - sealed) * arc
    upper = trait["upper_lip"] * visible_share(THIN_UPPER, strength)
    lower = trait["lower_lip"] * visible_share(THIN_LOWER, strength)
    # A dip in the middle of the upper lip makes the bow.
    top = high - upper * full * (1 - 0.22 * bump(across / 0.28)) - (raised - parted) * full
    bottom = low + (lower * (1 + 0.25 * square) + 0.2 * mean_displacement("lower_push", strength)) * arc
    beyond = np.maximum(np.abs(across) - 1, np.float32(0)) * width * 2
    return Lips(across, top, high, low, bottom, ramp((low - high) / 0.03), beyond)


def _lips(patch: Patch, lips: Lips, trait: Traits) -> Array:
    """Draws the lips and the line between closed lips; returns the mask of the mouth opening."""
    v, middle = patch.v, 0.5 * (lips.high + lips.low)
    red = patch.cover(np.maximum(lips.top - v, v - lips.bottom) + lips.beyond)
    patch.paint(red, tone(trait, "lip", 0.86 + 0.14 * ramp((v - middle) / 0.05)))
    swell = (v - 0.5 * (lips.low + lips.bottom)) / (0.35 * (lips.bottom - lips.low) + 0.02)
    patch.darken(-0.12 * red * bump(swell) * bump(lips.across))
    seam = patch.stroke(v - middle, 0.020) * ramp((1.06 - np.abs(lips.across)) / 0.15)
    patch.paint(seam * (1 - lips.open) * 0.85, tone(trait, "lip", 0.35))
    patch.darken(0.25 * bump((v - lips.bottom - 0.05) / 0.05) * bump(lips.across / 0.8))
    return np.asarray(patch.cover(np.maximum(lips.high - v, v - lips.low) + lips.beyond) * lips.open)


def _inside(patch: Patch, lips: Lips, inside: Array) -> None:
    """Draws the inside of the mouth, the upper teeth and, if wide open, the tongue."""
    gap = lips.low - lips.high
    patch.paint(inside, (0.20, 0.06, 0.06))
    teeth = bump((patch.v - lips.high) / (0.060 + 0.1 * gap)) * bump(lips.across / 0.95)
    patch.paint(inside * np.minimum(1.5 * teeth, 1), (0.92, 0.89, 0.83))
    tongue = bump((patch.v - lips.low) / (0.02 + 0.4 * gap)) * bump(lips.across / 0.8) * ramp((gap - 0.08) / 0.1)
    patch.paint(inside * tongue, (0.62, 0.30, 0.30))


def _skin(patch: Patch, lips: Lips, strength: Strength) -> None:
    """Draws the skin around the lips: wrinkles (tightened lips), bulges (pressed), tension (sucked in)."""
    tight, press, suck = both(strength, 23), both(strength, 24), both(strength, 28)
    within = bump(lips.across / 1.15)
    for away in (lips.top - patch.v, patch.v - lips.bottom):
        beside = bump((away - 0.045) / 0.055)
        for place in (-0.75, -0.38, 0.0, 0.38, 0.75):
            radial = (lips.across - place * (1 + 1.2 * away)) * 0.2
            patch.darken(0.42 * tight * beside * patch.stroke(radial, 0.018))
        patch.crease(away - 0.050, 0.046, 0.58 * press * within)
        patch.crease(away - 0.045, 0.045, -0.28 * suck * within)
        patch.darken(0.25 * suck * bump((away - 0.12) / 0.05) * within)
