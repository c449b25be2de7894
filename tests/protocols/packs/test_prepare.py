"""Packs: the same bytes however they are made, bounded memory, files that belong together."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.images.decoding import fit, load
from fernoise_bench.protocols.packs import file_format as pack_files
from fernoise_bench.protocols.packs import prepare as pack_module
from fernoise_bench.protocols.packs import workers as pack_work
from fernoise_bench.protocols.packs.file_format import DONE, FACES, PACK, STARTED, TABLE
from fernoise_bench.protocols.packs.prepare import Pack, open_pack, prepare
from fernoise_bench.protocols.readers.listing import Check, Listing
from fernoise_bench.protocols.rows import Origin

from ..miniatures import disfa as miniature

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def listing(root: Path, rows: int = 300, folders: int = 3, pictures: int | None = None) -> Listing:
    """Rows that go round the folders, so that the rows of a folder are not neighbours; `pictures` files are made."""
    made = rows if pictures is None else pictures
    for index in range(min(made, rows)):
        (root / f"s{index % folders}").mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 256, (12, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"s{index % folders}/{index:05d}.png", compress_level=1)
    number = np.arange(rows) % made
    box = np.full((rows, 4), np.nan)
    box[::2] = (1, 2, 7, 8)
    return Listing(
        dataset="toy",
        layout="made",
        root=root,
        names=("AU1", "AU2"),
        path=np.array([f"s{index % folders}/{index:05d}.png" for index in number.tolist()]),
        frame=np.full(rows, -1),
        box=box,
        labels=np.random.default_rng(0).integers(-1, 2, (rows, 2)).astype(np.int8),
        group=np.array([f"s{index % folders}" for index in range(rows)]),
        part=np.array(["train", "test"])[np.arange(rows) % 2],
        checks=(Check("rows", rows, rows),),
    )


def make(rows: Listing, out: Path, workers: int = 1, skip_bad: bool = False, side: int = 6) -> Pack:
    return prepare(rows, out, side, workers=workers, skip_bad=skip_bad, report=lambda done, total: None)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def refusal(call: Callable[[], object], *words: str) -> str:
    with pytest.raises(BadInput) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
    return message


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Listing:
    """Pictures no test changes."""
    return listing(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def own(tmp_path: Path) -> Listing:
    """Pictures a test may damage."""
    return listing(tmp_path / "toy")


class TestPrepare:
    def test_what_is_in_a_pack(self, tmp_path: Path, rows: Listing) -> None:
        pack = make(rows, tmp_path / "out")
        assert sorted(contents(tmp_path / "out/toy-6")) == sorted([FACES, TABLE, PACK])
        assert (pack.faces.shape, pack.faces.dtype) == ((300, 6, 6, 3), np.uint8)
        assert not pack.faces.flags.writeable
        for name in ("path", "frame", "labels", "group", "part"):
            assert np.array_equal(getattr(pack, name), getattr(rows, name))
            assert getattr(pack, name).dtype == getattr(rows, name).dtype
        for row in (0, 1, 150, 299):
            face = load(rows.root / str(rows.path[row]), partial(fit, side=6), rows.box[row])
            assert np.array_equal(pack.faces[row], face)
        assert (pack.names, pack.crop) == (("AU1", "AU2"), "face box where there is one")
        assert pack.origin == Origin("made; face box where there is one, 6 px", "published")
        assert not pack.partial
        assert pack.checks[-1] == Check("pictures that can be decoded", 300, 300)

    def test_one_picture_under_many_names_is_no_published_copy(self, tmp_path: Path, rows: Listing) -> None:
        one = replace(rows, path=np.repeat(rows.path[:29], 11)[:300], box=np.full((300, 4), np.nan))
        pack = make(one, tmp_path)
        assert pack.checks[-2] == Check("distinct faces", "90 % of 300 or more", "28")
        assert pack.origin.digest == pack.digest[:16]
        described = json.loads((tmp_path / "toy-6" / "pack.json").read_bytes())
        del described["distinct"]  # as earlier versions wrote it
        (tmp_path / "toy-6" / "pack.json").write_text(json.dumps(described))
        assert make(one, tmp_path).checks[-1] == Check("pictures that can be decoded", 300, 300)

    @pytest.mark.parametrize("workers", [2, 3])
    def test_workers_change_nothing(self, tmp_path: Path, own: Listing, workers: int) -> None:
        bad = own.root / str(own.path[17])
        bad.write_bytes(b"")
        make(own, tmp_path / "one", skip_bad=True)
        make(own, tmp_path / "more", workers=workers, skip_bad=True)
        assert contents(tmp_path / "one/toy-6") == contents(tmp_path / "more/toy-6")

    def test_single_labels(self, tmp_path: Path, rows: Listing) -> None:
        single = replace(rows, labels=np.arange(300) % 2, box=np.full((300, 4), np.nan))
        pack = make(single, tmp_path)
        assert np.array_equal(pack.labels, single.labels)
        assert pack.crop == "whole picture"

    def test_progress(self, tmp_path: Path, rows: Listing) -> None:
        calls: list[tuple[int, int]] = []
        prepare(rows, tmp_path, 6, workers=1, skip_bad=False, report=lambda *call: calls.append(call))
        assert calls[0] == (0, 300)
        assert calls[-1] == (300, 300)
        assert calls == sorted(calls)

    def test_a_finished_pack_is_opened(self, tmp_path: Path, rows: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
        make(rows, tmp_path)
        monkeypatch.setattr(pack_module, "_make", None)
        assert len(make(rows, tmp_path)) == 300

    def test_new_checks_need_no_new_pixels(
        self, tmp_path: Path, rows: Listing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make(rows, tmp_path)
        monkeypatch.setattr(pack_module, "_make", None)
        pack = make(replace(rows, checks=(Check("rows", 999, 300),)), tmp_path)
        assert pack.partial
        assert pack.origin == Origin("made; face box where there is one, 6 px", pack.digest[:16])

    @pytest.mark.parametrize("name", ["labels", "box", "path", "group", "part", "names", "layout"])
    def test_another_listing_is_prepared_anew(self, tmp_path: Path, rows: Listing, name: str) -> None:
        make(rows, tmp_path)
        value = getattr(rows, name)
        other = replace(rows, **{name: value[::-1]})
        make(other, tmp_path)
        make(other, tmp_path / "fresh")
        assert contents(tmp_path / "toy-6") == contents(tmp_path / "fresh/toy-6")

    def test_videos(self, tmp_path: Path) -> None:
        pytest.importorskip("av")
        (tmp_path / "v").mkdir()
        for name in ("a", "b"):
            miniature.write_video(tmp_path / f"v/{name}.avi", [miniature.tiny(index) for index in range(20)])
        count = 30
        rows = replace(
            listing(tmp_path / "v", count, pictures=1),
            path=np.array(["v/a.avi", "v/b.avi"])[np.arange(count) % 2],
            frame=np.arange(count) // 2,
            box=np.full((count, 4), np.nan),
            root=tmp_path,
        )
        pack = make(rows, tmp_path / "out", workers=2)
        means = pack.faces.mean(axis=(1, 2, 3))
        assert np.allclose(means, [miniature.tiny(index // 2).mean() for index in range(count)], atol=8)
        cut = replace(rows, frame=rows.frame + 10)
        short = make(cut, tmp_path / "cut", skip_bad=True)
        assert len(short) == 20
        assert "v/a.avi, frame 20: " in short.skipped[0]

    def test_without_pyav_nothing_is_skipped(
        self, tmp_path: Path, rows: Listing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "av", None)
        refusal(lambda: make(replace(rows, frame=np.arange(300)), tmp_path / "out", skip_bad=True), "pip install")


class TestBadPictures:
    @pytest.fixture
    def damaged(self, own: Listing) -> Listing:
        for row in (40, 41, 299):
            (own.root / str(own.path[row])).write_bytes(b"junk")
        return own

    @pytest.mark.parametrize("workers", [1, 2])
    def test_one_ends_it(self, tmp_path: Path, own: Listing, workers: int) -> None:
        path = own.root / str(own.path[250])
        good = path.read_bytes()
        path.write_bytes(good[:60])
        refusal(lambda: make(own, tmp_path / "a", workers), f"{path}: the picture is damaged")
        refusal(lambda: open_pack(tmp_path / "a/toy-6"), PACK, "unfinished")
        path.write_bytes(good)
        make(own, tmp_path / "a", workers)
        make(own, tmp_path / "b")
        assert contents(tmp_path / "a/toy-6") == contents(tmp_path / "b/toy-6")

    @pytest.mark.parametrize("workers", [1, 2])
    def test_skipped(self, tmp_path: Path, damaged: Listing, workers: int) -> None:
        pack = make(damaged, tmp_path, workers, skip_bad=True)
        kept = np.delete(np.arange(300), [40, 41, 299])
        assert np.array_equal(pack.path, damaged.path[kept])
        assert np.array_equal(pack.labels, damaged.labels[kept])
        assert pack.faces.shape == (297, 6, 6, 3)
        for row in (0, 39, 40, 150, 296):
            face = load(damaged.root / str(pack.path[row]), partial(fit, side=6), damaged.box[kept[row]])
            assert np.array_equal(pack.faces[row], face)
        assert [line.partition(":")[0] for line in pack.skipped] == damaged.path[[40, 41, 299]].tolist()
        assert str(tmp_path) not in "".join(pack.skipped)
        assert pack.partial
        assert pack.origin.digest == pack.digest[:16]
        assert (pack.checks[-1].expected, pack.checks[-1].found) == (300, 297)
        assert open_pack(tmp_path / "toy-6", pixels=True).digest == pack.digest

    def test_skipping_has_to_be_repeated(self, tmp_path: Path, damaged: Listing) -> None:
        make(damaged, tmp_path, skip_bad=True)
        refusal(lambda: make(damaged, tmp_path), "3 bad pictures", str(damaged.path[40]), "--skip-bad")
        assert len(make(damaged, tmp_path, skip_bad=True)) == 297

    def test_all_bad(self, tmp_path: Path, rows: Listing) -> None:
        empty = replace(rows, root=tmp_path / "elsewhere")
        refusal(lambda: make(empty, tmp_path, skip_bad=True), "none of 300 pictures", "missing")

    @pytest.mark.parametrize("step", ["digest_and_distinct", "write_arrays", "write_json"])
    def test_ended_while_gaps_are_closed(
        self, tmp_path: Path, damaged: Listing, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        make(damaged, tmp_path / "whole", skip_bad=True)

        module = pack_files if step == "digest_and_distinct" else pack_module
        original = getattr(module, step)

        def stop(file: Path, *values: object) -> None:
            if file.name == STARTED:
                original(file, *values)
            else:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(module, step, stop)
            with pytest.raises(KeyboardInterrupt):
                make(damaged, tmp_path / "ended", skip_bad=True)
        make(damaged, tmp_path / "ended", skip_bad=True)
        assert contents(tmp_path / "whole/toy-6") == contents(tmp_path / "ended/toy-6")


class TestRefusals:
    @pytest.mark.parametrize("side", [0, -1, 5000])
    def test_a_side(self, tmp_path: Path, rows: Listing, side: int) -> None:
        refusal(lambda: make(rows, tmp_path, side=side), f"side of {side}")

    def test_no_rows(self, tmp_path: Path, rows: Listing) -> None:
        none = {name: getattr(rows, name)[:0] for name in ("path", "frame", "box", "labels", "group", "part")}
        refusal(lambda: make(replace(rows, **none), tmp_path), "no rows")

    def test_no_room(self, tmp_path: Path, rows: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
        usage = shutil.disk_usage(tmp_path)._replace(free=1000)
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
        refusal(lambda: make(rows, tmp_path / "out"), "GB are needed")

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path, rows: Listing) -> None:
        (tmp_path / "out").write_bytes(b"")
        refusal(lambda: make(rows, tmp_path / "out"), "cannot be written")

    def test_two_at_a_time(self, tmp_path: Path, rows: Listing) -> None:
        pytest.importorskip("fcntl")
        inner: list[str] = []

        def report(done: int, total: int) -> None:
            inner.append(refusal(lambda: make(rows, tmp_path), "another run"))

        prepare(rows, tmp_path, 6, workers=1, skip_bad=False, report=report)
        assert inner

    @pytest.mark.parametrize("name", [FACES, TABLE, PACK])
    @pytest.mark.parametrize("damage", ["missing", "empty", "cut", "junk", "other", "longer"])
    def test_files_that_do_not_belong_together(self, tmp_path: Path, rows: Listing, name: str, damage: str) -> None:
        make(rows, tmp_path)
        file = tmp_path / "toy-6" / name
        content = file.read_bytes()
        if damage == "missing":
            file.unlink()
        elif damage == "other":
            other = replace(rows, part=rows.part[::-1], box=rows.box[::-1], names=("x", "y"))
            make(other, tmp_path / "b")
            file.write_bytes(contents(tmp_path / "b/toy-6")[name])
            if name == PACK:
                name = TABLE
        else:
            changed = {"empty": b"", "cut": content[:-5], "junk": b"\x80\x04K\x01.", "longer": content + b"xx"}
            file.write_bytes(changed[damage])
        if (name, damage) in ((TABLE, "longer"), (FACES, "other")):
            # A zip file may end with anything; equal shapes are told apart by reading all pixels.
            assert np.array_equal(open_pack(tmp_path / "toy-6").part, rows.part)
            if damage == "other":
                refusal(lambda: open_pack(tmp_path / "toy-6", pixels=True), FACES)
            return
        refusal(lambda: open_pack(tmp_path / "toy-6"), name)

    @pytest.mark.parametrize("name", [FACES, TABLE])
    def test_nothing_is_unpickled(self, tmp_path: Path, rows: Listing, name: str) -> None:
        make(rows, tmp_path)
        objects = np.array([{"a": 1}] * 300, dtype=object)
        with (tmp_path / "toy-6" / name).open("wb") as file:
            if name == FACES:
                np.save(file, objects, allow_pickle=True)
            else:
                np.savez(file, path=objects, frame=objects, labels=objects, group=objects, part=objects)
        refusal(lambda: open_pack(tmp_path / "toy-6"), name, "cannot be read")


def test_read(tmp_path: Path, rows: Listing) -> None:
    pack = make(rows, tmp_path)
    for index in (np.array([5, 0, 5, -1]), slice(10, 20), np.arange(300) % 7 == 0, np.array([], int)):
        assert np.array_equal(pack.read(index), pack.faces[index])
    with pytest.raises(IndexError):
        pack.read(np.array([300]))
    os.truncate(tmp_path / "toy-6" / FACES, 5000)
    refusal(lambda: pack.read(np.array([299])), FACES, "ends before row 299")


def running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@linux
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_and_run_again(tmp_path: Path, workers: int) -> None:
    rows = listing(tmp_path / "toy", 1000)
    (rows.root / str(rows.path[500])).write_bytes(b"junk")
    script = f"""
import multiprocessing, os, pickle, signal, sys
from pathlib import Path
from fernoise_bench.protocols.readers.listing import Listing
from fernoise_bench.protocols.packs.prepare import prepare
import numpy as np
def report(done, total):
    if done >= 300:
        print(done, *[child.pid for child in multiprocessing.active_children()], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
table = dict(np.load({str(tmp_path / "rows.npz")!r}))
rows = Listing("toy", "made", Path({str(rows.root)!r}), ("AU1", "AU2"), **table, checks=())
prepare(rows, Path({str(tmp_path / "killed")!r}), 6, workers={workers}, skip_bad=True, report=report)
"""
    columns = {name: getattr(rows, name) for name in ("path", "frame", "box", "labels", "group", "part")}
    np.savez(tmp_path / "rows.npz", **columns)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    done, *children = map(int, ended.stdout.split())
    assert len(children) == (workers if workers > 1 else 0)
    deadline = time.monotonic() + 10
    while any(map(running, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(running, children)), "a worker outlives its parent"
    assert {STARTED, DONE} <= contents(tmp_path / "killed/toy-6").keys()
    assert PACK not in contents(tmp_path / "killed/toy-6")

    calls: list[int] = []
    rows = replace(rows, checks=())
    prepare(rows, tmp_path / "killed", 6, workers=workers, skip_bad=True, report=lambda n, _: calls.append(n))
    assert calls[0] >= done - 1, "rows are decoded again"
    make(rows, tmp_path / "whole", skip_bad=True)
    assert contents(tmp_path / "killed/toy-6") == contents(tmp_path / "whole/toy-6")


def test_rows_in_place_are_not_decoded_again(tmp_path: Path, own: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = own.root / str(own.path[299])
    good = bad.read_bytes()
    bad.write_bytes(b"")
    refusal(lambda: make(own, tmp_path / "out"), "empty")
    bad.write_bytes(good)
    decoded: list[str] = []
    original = pack_work.decode_rows

    def watch(root: Path, paths: list[str], *values: object) -> object:
        decoded.extend(paths)
        return original(root, paths, *values)  # type: ignore[arg-type]

    monkeypatch.setattr(pack_work, "decode_rows", watch)
    make(own, tmp_path / "out")
    assert decoded == [str(own.path[299])]
