"""What a method changes of the process that trials share: named, undone, and no trial after it computes otherwise."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch

from fernoise_bench.benchmark.isolation.process_state import (
    CHILDREN,
    ENVIRONMENT,
    THREADS,
    ChangedProcess,
    ProcessState,
)
from fernoise_bench.methods import losses


def change_code() -> None:
    torch.nn.functional.gelu_like = None  # type: ignore[attr-defined] - a new name in a module changes nothing
    torch.nn.functional.softmin.__defaults__ = (1, 3, None)


def child() -> None:
    process = subprocess.Popen(["sleep", "600"])
    process.returncode = 0  # nobody waits for it


def hook() -> None:
    torch.nn.modules.module.register_module_forward_hook(lambda *_: None)


CHANGES: dict[str, Callable[[], object]] = {
    "torch.nn.functional.cross_entropy": lambda: setattr(torch.nn.functional, "cross_entropy", abs),
    "Tensor.softmax": lambda: setattr(torch.Tensor, "softmax", lambda *_: None),  # inherited until then
    "Linear.forward": lambda: setattr(torch.nn.Linear, "forward", lambda *_: None),
    "fernoise_bench.methods.losses.masked_bce": lambda: setattr(losses, "masked_bce", abs),
    "numpy.mean": lambda: setattr(np, "mean", abs),
    "builtins.sum": lambda: setattr(__import__("builtins"), "sum", abs),
    "softmin": change_code,
    "torch's default dtype": lambda: torch.set_default_dtype(torch.float64),
    "torch's default device": lambda: torch.set_default_device("meta"),
    "torch's gradient mode": lambda: torch.set_grad_enabled(False),
    "torch's anomaly detection": lambda: torch.autograd.set_detect_anomaly(True),
    "torch's autocast": lambda: torch.set_autocast_enabled("cpu", True),
    "torch's deterministic algorithms": lambda: torch.use_deterministic_algorithms(True),
    "torch's number of threads": lambda: torch.set_num_threads(3),
    "cuDNN's use": lambda: setattr(torch.backends.cudnn, "enabled", False),
    "oneDNN's use": lambda: setattr(torch.backends.mkldnn, "enabled", False),
    "CUDA's sums of 16-bit numbers": lambda: setattr(
        torch.backends.cuda.matmul, "allow_bf16_reduced_precision_reduction", False
    ),
    "torch's hooks of all modules": hook,
    "torch's treatment of very small numbers": lambda: torch.set_flush_denormal(True),
    "cuDNN's benchmark": lambda: setattr(torch.backends.cudnn, "benchmark", not torch.backends.cudnn.benchmark),
    "NumPy's error handling": lambda: np.seterr(all="raise"),
    "NumPy's global generator": lambda: np.random.rand(),  # noqa: NPY002
    "Python's global generator": random.random,
    "the working directory": lambda: os.chdir("/"),
    "environment variables": lambda: os.environ.update(FERNOISE_TEST="1"),
    "signal handlers": lambda: signal.signal(signal.SIGUSR2, lambda *_: None),
    "child processes": child,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_named_and_undone(name: str) -> None:
    before = ProcessState.now()
    assert before.changes() == []
    CHANGES[name]()
    try:
        assert name in before.changes()
        with pytest.raises(ChangedProcess, match=r"it changed or left what trials share in this process: "):
            before.check()
    finally:
        assert before.restore() == []
    assert ProcessState.now().settings.keys() == before.settings.keys()


PRECISIONS = {
    "matrices": lambda: torch.set_float32_matmul_precision("medium"),
    "matrices by a flag": lambda: setattr(
        torch.backends.cuda.matmul, "allow_tf32", not torch.backends.cuda.matmul.allow_tf32
    ),
    "convolutions": lambda: setattr(torch.backends.cudnn, "allow_tf32", not torch.backends.cudnn.allow_tf32),
    "all": lambda: setattr(torch.backends, "fp32_precision", "tf32"),
    "oneDNN's": lambda: setattr(torch.backends.mkldnn.matmul, "fp32_precision", "bf16"),
    "cuDNN's": lambda: setattr(torch.backends.cudnn.conv, "fp32_precision", "ieee"),
}


@pytest.mark.parametrize("tf32", [False, True])
@pytest.mark.parametrize("change", PRECISIONS)
def test_precision_is_named_and_undone_also_where_torch_refuses_to_tell_it(change: str, tf32: bool) -> None:
    """Its older flags cannot be read once a backend's own precision contradicts them."""
    name = "torch's precision of 32-bit numbers"
    first = ProcessState.now()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    before = ProcessState.now()
    PRECISIONS[change]()
    assert name in before.changes()
    assert before.restore() == []
    assert torch.get_float32_matmul_precision() == ("high" if tf32 else "highest")
    assert torch.backends.cudnn.allow_tf32 is tf32
    assert first.restore() == []


def test_a_thread_that_stays_is_named_and_cannot_be_undone() -> None:
    before, go = ProcessState.now(), threading.Event()
    thread = threading.Thread(target=go.wait, name="mine")
    thread.start()
    assert before.changes() == ["threads (mine)"]
    assert before.restore() == ["threads (mine)"]
    go.set()
    assert before.restore() == []


def test_a_process_that_a_method_forked_ends_where_it_would_report() -> None:
    for call in (ProcessState.check, ProcessState.restore):
        before, pid = ProcessState.now(), os.fork()
        if not pid:
            try:
                call(before)
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def test_what_is_left_out_is_neither_named_nor_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ProcessState.now(frozenset({ENVIRONMENT, THREADS, CHILDREN}))
    monkeypatch.setenv("FERNOISE_TEST", "1")
    assert before.restore() == []
    assert os.environ["FERNOISE_TEST"] == "1"


def test_the_first_optimiser_of_a_kind_and_modules_imported_later_are_no_change() -> None:
    """torch wraps a kind's step for its profiler when the first of the kind is made."""
    before = ProcessState.now()

    class Own(torch.optim.SGD):
        pass

    for kind in (Own, torch.optim.Rprop, torch.optim.ASGD):
        kind([torch.zeros(1, requires_grad=True)], lr=0.1)
    import fernoise_bench.benchmark.doctor  # noqa: F401

    assert before.changes() == []


def test_the_first_adamw_of_a_process_is_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """It inherits Adam's step, so that the wrapped one is a new attribute of its class."""
    adam, adamw = torch.optim.Adam, torch.optim.AdamW  # as in a process that has made no optimiser yet
    if "step" in vars(adamw):
        monkeypatch.delattr(adamw, "step")
    if getattr(adam.step, "hooked", False):
        monkeypatch.setattr(adam, "step", adam.step.__wrapped__)  # type: ignore[attr-defined]
    before = ProcessState.now()
    adamw([torch.zeros(1, requires_grad=True)], lr=0.1)
    assert before.changes() == []
