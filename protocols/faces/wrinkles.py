"""Drawing of skin folds, furrows and bulges caused by action units and by age, except around the mouth."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, bump, ramp
from .identity import Traits
from .muscles import Strength, both, displacement

# Dimples of a raised chin: horizontal and vertical position, slant.
_DIMPLES = (
    (-0.09, 0.735, 0.4), (0.06, 0.72, -0.3), (0.01, 0.785, 0.1), (-0.14, 0.79, 0.6), (0.12, 0.795, -0.5),
    (-0.02, 0.715, 0.0), (-0.06, 0.81, 0.3), (0.075, 0.825, -0.2), (0.14, 0.735, -0.6),
)  # fmt: skip


def folds(canvas: Canvas, trait: Traits, strength: Strength) -> None:
    """Draws all folds."""
    _forehead(canvas, trait, strength)
    _glabella(canvas, trait, strength)
    for side, sign in ((0, -1.0), (1, 1.0)):
        _around_eye(canvas, trait, strength, side, sign)
        _cheek(canvas, trait, strength, side, sign)
        _corner(canvas, trait, strength, side, sign)
    _chin(canvas, trait, strength)


def _forehead(canvas: Canvas, trait: Traits, strength: Strength) -> None:
    """Draws horizontal forehead lines, in the middle for the inner brow raiser and on the sides for the outer one."""
    patch = canvas.patch((-0.75, -0.95, 0.75, -0.3))
    inner, outer = both(strength, 1), np.where(patch.u > 0, strength[2][1], strength[2][0])
    lines = 0.9 * inner * bump(patch.u / 0.30) + 0.9 * outer * bump((np.abs(patch.u) - 0.36) / 0.22)
    lines = np.minimum(lines, 1) * 0.48 + 0.16 * trait["age"] * bump(patch.u / 0.5)
    lift = -0.05 * np.maximum(inner, both(strength, 2))
    for height in (-0.50, -0.585):
        patch.crease(patch.v - height - lift - 0.08 * patch.u * patch.u, 0.032, lines)


def _glabella(canvas: Canvas, trait: Traits, strength: Strength) -> None:
    """Draws vertical furrows between lowered brows, and wrinkles on the root and sides of a wrinkled nose."""
    patch = canvas.patch((-0.42, -0.62, 0.42, 0.3))
    frown = both(strength, 4)
    tall = bump((patch.v + 0.35) / 0.17)
    patch.darken(frown * 0.55 * tall * patch.stroke(np.abs(patch.u) - 0.055, 0.030))
    patch.darken(0.2 * frown * bump((patch.v + 0.33) / 0.15) * bump(patch.u / 0.14))
    wrinkle = both(strength, 9)
    out = np.abs(patch.u)
    for height in (-0.17, -0.09, -0.01):
        patch.crease(patch.v - height - 0.5 * out, 0.028, 0.50 * wrinkle * bump(out / 0.20))


def _around_eye(canvas: Canvas, trait: Traits, strength: Strength, side: int, sign: float) -> None:
    """Draws crow's feet and the furrow under the eye (cheek raiser), and the pouch of tightened lids."""
    box = (-0.95, -0.45, 0.0, 0.3) if side == 0 else (0.0, -0.45, 0.95, 0.3)
    patch = canvas.patch(box)
    u, v = sign * patch.u - trait["eye_gap"], patch.v - trait["eye_height"]
    raised, tight = strength[6][side], strength[7][side]
    rays = 0.45 * raised + 0.12 * trait["age"]
    outer = u - trait["eye_width"] - 0.03
    for slope in (-0.45, 0.1, 0.6):
        patch.darken(rays * patch.stroke(v - slope * outer + 0.0, 0.024) * bump((outer - 0.08) / 0.09))
    arc = 1 - u * u / 0.05
    low = trait["eye_open"] * 0.62 + displacement("lower_lid", strength, side)
    under = v - low * arc
    patch.crease(under - 0.050, 0.030, (0.36 * tight + 0.20 * raised) * bump(u / 0.2))
    patch.crease(under - 0.115 + 0.02 * raised, 0.038, (0.42 * raised + 0.12 * trait["age"]) * bump((u - 0.02) / 0.24))


def _cheek(canvas: Canvas, trait: Traits, strength: Strength, side: int, sign: float) -> None:
    """Draws the nasolabial fold and the raised cheek."""
    box = (-0.85, -0.12, 0.0, 0.85) if side == 0 else (0.0, -0.12, 0.85, 0.85)
    patch = canvas.patch(box)
    u, v = sign * patch.u, patch.v
    smile, sneer, wrinkle, raised = (strength[number][side] for number in (12, 10, 9, 6))
    plump = np.maximum(smile, 0.75 * raised)
    spot_u, spot_v = (u - 0.44) / 0.20, (v - 0.16 + 0.05 * raised) / 0.17
    patch.darken(-0.22 * plump * bump(np.sqrt(spot_u * spot_u + spot_v * spot_v)))
    patch.darken(0.14 * plump * bump((v - 0.33 - 0.6 * (u - 0.44) * (u - 0.44)) / 0.06) * bump((u - 0.44) / 0.2))
    # A smile bends the fold outward; the upper lip raiser makes its upper part straight and deep.
    fall = v - 0.17
    line = 0.19 + 0.03 * smile + 0.05 * sneer + (0.38 + 0.24 * smile) * fall - (0.25 + 0.3 * smile) * fall * fall
    top = np.maximum(sneer, 0.8 * wrinkle) * bump((v - 0.24) / 0.18)
    deep = 0.46 * smile * bump((v - 0.36) / 0.22) + 0.55 * top + 0.14 * trait["age"] * bump((v - 0.34) / 0.2)
    patch.crease(u - line, 0.040, np.minimum(deep, 0.65))


def _corner(canvas: Canvas, trait: Traits, strength: Strength, side: int, sign: float) -> None:
    """Draws the folds beside the lip corner: of the dimpler, the lip corner depressor and the lip stretcher."""
    box = (-0.80, 0.22, -0.05, 0.88) if side == 0 else (0.05, 0.22, 0.80, 0.88)
    patch = canvas.patch(box)
    width = trait["mouth_width"] + displacement("mouth_out", strength, side)
    height = trait["mouth_height"] + displacement("corner", strength, side)
    u, v = sign * patch.u - width, patch.v - height
    dimple, down, stretch = (strength[number][side] for number in (14, 15, 20))
    pit_u, pit_v = (u - 0.035) / 0.055, v / 0.075
    patch.darken(0.80 * dimple * bump(np.sqrt(pit_u * pit_u + pit_v * pit_v)))
    bow = u - 0.11 + 1.3 * v * v
    patch.crease(bow, 0.034, 0.50 * dimple * bump(v / 0.17))
    pouch = u + 0.015 - 0.25 * v
    patch.crease(pouch, 0.038, 0.62 * down * bump((v - 0.09) / 0.12))
    for gap in (0.05, 0.12):
        patch.darken(0.40 * stretch * patch.stroke(u - gap + 0.6 * v * v, 0.026) * bump(v / 0.20))


def _chin(canvas: Canvas, trait: Traits, strength: Strength) -> None:
    """Draws the raised chin: an arc under the lip and dimpled skin."""
    patch = canvas.patch((-0.42, 0.5, 0.42, 1.0))
    boss = both(strength, 17)
    u, v = patch.u, patch.v
    patch.crease(v - 0.645 - 0.9 * u * u, 0.040, (0.50 * boss + 0.12) * bump(u / 0.22))
    spots = np.zeros_like(u)
    for spot_u, spot_v, slant in _DIMPLES:
        gap_u, gap_v = u - spot_u - slant * (v - spot_v), v - spot_v
        spots += patch.stroke(np.sqrt(gap_u * gap_u + 0.5 * gap_v * gap_v), 0.030)
    patch.darken(boss * 0.34 * spots)
    patch.darken(-0.10 * boss * ramp(1 - np.sqrt(u * u / 0.04 + (v - 0.75) * (v - 0.75) / 0.012)))
