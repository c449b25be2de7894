"""Drawing of eyes, brows and nose for given action unit intensities."""

from __future__ import annotations

import numpy as np

from ..files import Array
from .canvas import Canvas, bump, ramp
from .identity import Traits
from .muscles import Strength, displacement, lids


def tone(trait: Traits, name: str, gain: float | Array = 1.0) -> list[Array]:
    """The three channels of a person's colour, multiplied by gain."""
    return [trait[f"{name}_{channel}"] * gain for channel in range(3)]


def eyes(canvas: Canvas, trait: Traits, strength: Strength, gaze: Array) -> None:
    """Draws eyeballs, lids and lashes; gaze is float32 [2, n, 1, 1]."""
    for side, sign in ((0, -1.0), (1, 1.0)):
        box = (-0.72, -0.5, 0.02, 0.18) if side == 0 else (-0.02, -0.5, 0.72, 0.18)
        patch = canvas.patch(box)
        upper, lower, shut = lids(strength, trait, side)
        across = (sign * patch.u - trait["eye_gap"]) / trait["eye_width"]
        down = patch.v - trait["eye_height"] + trait["eye_tilt"] * across
        arc = 1 - across * across
        top, bottom = down + upper * arc, down - lower * arc
        ends = np.maximum(np.abs(across) - 1, np.float32(0)) * trait["eye_width"]
        opening = patch.cover(np.maximum(-top, bottom) + 2 * ends)
        # A blink is drawn as motion blur: the lid half transparent over the eye, its edge at both positions.
        blink = np.minimum(1.3 * strength[45][side], np.float32(1))
        opening = opening * (1 - 0.50 * blink)
        patch.paint(opening, (0.93, 0.92, 0.91))
        iris_u = sign * patch.u - trait["eye_gap"] - sign * gaze[0]
        iris_v = patch.v - trait["eye_height"] + 0.018 - gaze[1]
        radius = np.sqrt(iris_u * iris_u + iris_v * iris_v)
        patch.paint(opening * patch.cover(radius - trait["iris"]), tone(trait, "iris"))
        patch.paint(opening * patch.cover(radius - 0.45 * trait["iris"]), (0.04, 0.04, 0.05))
        shine_u, shine_v = iris_u - 0.02, iris_v + 0.025
        patch.paint(
            opening * patch.cover(np.sqrt(shine_u * shine_u + shine_v * shine_v) - 0.018) * 0.85, (1.0, 1.0, 1.0)
        )
        patch.paint(opening * bump(top / 0.06) * 0.45, (0.25, 0.2, 0.2))  # shadow of the lid on the eyeball
        within = ramp((1.12 - np.abs(across)) / 0.2)
        closed = patch.stroke(bottom, 0.034) * blink * 0.8
        lash = np.maximum(patch.stroke(top, 0.030) * (1 - 0.6 * blink), closed) * within
        patch.paint(lash * 0.9, tone(trait, "hair", 0.35))
        patch.paint(patch.stroke(bottom, 0.018) * within * 0.45, tone(trait, "skin", 0.45))
        fold = top + trait["crease"] - 0.4 * displacement("upper_lid", strength, side) - 0.02 * shut
        visible = (1 - strength[5][side]) * within
        patch.darken(patch.stroke(fold, 0.022) * visible * 0.30)


def brows(canvas: Canvas, trait: Traits, strength: Strength) -> None:
    """Draws brows whose inner, middle and outer thirds move independently."""
    for side, sign in ((0, -1.0), (1, 1.0)):
        box = (-0.78, -0.78, 0.06, -0.05) if side == 0 else (-0.06, -0.78, 0.78, -0.05)
        patch = canvas.patch(box)
        length = trait["brow_length"]
        inward = displacement("brow_inward", strength, side)
        across = (sign * patch.u - trait["eye_gap"] - 0.02 + inward) / length
        clipped = np.minimum(np.maximum(across, np.float32(-1)), np.float32(1))
        inner, outer = np.maximum(-clipped, np.float32(0)), np.maximum(clipped, np.float32(0))
        inner, outer = inner * (2 - inner), outer * (2 - outer)
        line = trait["brow_height"] - trait["brow_arch"] * (1 - clipped * clipped) + trait["brow_slant"] * clipped
        line = line + sign * trait["uneven_brows"] + displacement("brow_middle", strength, side) * (1 - inner - outer)
        line = (
            line
            + displacement("brow_inner", strength, side) * inner
            + displacement("brow_outer", strength, side) * outer
        )
        thick = trait["brow_thick"] * (1 - 0.35 * outer)
        ends = np.maximum(np.abs(across) - 0.92, np.float32(0)) * length
        mask = patch.cover(np.abs(patch.v - line) - thick + 1.5 * ends)
        patch.paint(mask * trait["brow_dark"], tone(trait, "hair", 0.7))


def nose(canvas: Canvas, trait: Traits, strength: Strength) -> None:
    """Draws bridge, tip, wings and nostrils; the nose protrudes and therefore shifts with yaw and pitch."""
    patch = canvas.patch((-0.55, -0.35, 0.55, 0.55))
    reach = ramp((patch.v + 0.2) / 0.45) * 0.16
    u, v = patch.u - reach * canvas.sines[0], patch.v - reach * canvas.sines[1]
    tip = trait["nose_length"]
    along = ramp((v + 0.22) / 0.2) * ramp((tip - v + 0.04) / 0.12)
    patch.darken(-0.13 * bump(u / 0.05) * along)
    patch.darken(0.16 * bump((np.abs(u) - 0.085) / 0.05) * along)
    tip_v = (v - tip + 0.02) / 0.09
    patch.darken(-0.10 * bump(np.sqrt(u * u / 0.0081 + tip_v * tip_v)))
    for side, sign in ((0, -1.0), (1, 1.0)):
        lift = displacement("nose_wings", strength, side)
        wide = trait["nose_width"] + displacement("nose_wide", strength, side)
        out, low = sign * u - 0.5 * wide, v - tip - 0.045 - 0.6 * lift
        hole = np.sqrt(out * out / 0.0022 + low * low / 0.0007)
        patch.darken(0.60 * bump(0.85 * hole))
        out, low = (sign * u - wide) / 0.035, (v - tip - lift) / 0.085
        rim = np.sqrt(out * out + low * low)
        patch.darken(0.33 * bump(rim) * ramp(out + 1.0))
    patch.darken(0.18 * bump((v - tip - 0.075) / 0.04) * bump(u / 0.12))
