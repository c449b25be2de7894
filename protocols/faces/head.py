"""Drawing of the background and the head: neck, hair, skin, beard, glasses, and occlusions of the face."""

from __future__ import annotations

import numpy as np

from ..files import Array
from .canvas import Canvas, Colour, Patch, bump, ramp
from .eyes_brows_nose import tone
from .identity import Traits

WHOLE = (-1.0, -1.0, 1.0, 1.0)


def background(canvas: Canvas, chance: Array) -> None:
    """Draws a background of two blended colours and three soft blobs; chance is float32 [n, 24, 1, 1] in 0..1."""
    down, across = canvas.v, canvas.u
    slope = ramp(0.5 + (chance[:, 6] - 0.5) * down + (chance[:, 7] - 0.5) * across)
    blobs = [
        bump((across - 2.4 * chance[:, 8 + k] + 1.2) / 0.6) * bump((down - 2 * chance[:, 11 + k] + 1) / 0.7)
        for k in range(3)
    ]
    for channel in range(3):
        first, second = chance[:, channel], chance[:, 3 + channel]
        plane = first + slope * (second - first)
        for number, blob in enumerate(blobs):
            plane = plane + blob * (chance[:, 14 + 3 * number + channel] - plane) * 0.6
        # Real backgrounds are greyer than random colours.
        canvas.rgb[channel] = 0.12 + 0.3 * plane + 0.45 * chance[:, 23]


def head(canvas: Canvas, trait: Traits, drop: Array) -> None:
    """Draws neck, clothes, the hair behind the head, ears and the face; drop is how far the chin is lowered."""
    patch = canvas.patch(WHOLE)
    u, v = patch.u, patch.v
    x = canvas.x
    out = np.abs(u)
    patch.paint(
        patch.cover(np.abs(x) - 0.42 - 0.3 * ramp((v - 0.85) / 0.3)) * ramp((v - 0.4) / 0.1), tone(trait, "skin", 0.72)
    )
    patch.paint(patch.cover(0.98 + 0.10 * np.abs(x) - v), tone(trait, "cloth"))
    side = trait["face_width"] + trait["hair_side"]
    back = np.sqrt(u * u / (side * side) + (v + 0.15) * (v + 0.15) / 0.85) - 1
    long = np.maximum(out - side - 0.03, -0.15 - v)
    mass = np.minimum(back * 0.75, np.where(trait["hair_long"] > 0, long, np.float32(1)))
    patch.paint(patch.cover(mass) * (1 - trait["bald"] * 0.75), tone(trait, "hair", 0.75))
    ear_u, ear_v = (out - trait["face_width"] - 0.02) / 0.07, (v + 0.08) / 0.16
    patch.paint(
        patch.cover((np.sqrt(ear_u * ear_u + ear_v * ear_v) - 1) * 0.08) * (1 - trait["hair_long"]),
        tone(trait, "skin", 0.82),
    )
    skin = patch.cover(outline(patch, trait, drop))
    patch.paint(skin, tone(trait, "skin"))
    flush = bump((out - 0.42) / 0.22) * bump((v - 0.2) / 0.22) * skin * 0.25
    patch.paint(flush, (trait["skin_0"], trait["skin_1"] * 0.85, trait["skin_2"] * 0.85))
    mole_u, mole_v = u - trait["mole_u"], v - trait["mole_v"]
    patch.paint(skin * bump(np.sqrt(mole_u * mole_u + mole_v * mole_v) / 0.035) * 0.7, tone(trait, "skin", 0.4))


def outline(patch: Patch, trait: Traits, drop: Array) -> Array:
    """Signed distance to the outline of the face."""
    low = np.maximum(patch.v + 0.05, np.float32(0)) / (trait["chin"] + 0.05 + drop)
    high = np.minimum(patch.v + 0.05, np.float32(0)) / 0.92
    low = low * low
    across = patch.u / (trait["face_width"] * (1 - (1 - trait["jaw"]) * np.minimum(low, 1)))
    return np.asarray(np.sqrt(across * across + low * (0.45 + 0.55 * low) + high * high) * 0.68 - 0.68)


def hair(canvas: Canvas, trait: Traits) -> None:
    """Draws the hair line, parting and fringe over the forehead, with strands."""
    patch = canvas.patch((-1.0, -1.0, 1.0, 0.1))
    u, v = patch.u, patch.v
    line = trait["forehead"] + trait["fringe"] + 0.55 * u * u + 0.12 * bump((u - trait["parting"]) / 0.25) * -1
    cap = np.sqrt(u * u / 0.68 + (v + 0.15) * (v + 0.15) / 0.82) - 1
    mask = patch.cover(np.maximum(v - line, cap * 0.8)) * (1 - trait["bald"])
    patch.clear_shade(mask)
    strand = (u - trait["parting"]) * 14 + v * 3
    strand = strand - np.floor(strand)
    patch.paint(mask, tone(trait, "hair", 0.82 + 0.36 * bump(2 * strand - 1)))


def beard(canvas: Canvas, trait: Traits) -> None:
    """Draws beard and moustache."""
    patch = canvas.patch((-0.85, 0.1, 0.85, 1.0))
    u, v = patch.u, patch.v
    ring = np.sqrt(u * u / 0.46 + (v - 0.42) * (v - 0.42) / 0.30)
    chin = ramp((ring - 0.62) / 0.22) * ramp((v - 0.15 - 0.2 * (1 - np.abs(u))) / 0.25)
    face = patch.cover(outline(patch, trait, np.float32(0.0) * trait["chin"]))
    patch.paint(chin * face * trait["beard"], tone(trait, "hair", 0.9))
    lip = bump((v - trait["mouth_height"] + 0.125) / 0.055) * bump(u / 0.30)
    patch.paint(np.minimum(1.3 * lip, 1) * trait["moustache"], tone(trait, "hair", 0.85))


def glasses(canvas: Canvas, trait: Traits) -> None:
    """Draws round or square glasses."""
    patch = canvas.patch((-0.95, -0.5, 0.95, 0.25))
    out, v = np.abs(patch.u) - trait["eye_gap"], patch.v - trait["eye_height"] - 0.02
    round_ = np.sqrt(out * out + v * v * 1.25) - 0.235
    square = np.maximum(np.abs(out) - 0.235, np.abs(v) - 0.175)
    ring = round_ + trait["glasses_square"] * (square - round_)
    frame = np.maximum(patch.stroke(ring, 0.026), patch.stroke(v + 0.03, 0.022) * (np.abs(patch.u) < 0.11))
    temple = patch.stroke(v + 0.03, 0.022) * (out > 0.23) * (np.abs(patch.u) < 0.78)
    frame = np.maximum(frame, temple)
    patch.paint(frame * trait["glasses"], (0.10, 0.09, 0.10))


def occluders(canvas: Canvas, trait: Traits, kind: Array, place: Array) -> None:
    """Draws a hand (kind 1), a strand of hair (2) or a scarf (3) in front of the face; nothing for kind 0."""
    patch = canvas.patch(WHOLE)
    side = np.where(place < 0.5, np.float32(-1), np.float32(1))
    x, y = canvas.x * side, canvas.y
    for number in range(4):
        # Four fingers with round tips; a shadow between them.
        back = np.maximum(0.34 + 0.22 * place + 0.05 * (number - 1) * (number - 1) - x, np.float32(0))
        aside = y - 0.28 - 0.125 * number - 0.30 * (x - 0.6)
        finger = np.sqrt(back * back + aside * aside) - 0.060
        _in_front(
            patch, patch.cover(finger) * (kind == 1), tone(trait, "skin", 0.94 - 0.35 * bump((finger + 0.005) / 0.03))
        )
    for number in range(3):
        lock = np.abs(x - 0.18 - 0.35 * place - (0.15 + 0.12 * number) * y * y - 0.10 * number) - 0.035
        strand = patch.cover(np.maximum(lock, y - 0.25 + 0.2 * number)) * (kind == 2)
        _in_front(patch, strand, tone(trait, "hair", 0.9))
    knit = (x + y) * 7 - np.floor((x + y) * 7)
    scarf = patch.cover(0.62 + 0.1 * place + 0.08 * x - y) * (kind == 3)
    _in_front(patch, scarf, tone(trait, "cloth", 0.8 + 0.4 * bump(2 * knit - 1)))


def _in_front(patch: Patch, mask: Array, colour: Colour) -> None:
    """Paints something that hides the skin and its folds."""
    patch.paint(mask, colour)
    patch.clear_shade(mask)


def lighting(canvas: Canvas, light: Array) -> None:
    """Shades the head by the direction of the light: float32 [3, n, 1, 1] across, above, brightness."""
    x, y = canvas.x, canvas.y
    round_ = np.minimum(x * x * 0.8 + y * y * 0.5, 1)
    canvas.shade *= light[2] * (1.04 - 0.22 * round_ + 0.42 * light[0] * x - 0.22 * light[1] * y)
