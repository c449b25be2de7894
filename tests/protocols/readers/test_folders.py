"""Folder listings: sorted, and without what operating systems and archivers add."""

from pathlib import Path

from fernoise_bench.protocols.readers.folders import contents, files_below


def test_only_what_belongs_to_the_data_is_listed(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.jpg", "Thumbs.db", "desktop.ini", "Desktop.ini", ".DS_Store", "._a.jpg", "ehthumbs.db"):
        (tmp_path / name).touch()
    for name in ("two", "one", "__MACOSX", "$RECYCLE.BIN", ".Trashes", "@eaDir"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "c.jpg").touch()
    assert contents(tmp_path) == (["a.jpg", "b.jpg"], ["one", "two"])
    assert list(files_below(tmp_path)) == ["a.jpg", "b.jpg", "one/c.jpg", "two/c.jpg"]


def test_links_to_folders_are_followed_to_each_folder_once(tmp_path: Path) -> None:
    here, store = tmp_path / "set/happy", tmp_path / "store"
    for file in (here / "b.jpg", here / "two/c.jpg", here.parent / "sad/d.jpg", store / "e.jpg", store / "in/f.jpg"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (here / "a").symlink_to(store)
    (here / "again").symlink_to(store)
    (here / "own").symlink_to(here / "two")
    (here / "round").symlink_to(here)
    (here / "up").symlink_to(here.parent)  # would take the pictures of other classes
    (store / "back").symlink_to(here)
    (here / "dead.jpg").symlink_to(tmp_path / "nowhere")
    found = ["b.jpg", "two/c.jpg", "a/e.jpg", "a/in/f.jpg"]
    assert list(files_below(here)) == found
    assert list(files_below(here, dead_links=True)) == ["b.jpg", "dead.jpg", *found[1:]]
