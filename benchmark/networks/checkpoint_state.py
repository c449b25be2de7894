"""The parameters in a checkpoint, wherever a training script put them: under a key, behind a prefix."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...protocols.errors import BadInput, printable

_KEYS = ("state_dict", "model_state_dict")
_WRAPPERS = re.compile(r"^(module\.|_orig_mod\.)+")
# The first convolution of a ResNet, not one of its blocks.
_FIRST, _IN_A_BLOCK = "conv1.weight", re.compile(r"layer\d\.")
_SHOWN = 5


def parameters_of(content: Any, name: str, expected: str) -> tuple[dict[str, Tensor], str]:
    """The parameters of one network by its own names, and under what other key or name than usual they were, or "".

    They may be the content itself, or under `state_dict`, `model_state_dict` or another key that alone has parameters.
    Entries that are no tensors are left out. Prefixes of PyTorch's wrappers are removed, and so is the name under which
    a larger network holds a ResNet ("backbone."), whose other parts are left out.

    Args:
        content: what the file holds.
        name: of the file, for errors.
        expected: what was expected, for errors.

    Raises:
        BadInput: no parameters, two networks, or a parameter that is not finite.
    """
    state = content
    for key in _KEYS:
        state = state.get(key, state) if isinstance(state, Mapping) else None
    found, place = _tensors(state), ""
    if not found and isinstance(state, Mapping):
        inside = {str(key): tensors for key, value in state.items() if (tensors := _tensors(value))}
        if len(inside) > 1:
            keys = printable(", ".join(inside))
            raise BadInput(f"{name}: parameters under {keys}; save one network alone as state_dict; {expected}")
        place, found = next(iter(inside.items()), ("", {}))
    if not found and (state is None or not isinstance(state, Mapping) or state):
        keys = printable(", ".join(map(str, list(content)[:_SHOWN]))) if isinstance(content, Mapping) else ""
        raise BadInput(f"{name}: holds no parameters (state_dict){f', only {keys}' if keys else ''}; {expected}")
    state, prefix = _unwrapped(found, name, expected)
    if wrong := next((key for key, value in state.items() if not torch.isfinite(value).all()), None):
        raise BadInput(f"{name}: {printable(wrong)} has values that are not finite, so its training failed; {expected}")
    return state, " and ".join(filter(None, (place, prefix)))


def _tensors(value: object) -> dict[str, Tensor]:
    items = value.items() if isinstance(value, Mapping) else ()
    return {key: each for key, each in items if isinstance(key, str) and isinstance(each, Tensor)}


def _unwrapped(state: Mapping[str, Tensor], name: str, expected: str) -> tuple[dict[str, Tensor], str]:
    """The parameters without prefixes, and the name under which a larger network held them, or ""."""
    plain = {_WRAPPERS.sub("", key): value for key, value in state.items()}
    if len(plain) < len(state):
        again = next(key for key in state if _WRAPPERS.sub("", key) in state.keys() - {key})
        raise BadInput(f"{name}: {again} is there with and without a wrapper's prefix; save one network; {expected}")
    first = [key for key in plain if key.endswith(f".{_FIRST}") and not _IN_A_BLOCK.search(key)]
    if _FIRST in plain or len(first) != 1:
        return plain, ""
    prefix = first[0].removesuffix(_FIRST)
    return {key.removeprefix(prefix): value for key, value in plain.items() if key.startswith(prefix)}, prefix
