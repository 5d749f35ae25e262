"""Rows on a disk: whole or absent, whatever happened to the process that wrote them or to the disk."""

import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap

import pytest
import torch

from gaze.errors import UserError
from gaze.recall import Recall
from gaze.remembering.row_file import ENTRY, INDEX, ROWS, RowFile, row_folders
from gaze.remembering.shelf import Shelf

SIZE = 32
FIRST = f"{socket.gethostname()}-0"


def rows(numbers):
    return torch.stack([torch.full((SIZE,), number, dtype=torch.uint8) for number in numbers])


def keys(numbers):
    return [bytes([number]) * 16 for number in numbers]


def shelf(home, about="weights", gigabytes=1.0, pictures=100, size=SIZE):
    made = Shelf(home, "backbone", {"weights": about}, gigabytes, pictures, "features of backbone")
    made.open(size, (size // 2,))
    return made


def read(kept, numbers):
    out = torch.zeros(len(numbers), SIZE, dtype=torch.uint8)
    known = kept.read(keys(numbers), out)
    assert all(torch.equal(row, rows([n])[0]) for row, n, there in zip(out, numbers, known, strict=True) if there)
    return known


def test_what_was_written_is_read_by_the_next_process(tmp_path):
    first = shelf(tmp_path)
    first.write(keys([1, 2, 1]), rows([1, 2, 1]))
    assert read(first, [2, 1, 3]) == [True, True, False]
    first.close()
    second = shelf(tmp_path)
    assert read(second, [1, 2, 3]) == [True, True, False]
    second.write(keys([3, 1]), rows([3, 1]))
    assert (second.folder / FIRST / ROWS).stat().st_size == 3 * SIZE  # nothing twice
    second.close()


def test_rows_of_other_weights_or_of_another_size_are_never_found_but_listed(tmp_path, caplog):
    first = shelf(tmp_path)
    first.write(keys([1]), rows([1]))
    first.close()
    with caplog.at_level(logging.INFO):
        other = shelf(tmp_path, about="other weights")
    assert read(other, [1]) == [False]
    assert f"of other weights or settings: {first.folder} (" in caplog.text
    assert "rm -r FOLDER" in caplog.text
    assert first.folder.is_dir()
    other.close()


@pytest.mark.parametrize("file", [ROWS, INDEX])
@pytest.mark.parametrize("damage", ["flipped", "cut", "removed"])
def test_damage_is_noticed_and_costs_the_damaged_rows_alone(tmp_path, caplog, file, damage):
    first = shelf(tmp_path)
    first.write(keys([1, 2, 3]), rows([1, 2, 3]))
    first.close()
    path, size = first.folder / FIRST / file, SIZE if file == ROWS else ENTRY.size
    if damage == "removed":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[size + 3] ^= 16 if damage == "flipped" else 0
        path.write_bytes(content if damage == "flipped" else content[: 2 * size + 5])
    second = shelf(tmp_path)
    expected = {"flipped": [True, False, True], "cut": [True, True, False], "removed": [False] * 3}[damage]
    assert read(second, [1, 2, 3]) == expected
    if (file, damage) == (ROWS, "flipped"):
        assert f"row 1 of {first.folder / FIRST} is not what was written there" in caplog.text
    second.write(keys([1, 2, 3]), rows([1, 2, 3]))
    second.close()
    third = shelf(tmp_path)
    assert read(third, [1, 2, 3]) == [True] * 3
    third.close()


WRITER = """
import os, sys, torch
from pathlib import Path
from gaze.remembering.shelf import Shelf
kept = Shelf(Path(sys.argv[1]), "backbone", {"weights": "weights"}, 1.0, 100, "it")
kept.open(32, (16,))
number = 0
while True:
    number = number % 250 + 1
    kept.write([bytes([number]) * 16], torch.full((1, 32), number, dtype=torch.uint8))
    kept.places.clear()
    print(number, flush=True)
"""


def test_a_killed_writer_leaves_rows_that_are_whole_and_two_write_beside_each_other(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": os.getcwd()}) as writer:
        while writer.stdout.readline().strip() != b"40":
            pass
        beside = shelf(tmp_path)
        assert read(beside, [1, 40]) == [True, True]
        assert beside.own is not None
        assert beside.files[beside.own].folder.name == f"{socket.gethostname()}-1"
        beside.write(keys([251]), rows([251]))
        writer.send_signal(signal.SIGKILL)
    beside.refresh()
    read(beside, range(1, 251))
    assert sum(file.damaged for file in beside.files) == 0
    beside.close()
    after = shelf(tmp_path)
    assert after.files[after.own].folder.name == FIRST  # whose writer is dead
    assert read(after, [40, 251]) == [True, True]
    after.close()


def test_two_shelves_of_one_process_write_to_files_of_their_own(tmp_path):
    first, second = shelf(tmp_path), shelf(tmp_path)
    for number, kept in ((1, first), (2, second)):
        kept.write(keys([number]), rows([number]))
    assert len(row_folders(first.folder)) == 2
    first.refresh()
    assert read(first, [1, 2]) == [True, True]
    first.close()
    third = shelf(tmp_path)
    assert third.files[third.own].folder.name == FIRST
    assert read(third, [1, 2]) == [True, True]
    for kept in (second, third):
        kept.close()


def test_a_row_that_someone_else_wrote_over_is_noticed_by_its_writer(tmp_path):
    kept = shelf(tmp_path)
    kept.write(keys([1]), rows([1]))
    (kept.folder / FIRST / ROWS).write_bytes(bytes(SIZE))
    assert read(kept, [1]) == [False]
    kept.close()


def test_the_room_is_told_before_anything_is_written_and_has_to_suffice(tmp_path, caplog, monkeypatch):
    home = tmp_path / "features"
    with caplog.at_level(logging.INFO):
        shelf(home, pictures=1000).close()
    assert "1000 pictures of 56 bytes take up to 5.6e-05 GB in" in caplog.text
    home = tmp_path / "others"
    with pytest.raises(
        UserError, match=r"take up to 5.6e-05 GB .* gigabytes is 1e-05; raise it, or choose storage=int8"
    ):
        shelf(home, pictures=1000, gigabytes=1e-5)
    monkeypatch.setattr("gaze.remembering.shelf.shutil.disk_usage", lambda path: type("U", (), {"free": 100}))
    with pytest.raises(UserError, match=r"and 1e-07 GB are free; make room there"):
        shelf(home, pictures=1000)
    assert not home.exists()


def test_more_pictures_than_foreseen_end_in_one_sentence(tmp_path, caplog):
    kept = shelf(tmp_path, pictures=2)
    for number in range(5):
        kept.write(keys([number]), rows([number]))
    assert read(kept, range(5)) == [True, True, False, False, False]
    assert caplog.text.count("holds 2 rows, and more pictures come than were foreseen") == 1
    kept.close()


def test_what_other_data_sets_have_left_there_takes_no_room_from_this_one(tmp_path):
    first = shelf(tmp_path, pictures=8)
    first.write(keys(range(8)), rows(range(8)))
    first.close()
    second = shelf(tmp_path, pictures=10)
    second.write(keys(range(10, 20)), rows(range(10, 20)))
    assert read(second, range(10, 20)) == [True] * 10
    second.close()


def test_runs_at_once_keep_within_gigabytes_together(tmp_path, caplog):
    room = 10 * (SIZE + ENTRY.size) / 1e9
    beside = [shelf(tmp_path, pictures=10, gigabytes=room) for _ in range(3)]
    for number in range(8):
        for place, kept in enumerate(beside):
            kept.write(keys([10 * place + number]), rows([10 * place + number]))
    for kept in beside:
        kept.close()
    assert sum(file.stat().st_size for file in beside[0].folder.glob("*/*.bin")) <= room * 1e9
    assert caplog.text.count("more pictures come than gigabytes has room for") == 3


def test_a_disk_that_may_be_too_small_is_said_and_rows_that_are_there_are_used(tmp_path, caplog, monkeypatch):
    first = shelf(tmp_path, pictures=4)
    first.write(keys(range(4)), rows(range(4)))
    first.close()
    monkeypatch.setattr("gaze.remembering.shelf.shutil.disk_usage", lambda path: type("U", (), {"free": 100}))
    second = shelf(tmp_path, pictures=4)
    assert "suffices only if most of the 4 rows there are of the same pictures" in caplog.text
    assert read(second, range(4)) == [True] * 4
    second.close()


def test_a_full_disk_ends_in_one_sentence_and_nothing_torn(tmp_path, caplog, monkeypatch):
    kept = shelf(tmp_path)
    kept.write(keys([1]), rows([1]))
    write, left = os.pwrite, [SIZE + 5]

    def full(descriptor, content, offset):
        if not left[0]:
            raise OSError(28, "No space left on device")
        done = write(descriptor, bytes(content)[: left[0]], offset)
        left[0] -= done
        return done

    monkeypatch.setattr("gaze.remembering.row_file.os.pwrite", full)
    for number in (2, 3):
        kept.write(keys([number, number + 10]), rows([number, number + 10]))
    assert caplog.text.count("takes no more rows (No space left on device)") == 1
    left[0] = 1000
    kept.write(keys([4]), rows([4]))  # a disk that was full stays so: each step would fill it to its last byte again
    assert read(kept, [1, 2, 3, 4]) == [True, False, False, False]
    assert (kept.folder / FIRST / ROWS).stat().st_size == SIZE
    kept.close()


def test_a_directory_that_may_not_be_written_is_read_or_refused(tmp_path, caplog, monkeypatch):
    first = shelf(tmp_path)
    first.write(keys([1]), rows([1]))
    first.close()

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("gaze.remembering.shelf.durable.make_directory", refuse)
    second = shelf(tmp_path)
    assert read(second, [1]) == [True]
    assert "Permission denied); it is only read" in caplog.text
    second.write(keys([2]), rows([2]))
    assert read(second, [2]) == [False]
    second.close()
    with pytest.raises(UserError, match=r"can't be written to \(Permission denied\); choose another directory"):
        shelf(tmp_path, about="other")


def test_a_row_that_the_network_does_not_say_is_refused(tmp_path):
    def recall(value):
        kept = Shelf(tmp_path, "backbone", {"weights": "same"}, 1.0, 10, "features of backbone")
        found = Recall(1.0, "features of backbone", kept)
        answer = found([b"k" * 16], lambda numbers: torch.full((len(numbers), 8), value))
        kept.close()
        return answer

    first = recall(1.0)
    assert torch.equal(recall(1.004), first)  # another device or number format
    with pytest.raises(UserError, match=r"holds is not what the network says now.*remove that directory"):
        recall(1.1)


def test_the_first_row_that_is_known_is_compared_wherever_it_comes(tmp_path):
    def recall(value, *batches):
        kept = Shelf(tmp_path, "backbone", {"weights": "same"}, 1.0, 10, "features of backbone")
        found = Recall(1.0, "features of backbone", kept)
        for batch in batches:
            found(keys(batch), lambda numbers: torch.full((len(numbers), 8), value))
        kept.close()

    recall(1.0, [1])
    for batches in ([[2, 1]], [[3, 4], [5, 1]]):
        with pytest.raises(UserError, match="holds is not what the network says now"):
            recall(1.1, *batches)


def test_an_entry_of_another_place_counts_as_damaged(tmp_path):
    file = RowFile(tmp_path, SIZE, write=True)
    file.append(keys([1, 2]), rows([1, 2]))
    file.close()
    index = (tmp_path / INDEX).read_bytes()
    (tmp_path / INDEX).write_bytes(index[ENTRY.size :] + index[: ENTRY.size])
    file = RowFile(tmp_path, SIZE, write=False)
    assert list(file.fresh()) == []
    file.close()
