"""A pretended GPU: tensors without values, on which a training step runs and every wait for the device is noted.

Torch's "meta" device keeps shapes, types and devices. Tensors and generators of different devices do not mix. What
would need a value from the device, such as `bool(mask.any())`, gets a made-up one here, and is noted with the file that
asked. For operations whose result has a shape that depends on values, such as `torch.unique`, torch raises an error.
"""

from __future__ import annotations

import contextlib
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import fernoise_bench.benchmark as benchmark
from fernoise_bench.benchmark import random_streams

ROOT = Path(next(iter(benchmark.__path__))).parent
META = torch.device("meta")
aten = torch.ops.aten
INDEXING = frozenset(
    {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}
)

COPIES = frozenset({aten._to_copy.default, aten.copy_.default})
# decompositions, and the check of one, for which torch reads on the host whether it succeeded
CHECKED = frozenset(
    {
        aten._linalg_check_errors.default, aten._linalg_eigh.default, aten._linalg_svd.default,
        aten.linalg_lstsq.default, aten.linalg_pinv.atol_rtol_tensor,
    }
)  # fmt: skip


class Generator(torch.Generator):
    """A generator that says it is on the pretended device, for which torch has none."""

    device = META  # type: ignore[assignment]


@contextlib.contextmanager
def _scope(device: torch.device, *parts: int | str) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(random_streams.key(*parts))
        yield


def pretend(patch: pytest.MonkeyPatch, watch: Watch) -> None:
    """Makes the random streams of the pretended device, and watches values that come from the host."""
    for place, name in ((torch, "tensor"), (torch, "as_tensor"), (Tensor, "new_tensor")):
        patch.setattr(place, name, watch.from_host(getattr(place, name)))
    patch.setattr(random_streams, "generator", watch.generator)
    patch.setattr(random_streams, "scope", _scope)
    patch.setattr(torch, "manual_seed", torch.default_generator.manual_seed)


def _here() -> str:
    """The file of this project whose line is being run."""
    frames = reversed(traceback.extract_stack())
    paths = (Path(frame.filename) for frame in frames)
    ours = (path.relative_to(ROOT) for path in paths if path.is_relative_to(ROOT) and ".venv" not in path.parts)
    return next((path.as_posix() for path in ours if path.parts[0] != "tests"), "torch")


def _on_device(value: object) -> bool:
    return isinstance(value, Tensor) and value.device == META


@dataclass
class Watch(TorchDispatchMode):
    """Notes waits for the device and counts its operations while `on`.

    Attributes:
        waits: how often, by (file, what).
        operations: how many were started, by file.
        seeds: of the device's generators, by which they are known, since torch passes on copies.
    """

    on: bool = False
    waits: Counter[tuple[str, str]] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    seeds: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def wait(self, what: str) -> None:
        if self.on:
            self.waits[_here(), what] += 1

    def generator(self, device: torch.device, *parts: int | str) -> torch.Generator:
        """`random_streams.generator` for the pretended device."""
        generator = Generator()
        generator.manual_seed(random_streams.key(*parts))
        self.seeds.add(generator.initial_seed())
        return generator

    def from_host(self, make: Any) -> Any:
        """A function that makes tensors of values of the host, which waits where they are on the device."""

        def made(*args: Any, **kwargs: Any) -> Any:
            found = make(*args, **kwargs)
            if _on_device(found) and found is not args[0]:
                self.wait("values of the host are copied to the device")
            return found

        return made

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        self._check_generator(func, args, kwargs)
        if func is aten._local_scalar_dense.default and _on_device(args[0]):
            self.wait("a value is read")
            return 0.25 if args[0].dtype.is_floating_point else True if args[0].dtype == torch.bool else 1
        if func is aten.nonzero.default and _on_device(args[0]):
            self.wait("rows are counted")
            return args[0].new_empty((max(1, args[0].numel() // 2), args[0].dim()), dtype=torch.int64)
        if func in INDEXING:
            args = (args[0], self._by_number(args[0], args[1]), *args[2:])
        elif func not in COPIES:
            _check_together(func, tree_leaves((args, kwargs)))
        if func in COPIES:
            source, target = self._check_copy(func, args, kwargs)
            if source.device == META and target != META:
                values = torch.ones(source.shape, dtype=kwargs.get("dtype") or source.dtype)
                values = values * 0.25 if values.is_floating_point() else values
                return values if func is aten._to_copy.default else args[0].copy_(values)
        if func in CHECKED and _on_device(args[0]):
            self.wait("a decomposition is checked")
        found = func(*args, **kwargs)
        if self.on and not _is_view(func) and any(map(_on_device, tree_leaves(found))):
            self.operations[_here()] += 1
        return found

    def _check_generator(self, func: Any, args: Any, kwargs: dict[str, Any]) -> None:
        generator = kwargs.get("generator")
        if generator is None:
            return
        wanted = kwargs.get("device") or next((each.device for each in args if isinstance(each, Tensor)), None)
        device = META if generator.initial_seed() in self.seeds else generator.device
        if wanted is not None and torch.device(wanted) != device:
            raise RuntimeError(f"{func}: a generator on {device} for a tensor on {wanted}")
        kwargs["generator"] = None

    def _by_number(self, values: Tensor, indexes: Any) -> list[Any]:
        """Indexes with the masks among them as row numbers, of which there are half as many as entries."""
        found: list[Any] = []
        for index in indexes:
            if isinstance(index, Tensor) and index.dim() and index.device != values.device:
                self.wait("an index is copied")
                if index.device == META:
                    raise RuntimeError("an index on the device for a tensor on the host")
            if isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8):
                if _on_device(index):
                    self.wait("rows are chosen by a mask")
                count = max(1, index.numel() // 2)
                found += [index.new_zeros(count, dtype=torch.int64) for _ in range(index.dim())]
            else:
                found.append(index)
        return found

    def _check_copy(self, func: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Tensor, torch.device]:
        """Notes a copy that waits; its source, and where it goes."""
        is_copy = func is aten.copy_.default
        source = args[1] if is_copy else args[0]
        target = args[0].device if is_copy else torch.device(kwargs.get("device") or source.device)
        later = kwargs.get("non_blocking") or (is_copy and len(args) > 2 and args[2])
        if source.device != target and not later:
            self.wait(f"a copy from {_name(source.device)} to {_name(target)}")
        return source, target


def _check_together(func: Any, values: list[Any]) -> None:
    """Raises RuntimeError where tensors of the device meet those of the host, but for single numbers."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    if any(map(_on_device, tensors)) and any(each.dim() and not _on_device(each) for each in tensors):
        raise RuntimeError(f"{func}: tensors on the device and on the host")


def _name(device: torch.device) -> str:
    return "the device" if device == META else "the host"


def _is_view(func: Any) -> bool:
    """Whether an operation moves no data: the result shares the memory of an argument, or has none of its own."""
    aliases = (each.alias_info for each in func._schema.returns)
    return any(alias is not None and not alias.is_write for alias in aliases) or func is aten.detach.default
