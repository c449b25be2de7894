"""The state of the process that numbers depend on: what a method changed of it is named, and undone.

Trials share a process. A function of torch that one method replaces, a default it sets or a thread it leaves would
change the numbers of the trials after it.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch

# What numbers are computed with: of these modules, and of all below the packages, functions and classes are compared.
_MODULES = frozenset({"torch", "torch.linalg", "numpy", "builtins", "math", "os", "random", "time"})
_BELOW = (
    *("torch.nn.", "torch.optim.", "torch.autograd.", "torch.backends.", "numpy.", "timm.layers."),
    "fernoise_bench.",
)
THREADS, CHILDREN, ENVIRONMENT = "threads", "child processes", "environment variables"
GENERATORS = ("NumPy's global generator", "Python's global generator")
_JOIN_SECONDS = 1.0  # for threads that are about to end
_SET_BY_LIBRARIES = ("CUDA_", "KMP_", "TORCHINDUCTOR_", "TRITON_")  # variables that libraries set at first use
_PARTS = ("all", "matmul", "conv", "rnn")
_PRECISIONS = (("generic", "all"), *((backend, part) for backend in ("mkldnn", "cuda") for part in _PARTS))
_CHILDREN = Path("/proc/self/task")
_ABSENT = object()

Owner = ModuleType | type


class ChangedProcess(RuntimeError):
    """Raised where a method changed the process that it shares with other trials; the message says what."""


class _Setting(NamedTuple):
    """How a setting of the process is read and set."""

    read: Callable[[], Any]
    write: Callable[[Any], object]


def _set_deterministic(value: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(value[0], warn_only=value[1])


def _set_environment(value: Mapping[str, str]) -> None:
    for name in os.environ.keys() - value.keys():
        del os.environ[name]
    os.environ.update(value)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_SET_BY_LIBRARIES)}


def _handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _set_handlers(value: Mapping[int, Any]) -> None:
    for number, handler in value.items():
        if signal.getsignal(number) is not handler and handler is not None:
            signal.signal(number, handler)


def _hooks() -> dict[str, dict[Any, Any]]:
    """The hooks that are called for every module."""
    parts = vars(torch.nn.modules.module).items()
    return {name: dict(value) for name, value in parts if name.startswith("_global_") and isinstance(value, dict)}


def _set_hooks(value: Mapping[str, Mapping[Any, Any]]) -> None:
    for name, hooks in value.items():
        found = getattr(torch.nn.modules.module, name)
        found.clear()
        found.update(hooks)


def _flushes_small_numbers() -> bool:
    """Whether numbers below the smallest normal one are taken for 0."""
    return bool((torch.tensor([1e-40], dtype=torch.float32, device="cpu") * 0.5 == 0).item())


def _precision() -> dict[str, Any]:
    """In what precision 32-bit numbers are multiplied: the older flags, and from PyTorch 2.9 on each backend's own."""
    matrices, convolutions = _told(torch.get_float32_matmul_precision), _told(lambda: torch.backends.cudnn.allow_tf32)
    read = getattr(torch._C, "_get_fp32_precision_getter", None)
    own = {} if read is None else {part: read(*part) for part in _PRECISIONS}
    return {"matrices": matrices, "convolutions": convolutions, "own": own}


def _told(read: Callable[[], Any]) -> Any:
    """What an older flag says; None where torch refuses to tell, since a backend's own precision contradicts it."""
    with suppress(RuntimeError):
        return read()
    return None


def _set_precision(value: Mapping[str, Any]) -> None:
    def set_own() -> None:
        for part, precision in value["own"].items():
            torch._C._set_fp32_precision_setter(*part, precision)  # type: ignore[call-arg]

    set_own()  # first, since an older flag may not be set while they contradict it, and last, since it changes them
    if value["matrices"] is not None:
        torch.set_float32_matmul_precision(value["matrices"])
    if value["convolutions"] is not None:
        torch.backends.cudnn.allow_tf32 = value["convolutions"]
    set_own()


def _flag(place: Any, name: str) -> _Setting:
    return _Setting(lambda: getattr(place, name), lambda value: setattr(place, name, value))


_SETTINGS: Mapping[str, _Setting] = {
    "the working directory": _Setting(os.getcwd, os.chdir),
    ENVIRONMENT: _Setting(_environment, _set_environment),
    "signal handlers": _Setting(_handlers, _set_handlers),
    "garbage collection": _Setting(gc.isenabled, lambda value: gc.enable() if value else gc.disable()),
    "torch's default device": _Setting(
        torch.get_default_device, lambda value: torch.set_default_device(None if value.type == "cpu" else value)
    ),
    "torch's default dtype": _Setting(torch.get_default_dtype, torch.set_default_dtype),
    "torch's gradient mode": _Setting(torch.is_grad_enabled, torch.set_grad_enabled),
    "torch's inference mode": _Setting(torch.is_inference_mode_enabled, lambda value: None),  # cannot be left
    "torch's anomaly detection": _Setting(torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    "torch's autocast": _Setting(
        lambda: torch.is_autocast_enabled("cpu"), lambda value: torch.set_autocast_enabled("cpu", value)
    ),
    "torch's deterministic algorithms": _Setting(
        lambda: (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        _set_deterministic,
    ),
    "torch's precision of 32-bit numbers": _Setting(_precision, _set_precision),
    "torch's number of threads": _Setting(torch.get_num_threads, torch.set_num_threads),
    "torch's hooks of all modules": _Setting(_hooks, _set_hooks),
    "torch's treatment of very small numbers": _Setting(_flushes_small_numbers, torch.set_flush_denormal),
    "cuDNN's benchmark": _flag(torch.backends.cudnn, "benchmark"),
    "cuDNN's deterministic": _flag(torch.backends.cudnn, "deterministic"),
    "cuDNN's use": _flag(torch.backends.cudnn, "enabled"),
    "oneDNN's use": _flag(torch.backends.mkldnn, "enabled"),
    "CUDA's sums of 16-bit numbers": _flag(torch.backends.cuda.matmul, "allow_bf16_reduced_precision_reduction"),
    "NumPy's error handling": _Setting(np.geterr, lambda value: np.seterr(**value)),
    GENERATORS[0]: _Setting(partial(np.random.get_state, legacy=False), np.random.set_state),
    GENERATORS[1]: _Setting(random.getstate, random.setstate),
}


@dataclass(frozen=True)
class ProcessState:
    """The state of this process at one moment.

    Attributes:
        settings: values by name.
        owners: by id, each module and class with its attributes.
        inner: by id, the code and defaults of functions written in Python.
        threads, children: those that ran.
        pid: the process's number.
        without: names of what is not compared.
    """

    settings: Mapping[str, Any]
    owners: Mapping[int, tuple[Owner, dict[str, Any]]]
    inner: Mapping[int, tuple[FunctionType, tuple[Any, ...]]]
    threads: frozenset[threading.Thread]
    children: frozenset[int]
    without: frozenset[str] = frozenset()
    pid: int = field(default_factory=os.getpid)

    @classmethod
    def now(cls, without: frozenset[str] = frozenset()) -> ProcessState:
        """The present state, without settings of some names, THREADS or CHILDREN."""
        _make_first_optimisers()
        owners = {id(owner): (owner, dict(vars(owner))) for owner in _owners()}
        functions = {value for _, found in owners.values() for value in found.values() if type(value) is FunctionType}
        inner = {id(function): (function, _inside(function)) for function in functions}
        settings = {name: setting.read() for name, setting in _SETTINGS.items() if name not in without}
        return cls(settings, owners, inner, frozenset(threading.enumerate()), _child_processes(), without)

    def changes(self) -> list[str]:
        """What differs now, in words; nothing where all is as it was."""
        names = [name for name, value in self.settings.items() if not _same(_SETTINGS[name].read(), value)]
        names += [f"{owner.__name__}.{name}" for owner, name, _ in self._replaced()]
        names += [function.__qualname__ for function, inside in self.inner.values() if _inside(function) != inside]
        if threads := self._new_threads():
            names.append(f"{THREADS} ({', '.join(sorted(thread.name for thread in threads))})")
        if self._new_children():
            names.append(CHILDREN)
        return names

    def check(self) -> None:
        """Raises ChangedProcess where something differs now."""
        self._end_if_forked()
        if names := self.changes():
            listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            raise ChangedProcess(
                f"it changed or left what trials share in this process: {listed}; change nothing outside the method"
            )

    def restore(self) -> list[str]:
        """Undoes what differs now; returns what cannot be undone, in words."""
        self._end_if_forked()
        for pid in self._new_children():
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        for owner, name, value in list(self._replaced()):
            delattr(owner, name) if value is _ABSENT else setattr(owner, name, value)
        for function, inside in self.inner.values():
            if _inside(function) != inside:
                function.__code__, function.__defaults__, function.__kwdefaults__ = inside
        for name, value in self.settings.items():
            if not _same(_SETTINGS[name].read(), value):
                with suppress(OSError, ValueError, RuntimeError):
                    _SETTINGS[name].write(value)
        return self.changes()

    def _end_if_forked(self) -> None:
        """Ends a process that a method forked and that trains on: it would report other trials' ends as well."""
        if os.getpid() != self.pid:
            os._exit(1)

    def _replaced(self) -> Iterator[tuple[Owner, str, Any]]:
        """What has another value now: the owner, the name, and the value before."""
        for owner, before in self.owners.values():
            now = vars(owner)
            for name, value in before.items():
                if now.get(name, _ABSENT) is not value and _counts(value) and not _is_wrapped_step(now.get(name)):
                    yield owner, name, value
            if isinstance(owner, type) and len(now) > len(before):
                added = {name: value for name, value in now.items() if name not in before and _counts(value)}
                yield from ((owner, name, _ABSENT) for name, value in added.items() if not _is_wrapped_step(value))

    def _new_children(self) -> frozenset[int]:
        """Child processes that were started since."""
        return frozenset() if CHILDREN in self.without else _child_processes() - self.children

    def _new_threads(self) -> list[threading.Thread]:
        """Threads that were started since and do not end."""
        if THREADS in self.without:
            return []
        started = [thread for thread in threading.enumerate() if thread not in self.threads]
        for thread in started:
            if type(thread).__name__ != "_DummyThread" and thread is not threading.current_thread():
                thread.join(_JOIN_SECONDS)
        return [thread for thread in started if thread.is_alive() and type(thread).__name__ != "_DummyThread"]


def _make_first_optimisers() -> None:
    """The first optimiser of a process makes torch import what replaces `torch.manual_seed`, and wrap its step."""
    for kind in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW):
        kind([torch.zeros(1)], lr=0.1)


def _owners() -> Iterator[Owner]:
    """The modules whose functions are compared, and the classes of their packages that they hold."""
    modules = [module for name, module in list(sys.modules.items()) if _is_compared(name, module)]
    yield from modules
    classes = {value for module in modules for value in list(vars(module).values()) if isinstance(value, type)}
    roots = {name.partition(".")[0] for name in (*_MODULES, *_BELOW)}
    yield from (each for each in classes if str(each.__module__).partition(".")[0] in roots)


def _is_compared(name: str, module: object) -> bool:
    if not isinstance(module, ModuleType) or "._" in name:
        return False
    return name in _MODULES or f"{name}.".startswith(_BELOW)


def _counts(value: object) -> bool:
    """Functions, classes, properties and constants; modules keep caches and counters of other types."""
    return callable(value) or hasattr(value, "__get__") or isinstance(value, float)


def _is_wrapped_step(value: object) -> bool:
    """Whether torch has wrapped an optimiser's step for its profiler, as it does when the first of its class is made.

    The wrapped step of a class that inherits it, as AdamW does Adam's, is an attribute that was not there before.
    """
    return getattr(value, "hooked", False) is True


def _inside(function: FunctionType) -> tuple[Any, ...]:
    return function.__code__, function.__defaults__, function.__kwdefaults__


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other)


def _child_processes() -> frozenset[int]:
    """The numbers of this process's running child processes; on systems other than Linux those of multiprocessing."""
    found = {child.pid for child in multiprocessing.active_children() if child.pid}
    with suppress(OSError, ValueError):
        for task in _CHILDREN.iterdir():
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return frozenset(pid for pid in found if not _has_ended(pid))


def _has_ended(pid: int) -> bool:
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False
