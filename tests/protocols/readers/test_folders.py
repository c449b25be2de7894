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


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "a.jpg").touch()
    assert list(files_below(tmp_path)) == ["a.jpg"]
