"""Finished and diverged trials of a protocol in one compact file, `<name>.zip`, for results that are shipped.

Those that diverged are included, without predictions: without them means would cover successful trials only.
Probabilities are stored as bytes (of the epochs best on validation and test only the predicted labels), and what all
trials share is stored once. Expanding gives ordinary trial folders, which give the same number in every table.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...protocols.errors import UNREADABLE, BadInput
from ...protocols.files import canonical_json, read_arrays, write_arrays, write_atomic
from ...protocols.locks import FolderLock
from .schema import EpochLine, Status
from .trial_files import decode_epochs

SHARED = ("sample_id", "group", "labels", "copy")
RULES = ("last", "validation", "oracle")
TEXTS = ("identity.json", "environment.json", "status.json", "epochs.jsonl")
LARGEST = 1 << 28  # bytes an entry may expand to
THRESHOLD = 0.5  # of an AU's presence

_FILES = r"identity\.json|environment\.json|status\.json|epochs\.jsonl|predictions\.npz"
_ENTRY = re.compile(rf"[\w.@+-]+/[\w.@+-]+/[0-9a-f]{{16}}/({_FILES})")
_WORKING = re.compile(r"\.[0-9a-f]{16}\.\d+")
_SHARED_ENTRY = re.compile(r"shared/[0-9a-f]{16}\.npz")

Arrays = Mapping[str, NDArray[Any]]


def write_bundle(root: Path, folders: Iterable[Path], target: Path) -> None:
    """Writes finished and diverged trials as a bundle, atomically; the same trials give the same bytes.

    Args:
        root: the output folder.
        folders: trial folders below it, each done or diverged.
        target: the bundle.

    Raises:
        BadInput: the predictions of a trial that is done are missing or damaged.
    """
    entries: dict[str, bytes] = {}
    for folder in sorted(folders):
        name = folder.relative_to(root).as_posix()
        entries |= {f"{name}/{text}": _plain(folder / text) for text in TEXTS if (folder / text).is_file()}
        if not _is_done(entries[f"{name}/status.json"]):
            continue
        predictions = read_arrays(folder / "predictions.npz")
        shared = _packed({key: predictions[key] for key in SHARED})
        shared_name = f"shared/{hashlib.sha256(shared).hexdigest()[:16]}.npz"
        entries[shared_name] = shared
        entries[f"{name}/predictions.npz"] = _packed(_compact(predictions))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(entries):
            archive.writestr(zipfile.ZipInfo(name), entries[name], zipfile.ZIP_LZMA)
    write_atomic(target, buffer.getvalue())


def expand(bundle: Path, folder: Path) -> None:
    """Makes ordinary trial folders of a bundle below `folder`, which must not hold others.

    Raises:
        BadInput: the bundle is damaged or has an unknown entry; no file is left behind then.
        OSError: the folder cannot be written or is full; no file is left behind then either.
    """
    try:
        content = bundle.read_bytes()
    except OSError as error:
        raise _damaged(bundle, error) from error
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            for info in archive.infolist():
                known = _ENTRY.fullmatch(info.filename) or _SHARED_ENTRY.fullmatch(info.filename)
                if not known or info.file_size > LARGEST or ".." in info.filename.split("/"):
                    raise ValueError(f"unexpected entry {info.filename[:80]!r}")
            _refuse_half_trials(archive)
            shared = {name: _unpacked(archive.read(name)) for name in names if _SHARED_ENTRY.fullmatch(name)}
            for name in names:
                if name in shared:
                    continue
                if name.endswith(".npz"):
                    compact = _unpacked(archive.read(name))
                    rows = next(iter(shared.values())) if len(shared) == 1 else _rows_of(shared, compact)
                    write_arrays(folder / name, {**rows, **_expanded(compact)})
                else:
                    write_atomic(folder / name, archive.read(name))
    except OSError:  # of the folder: the archive is in memory
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except UNREADABLE as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise _damaged(bundle, error) from error


def read_epochs_of(bundle: Path, folder: str) -> tuple[EpochLine, ...]:
    """The epochs of one trial of a bundle, which is not unpacked for them.

    Args:
        bundle: the bundle.
        folder: the trial's, as in the record.

    Raises:
        BadInput: the bundle is damaged, or has no such trial.
    """
    try:
        with zipfile.ZipFile(bundle) as archive:
            entry = archive.getinfo(f"{folder}/epochs.jsonl")
            if entry.file_size > LARGEST:
                raise ValueError(f"{entry.filename} is too large")
            return decode_epochs(archive.read(entry))
    except UNREADABLE as error:
        raise _damaged(bundle, error) from error


def _damaged(bundle: Path, error: BaseException) -> BadInput:
    return BadInput(f"{bundle} is damaged or not a bundle of trials ({error}): fetch it again")


def _refuse_half_trials(archive: zipfile.ZipFile) -> None:
    """ValueError where an entry of a trial is missing, as where the list of entries is damaged."""
    found: dict[str, set[str]] = {}
    trials = (name for name in archive.namelist() if not _SHARED_ENTRY.fullmatch(name))
    for folder, _, file in (name.rpartition("/") for name in trials):
        found.setdefault(folder, set()).add(file)
    for folder, files in found.items():
        done = "status.json" not in files or _is_done(archive.read(f"{folder}/status.json"))
        if not files >= ({*TEXTS, "predictions.npz"} if done else {"identity.json", "status.json"}):
            raise ValueError(f"{folder} lacks a file")


def _is_done(status: bytes) -> bool:
    return msgspec.json.decode(status, type=Status).state == "done"


def expanded(bundle: Path, cache: Path) -> Path:
    """The folder of a bundle's trials below a cache, expanded at first use; another process may do the same.

    Raises:
        BadInput: the bundle is damaged, or the cache has no room or cannot be written.
    """
    digest = hashlib.sha256(bundle.read_bytes()).hexdigest()[:16]
    final = cache / digest
    if final.is_dir():
        return final
    working = cache / f".{digest}.{os.getpid()}"
    try:
        _remove_abandoned(cache)
        with FolderLock(working):
            expand(bundle, working / "trials")
            with contextlib.suppress(FileExistsError):  # another process was faster
                _move(working / "trials", final)
    except OSError as error:
        raise BadInput(
            f"{cache}: {bundle.name} cannot be unpacked there ({error.strerror or error}); make room, or name another "
            "folder with the environment variable XDG_CACHE_HOME"
        ) from error
    finally:
        shutil.rmtree(working, ignore_errors=True)
    return final


def _move(folder: Path, final: Path) -> None:
    """Renames a folder; FileExistsError where the new name is taken."""
    try:
        folder.rename(final)
    except OSError:
        if final.is_dir():
            raise FileExistsError(final) from None
        raise


def _remove_abandoned(cache: Path) -> None:
    """Removes what processes that were killed had unpacked so far: folders that nobody has locked."""
    for folder in cache.glob(".*.*"):
        if _WORKING.fullmatch(folder.name):
            with FolderLock(folder) as acquired:
                if acquired:
                    shutil.rmtree(folder, ignore_errors=True)


def _compact(predictions: Arrays) -> dict[str, NDArray[Any]]:
    """The last epoch's probabilities as bytes, of the other epochs predictions: a class [N], or AUs present [N, L].

    `rows` identifies the shared rows they belong to.
    """
    single = predictions["labels"].ndim == 1
    packed: dict[str, NDArray[Any]] = {
        "last": _as_bytes(predictions["last"]) if single else _as_halves(predictions["last"]),
        "width": np.array([predictions["last"].shape[1]], np.int64),
    }
    for rule in RULES[1:]:
        packed[rule] = _decided(predictions[rule], single=single)
    packed["rows"] = np.frombuffer(hashlib.sha256(predictions["sample_id"].tobytes()).digest()[:8], np.uint8)
    return packed


def _decided(probabilities: NDArray[Any], *, single: bool) -> NDArray[np.uint8]:
    """The labels that probabilities predict; empty where there is no such epoch."""
    if not single:
        return (probabilities >= THRESHOLD).astype(np.uint8)
    return probabilities.argmax(1).astype(np.uint8) if len(probabilities) else np.zeros(0, np.uint8)


def _as_halves(probabilities: NDArray[Any]) -> NDArray[np.uint8]:
    """Probabilities times 255, rounded; 127.5 becomes 128, so that probabilities of at least 0.5 stay so."""
    return np.rint(np.asarray(probabilities, np.float64) * 255).astype(np.uint8)


def _as_bytes(probabilities: NDArray[Any]) -> NDArray[np.uint8]:
    """Probabilities times 255; where rounding would change the most probable class, the others are lowered."""
    found = np.rint(np.asarray(probabilities, np.float64) * 255).astype(np.int64)
    best = probabilities.argmax(1)
    rows = np.arange(len(found))
    top = np.maximum(found[rows, best], 1)
    found = np.minimum(found, np.maximum(top - 1, 0)[:, None])
    found[rows, best] = top
    kept: NDArray[np.uint8] = found.astype(np.uint8)
    return kept


def _expanded(compact: Arrays) -> dict[str, NDArray[Any]]:
    width = int(compact["width"][0])
    arrays: dict[str, NDArray[Any]] = {"last": (compact["last"] / np.float32(255)).astype(np.float32)}
    for rule in RULES[1:]:
        decided = compact[rule]
        arrays[rule] = np.eye(width, dtype=np.float32)[decided] if decided.ndim == 1 else decided.astype(np.float32)
    return arrays


def _rows_of(shared: Mapping[str, Arrays], compact: Arrays) -> Arrays:
    """The shared rows that a trial's predictions belong to."""
    for rows in shared.values():
        if hashlib.sha256(rows["sample_id"].tobytes()).digest()[:8] == compact["rows"].tobytes():
            return rows
    raise ValueError("rows of a trial are missing")


def _plain(path: Path) -> bytes:
    """A text file of a trial as compact JSON."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines() if path.suffix == ".jsonl" else [text]
    return "".join(f"{canonical_json(json.loads(line))}\n" for line in lines).encode()


def _packed(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # stored: the bundle compresses
        for name in sorted(arrays):
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.asarray(arrays[name], order="C"), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), entry.getvalue())
    return buffer.getvalue()


def _unpacked(data: bytes) -> dict[str, NDArray[Any]]:
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        return {name: found[name] for name in found.files}
