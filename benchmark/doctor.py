"""Checks what this machine has for a run and what it lacks, and says what to do about it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import torch
from threadpoolctl import threadpool_info

from ..protocols.datasets.catalog import where
from ..protocols.errors import BadInput
from ..protocols.locks import FolderLock, is_locked
from .engines.options import default_workers
from .networks.initial_weights import VGGFACE2_FILES
from .networks.provenance import MSCELEB_FILES
from .planning.grid import check_writable

State = Literal["ok", "note", "problem"]
PACKAGES = ("fernoise-bench", "torch", "timm", "numpy", "scikit-learn", "pandas")
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "figures": ("matplotlib",),
    "video": ("av",),
    "align": ("dlib", "face_recognition_models"),
    "cleanlab": ("cleanlab",),
    "ray": ("ray",),
    "slurm": ("submitit",),
}
TRIAL_GB = 2.0  # memory of a trial at the small profile on the CPU, torch included
FREE_DISK_GB = 5.0


@dataclass(frozen=True)
class DoctorCheck:
    """One thing that was checked.

    Attributes:
        what: the thing.
        state: "ok"; "note" where some runs need more; "problem" where no run could succeed.
        found: what is there.
        advice: what to do, or an empty string.
    """

    what: str
    state: State
    found: str
    advice: str = ""


def examine(data_root: Path, out: Path) -> list[DoctorCheck]:
    """All checks. Reads the labels of the data sets; writes one file to the output folder and removes it again."""
    groups: Sequence[Callable[[], list[DoctorCheck]]] = (
        installed,
        extras,
        devices,
        threads,
        memory,
        lambda: writable(out),
        lambda: data(data_root),
        lambda: weights(data_root),
    )
    return [check for group in groups for check in group()]


def _check(what: str, found: str, advice: str = "") -> DoctorCheck:
    """A check whose state is "note" where there is advice, else "ok"."""
    return DoctorCheck(what, "note" if advice else "ok", found, advice)


def installed() -> list[DoctorCheck]:
    """Python and the packages that every run needs, with their versions."""
    found = [_check("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")]
    for name in PACKAGES:
        try:
            found.append(_check(name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            found.append(DoctorCheck(name, "problem", "not installed", f"pip install {name}"))
    return found


def extras() -> list[DoctorCheck]:
    """Which extras are installed."""
    found = []
    for extra, modules in EXTRAS.items():
        missing = any(importlib.util.find_spec(name) is None for name in modules)
        advice = f"if you need it: pip install 'fernoise-bench[{extra}]'" if missing else ""
        found.append(_check(f"extra [{extra}]", "no" if missing else "yes", advice))
    if shutil.which("sbatch"):
        found.append(_check("Slurm", "sbatch is installed: --engine slurm can be used"))
    return found


def devices() -> list[DoctorCheck]:
    """The CPU's cores and bfloat16 arithmetic, and the GPUs with their memory."""
    cores = default_workers("cpu")
    found = [_check("cpu", f"{cores} usable of {os.cpu_count()} cores; {_bf16()}")]
    if not torch.cuda.is_available():
        built = torch.version.cuda
        advice = "" if built is None else "this torch is built for CUDA: is a driver installed, and the device visible?"
        return [*found, DoctorCheck("cuda", "note", "no device", advice)]
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        name = torch.cuda.get_device_properties(number).name
        advice = "other programs use it: choose a device with CUDA_VISIBLE_DEVICES" if free < total / 2 else ""
        found.append(_check(f"cuda:{number}", f"{name}, {free / 2**30:.0f} of {total / 2**30:.0f} GB free", advice))
    return found


def _bf16() -> str:
    """Which instructions of the CPU multiply bfloat16."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return "bf16: unknown"
    found = [word for flag, word in (("amx_bf16", "AMX"), ("avx512_bf16", "AVX-512")) if flag in flags]
    return f"bf16 by {' and '.join(found)}" if found else "no bf16 arithmetic: --precision bf16 may be slow"


def threads() -> list[DoctorCheck]:
    """Threads of the numerical libraries, and the load of the machine."""
    setting, cores = os.environ.get("OMP_NUM_THREADS"), default_workers("cpu")
    pools = sorted({(str(pool["user_api"]), int(pool["num_threads"])) for pool in threadpool_info()})
    what = ", ".join(f"{name} {number}" for name, number in pools)
    found = [_check("threads", f"a trial trains on one; OMP_NUM_THREADS {setting or 'not set'} ({what})")]
    if hasattr(os, "getloadavg"):
        load = os.getloadavg()[0]
        busy = "other programs use the cores: runs take longer, with the same results" if load > cores / 2 else ""
        found.append(_check("load", f"{load:.1f} on {cores} cores", busy))
    return found


def memory() -> list[DoctorCheck]:
    """The free memory, and how many small trials fit into it; nothing where it is not known."""
    path = Path("/proc/meminfo")
    if not path.is_file():
        return []
    lines = (line.split() for line in path.read_text().splitlines())
    free = next(int(words[1]) for words in lines if words[0] == "MemAvailable:") / 2**20
    trials = int(free // TRIAL_GB)
    advice = f"--workers {max(trials, 1)}: a small trial takes about {TRIAL_GB:g} GB"
    return [_check("memory", f"{free:.1f} GB free", advice if trials < default_workers("cpu") else "")]


def writable(out: Path) -> list[DoctorCheck]:
    """Whether the output folder can be written and locked, and how much disk space is free."""
    try:
        check_writable(out)
    except BadInput as error:
        return [DoctorCheck("output", "problem", str(error))]
    place = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.is_dir())
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=place) as folder, FolderLock(Path(folder)):
            locks = is_locked(Path(folder))
    except OSError as error:
        return [DoctorCheck("output", "problem", f"{place}: {error.strerror or error}", "choose another --out")]
    free = shutil.disk_usage(place).free / 2**30
    unlocked = "" if locks else "its file system has no locks: never use it for two runs at a time"
    full = "free some disk space, or choose another --out" if free < FREE_DISK_GB else ""
    return [_check("output", f"{place} is writable", unlocked), _check("disk", f"{free:.0f} GB free", full)]


def data(data_root: Path) -> list[DoctorCheck]:
    """Which data sets are there, whether they are complete, and which are prepared."""
    found = []
    for line in where(data_root):
        name, state, remark = f"data {line['data set']}", line["found"], line["remark"]
        differs = "fernoise-bench data verify says what differs" if state == "partial" else ""
        found.append(_check(name, "no", remark) if state == "no" else _check(name, f"{state}: {remark}", differs))
    packs = sorted(path.name for path in (data_root / "packs").glob("*-*") if path.is_dir())
    return [*found, DoctorCheck("packs", "ok" if packs else "note", ", ".join(packs) or "none")]


def weights(data_root: Path) -> list[DoctorCheck]:
    """Initial weights that papers start from and that users have to download themselves."""
    folder, found = data_root / "weights", []
    for name, files in (("msceleb", MSCELEB_FILES), ("vggface2", VGGFACE2_FILES)):
        present = [file for file in files if (folder / file).is_file()]
        advice = "" if present else f"one of {', '.join(files)} in {folder}, or --weights none"
        found.append(_check(f"weights {name}", present[0] if present else "no", advice))
    return found
