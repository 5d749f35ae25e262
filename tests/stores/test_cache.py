"""Pieces in a folder: whole or not there, and never more than there is room for."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gaze.errors import UserError
from gaze.stores.cache import Cache
from tests.disks import fill, small_disk


def files(cache: Cache) -> list:
    return [path for path in cache.folder.glob("??/*") if path.is_file()]


def test_a_piece_is_as_it_was_put_or_not_there(tmp_path):
    cache = Cache(tmp_path, 1000)
    assert cache.get("a") is None
    cache.put("a", b"one")
    cache.put("b", b"")
    assert (cache.get("a"), cache.get("b")) == (b"one", b"")
    cache.drop("a")
    assert cache.get("a") is None


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"X" + data[1:], lambda data: b""])
def test_damage_is_noticed_and_removed(tmp_path, damage, caplog):
    cache = Cache(tmp_path, 1000)
    cache.put("a", b"whole")
    (file,) = files(cache)
    file.write_bytes(damage(file.read_bytes()))
    assert cache.get("a") is None
    assert not file.exists()
    assert "is damaged" in caplog.text


def test_the_least_recently_used_go_first(tmp_path):
    cache = Cache(tmp_path, 10 * 112)  # each of 100 bytes and a check of 12
    for number in range(10):
        cache.put(str(number), bytes(100))
        os.utime(cache._path(str(number)), (number, number))
    assert cache.get("0") is not None  # used now
    cache.put("10", bytes(100))
    left = [number for number in range(11) if cache.get(str(number)) is not None]
    assert left == [0, 3, 4, 5, 6, 7, 8, 9, 10]
    assert sum(file.stat().st_size for file in files(cache)) <= cache.limit


def test_who_reads_does_not_fail_because_others_make_room(tmp_path, monkeypatch):
    cache = Cache(tmp_path, 1000)
    cache.put("a", b"one")
    read = Path.read_bytes

    def then_evicted(path):
        data = read(path)
        path.unlink()
        return data

    monkeypatch.setattr(Path, "read_bytes", then_evicted)
    assert cache.get("a") == b"one"
    assert cache.get("a") is None


def test_threads_that_read_write_and_make_room_at_once(tmp_path, caplog):
    data = [bytes([n]) * 1000 for n in range(30)]

    def work(thread):
        cache = Cache(tmp_path, 8000)  # of each its own, as processes have
        for n in range(150):
            key = (7 * n + thread) % 30
            found = cache.get(str(key))
            assert found in (None, data[key])
            if found is None:
                cache.put(str(key), data[key])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert caplog.text == ""


def test_what_a_killed_process_left_is_removed_in_time(tmp_path):
    cache = Cache(tmp_path, 1000)
    cache.put("a", b"1")
    old, new = (cache._path("a").parent / f".{name}.part" for name in ("old", "new"))
    for part in (old, new):
        part.write_bytes(b"half")
    os.utime(old, (1, 1))
    Cache(tmp_path, 1000).put("b", b"2")
    assert not old.exists()
    assert new.exists(), "somebody may be writing it"


def test_no_room_on_the_disk_is_no_error(tmp_path, caplog):
    with small_disk(tmp_path / "disk", "1m", 50) as disk:
        cache = Cache(disk / "cache", 10**9)
        cache.put("a", b"1")
        fill(disk, leave=8192)
        cache.put("b", bytes(100_000))
        assert "No space left" in caplog.text
        assert (cache.get("a"), cache.get("b")) == (b"1", None)
        assert len(list(disk.glob("cache/??/.*"))) == 0, "half a piece takes what little room there is"


def test_a_folder_that_cannot_be_made_is_told(tmp_path, caplog):
    (tmp_path / "cache").write_text("a file where the folder should be")
    Cache(tmp_path / "cache", 1000).put("a", b"1")
    assert "can't be written" in caplog.text
    with (
        pytest.raises(UserError, match=r"cache .* can't be written .*choose another"),
        Cache(tmp_path / "cache", 9).fetching("a"),
    ):
        pass


def test_a_limit_has_to_be_one(tmp_path):
    with pytest.raises(ValueError, match="limit of a cache is 0 bytes"):
        Cache(tmp_path, 0)
