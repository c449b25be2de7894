"""Real clusters on one machine for tests: Slurm with one node, Ray with as many as asked; and a method that waits.

Everything is started on loopback in folders of its own, and everything that was started is ended again. Where a cluster
cannot be started the test is skipped, and says why.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 240.0
ANSWER = 60.0
RUN = (sys.executable, "-c", "from fernoise_bench.benchmark.cli import main; main(prog_name='fernoise-bench')")
WAITING_METHOD = '''
"""Plain training that waits after its first epoch until a file appears beside this one."""

import time
from pathlib import Path

from fernoise_bench.baselines.supervised import Supervised


class Waiting(Supervised):
    """Waits."""

    def begin_epoch(self, epoch, train):
        while epoch and not Path(__file__).with_name("gate").exists():
            time.sleep(0.05)
'''


def wait_for(what: Callable[[], Any], why: str, seconds: float = PATIENCE) -> Any:
    """The first truthy value of a function that is asked again and again; the test fails when it takes too long."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:.0f} s in vain for {why}")
        time.sleep(0.2)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# --- runs


@dataclass
class Bench:
    """Runs of the command line on a method that waits at a gate, smoke size.

    Attributes:
        folder: of the method's file, of the gate, and of the output folders by name.
        environment: of the commands.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "waiting.py").write_text(WAITING_METHOD)

    def command(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*RUN, *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, out: str, engine: str, *options: str, seeds: int = 3) -> subprocess.Popen[str]:
        what = ("--protocol", "fer2013-real", "--synthetic", "--profile", "smoke", "--method", "waiting.py:Waiting")
        return self.command("run", *what, "--seeds", str(seeds), "--engine", engine, "--out", out, *options)

    def open_gate(self) -> None:
        (self.folder / "gate").touch()

    def close_gate(self) -> None:
        (self.folder / "gate").unlink(missing_ok=True)

    def trials(self, out: str) -> list[Path]:
        return sorted((self.folder / out).glob("fer2013-real@1/waiting.Waiting/*"))

    def at_gate(self, out: str) -> list[Path]:
        """Trials that have an epoch on disk and more to come."""
        return [folder for folder in self.trials(out) if (folder / "checkpoint.pt").is_file()]

    def status(self, out: str) -> dict[str, Any]:
        found = self.command("status", "--runs", out, "--json")
        text, _ = found.communicate(timeout=PATIENCE)
        status: dict[str, Any] = json.loads(text)
        return status

    def resumed(self, out: str) -> int:
        """How many trials went on from a checkpoint."""
        return sum(json.loads((trial / "environment.json").read_text())["resumed"] for trial in self.trials(out))

    def results(self, out: str) -> dict[str, bytes]:
        """What must be the same on every engine: identities, predictions, scores, epochs without their times."""
        found = {}
        for trial in self.trials(out):
            for name in ("identity.json", "predictions.npz", "training_scores.npz"):
                found[f"{trial.name}/{name}"] = (trial / name).read_bytes()
            lines = [json.loads(line) for line in (trial / "epochs.jsonl").read_text().splitlines()]
            timeless = [{key: value for key, value in line.items() if key != "seconds"} for line in lines]
            found[f"{trial.name}/epochs.jsonl"] = json.dumps(timeless).encode()
        return found


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and everything a command said."""
    text, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, text


def _daemon(command: Sequence[str], log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """A process in a group of its own that says what it says to a file."""
    with log.open("wb") as file:
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment, start_new_session=True)


# --- Ray


@dataclass
class RayCluster:
    """Ray nodes of one CPU each, as `ray start` starts them."""

    folder: Path
    environment: dict[str, str]
    port: int = field(default_factory=free_port)
    nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start_node(self) -> subprocess.Popen[bytes]:
        """The head, or a further node."""
        head = ("--head", f"--port={self.port}", "--include-dashboard=false", f"--temp-dir={self.folder}")
        role = head if not self.nodes else (f"--address={self.address}",)
        common = ("--num-cpus=1", "--num-gpus=0", "--disable-usage-stats", "--object-store-memory=100000000", "--block")
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", *role, *common]
        node = _daemon(command, self.folder / f"node-{len(self.nodes)}.log", self.environment)
        self.nodes.append(node)
        wait_for(lambda: self._up(node), "a Ray node")
        return node

    def _up(self, node: subprocess.Popen[bytes]) -> bool:
        log = (self.folder / f"node-{self.nodes.index(node)}.log").read_text()
        if node.poll() is not None:
            pytest.skip(f"a Ray node does not start here: {log.strip().splitlines()[-1:]}")
        return "Ray runtime started" in log

    def kill(self, node: subprocess.Popen[bytes]) -> None:
        """A node as it dies with its machine: every process at once, without a goodbye."""
        for process in (*reversed(_descendants(node.pid)), node.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        node.wait()


@contextlib.contextmanager
def ray_cluster() -> Iterator[RayCluster]:
    """A head; skips where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install 'fernoise-bench[ray]'")
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # its sockets' paths must be short
    closed = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # nobody else may join or submit
    environment = {**os.environ, **closed, "RAY_health_check_period_ms": "1000"}
    cluster = RayCluster(folder, environment)
    try:
        cluster.start_node()
        yield cluster
    finally:
        for node in reversed(cluster.nodes):
            cluster.kill(node)
        shutil.rmtree(folder, ignore_errors=True)


def _descendants(pid: int) -> list[int]:
    """A process's children, and theirs."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, waiting = [], [pid]
    while waiting:
        mine = children.get(waiting.pop(), [])
        found.extend(mine)
        waiting.extend(mine)
    return found


# --- Slurm

_PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "munged", "mungekey")
_CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
AuthType=auth/munge
AuthInfo=cred_expire=5
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmUser=root
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@contextlib.contextmanager
def slurm_cluster() -> Iterator[dict[str, str]]:
    """The environment in which Slurm's commands reach a cluster of one node with two CPUs."""
    _require_slurm()
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    host = socket.gethostname().partition(".")[0]
    ports = {"controller": free_port(), "daemon": free_port()}
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "slurm.conf").write_text(_CONFIGURATION.format(host=host, folder=folder, **ports))
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    started = []
    try:
        with _munge():
            for daemon in ("slurmctld", "slurmd"):
                started.append(_daemon([daemon, "-D"], folder / f"{daemon}.out", environment))
                time.sleep(2)
            if not _idle(environment):
                pytest.skip(f"Slurm's node does not come up here: {_last_words(folder)}")
            yield environment
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(timeout=ANSWER)
        shutil.rmtree(folder, ignore_errors=True)


def _require_slurm() -> None:
    if importlib.util.find_spec("submitit") is None:
        pytest.skip("submitit is not installed: pip install 'fernoise-bench[slurm]'")
    if missing := [name for name in _PROGRAMS if shutil.which(name) is None]:
        pytest.skip(f"Slurm is not installed ({', '.join(missing)}): apt-get install slurm-wlm munge")
    if os.geteuid() != 0:
        pytest.skip("Slurm's daemons can be started by root only")


def _idle(environment: dict[str, str]) -> bool:
    deadline = time.monotonic() + ANSWER
    while time.monotonic() < deadline:
        if "idle" in _said(["sinfo", "--noheader", "--format=%T"], environment):
            return True
        time.sleep(0.5)
    return False


def _last_words(folder: Path) -> str:
    lines = [line for name in ("slurmctld", "slurmd") for line in (folder / f"{name}.log").read_text().splitlines()]
    return " / ".join([line for line in lines if "error" in line][-2:])


@contextlib.contextmanager
def _munge() -> Iterator[None]:
    """Munge's daemon: the one that runs, or one for as long as the test takes."""
    if _munge_answers():
        yield
        return
    if not Path("/etc/munge/munge.key").exists():
        subprocess.run(["mungekey"], check=True)
    for name in ("/etc/munge/munge.key", "/run/munge", "/var/log/munge"):
        if not Path(name).exists():
            Path(name).mkdir()
        shutil.chown(name, "munge", "munge")
    daemon = subprocess.Popen(["munged", "--foreground"], user="munge", group="munge", stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + ANSWER
        while not _munge_answers():
            if daemon.poll() is not None or time.monotonic() > deadline:
                pytest.skip("munged does not answer here")
            time.sleep(0.2)
        yield
    finally:
        daemon.terminate()
        daemon.wait(timeout=ANSWER)


def _munge_answers() -> bool:
    return subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0


def _said(command: Sequence[str], environment: dict[str, str]) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout
