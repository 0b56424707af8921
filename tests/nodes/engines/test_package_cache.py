"""Compiled packages on disk: found again, vouched for, bounded, private."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from isthmus.errors import InvalidConfiguration
from nodes.engines.package_cache import PackageCache
from nodes.engines.private_folder import compiled_folder, private_folder, shed_oldest


def keep(cache: PackageCache, name: str, size: int = 4) -> Path:
    with cache.workshop() as folder:
        (folder / "made.pt2").write_bytes(name.encode() * size)
        return cache.keep({"name": name}, folder / "made.pt2", 1.5).path


def test_a_package_is_found_by_another_process_with_its_compile_time(tmp_path: Path) -> None:
    path = keep(PackageCache(tmp_path), "a")
    found = PackageCache(tmp_path).find({"name": "a"})
    assert found is not None
    assert (found.path, found.compile_s) == (path, 1.5)


def test_other_facts_have_no_package(tmp_path: Path) -> None:
    cache = PackageCache(tmp_path)
    keep(cache, "a")
    assert cache.find({"name": "a", "torch": "other"}) is None


def test_a_package_that_was_changed_is_not_loaded(tmp_path: Path) -> None:
    cache = PackageCache(tmp_path)
    keep(cache, "a").write_bytes(b"something else")
    assert cache.find({"name": "a"}) is None


def test_a_package_that_others_may_write_is_refused(tmp_path: Path) -> None:
    cache = PackageCache(tmp_path)
    keep(cache, "a").chmod(0o666)
    with pytest.raises(InvalidConfiguration, match="another user"):
        cache.find({"name": "a"})


def test_those_used_longest_ago_go_beyond_the_bound(tmp_path: Path) -> None:
    cache = PackageCache(tmp_path, most_bytes=250)
    for at, name in enumerate("ab"):
        os.utime(keep(cache, name, 100).with_suffix(".json"), (at, at))
    assert cache.find({"name": "a"}) is not None  # used now: b is the older one
    keep(cache, "c", 100)
    assert [cache.find({"name": name}) is not None for name in "abc"] == [True, False, True]


def test_what_a_dead_process_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "making-999999999-x").mkdir()
    PackageCache(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(InvalidConfiguration, match="chmod"):
        private_folder(shared)


def test_a_link_is_no_private_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(private_folder(tmp_path / "real"))
    with pytest.raises(InvalidConfiguration, match="another user"):
        private_folder(tmp_path / "link")


def test_the_oldest_files_are_shed_but_none_in_use(tmp_path: Path) -> None:
    for name, written in (("old", 1), ("older", 0), ("new", None)):
        (tmp_path / name).write_bytes(b"x" * 100)
        if written is not None:
            os.utime(tmp_path / name, (written, written))
    shed_oldest(tmp_path, 200)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]
    shed_oldest(tmp_path, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_the_cache_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiled_folder() == tmp_path / "isthmus" / "compiled"
