"""Files of strangers that hold programs, and names that lead out of their folder: refused, and nothing is run or read."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path

import h5py
import joblib
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import gaze
from gaze.checkpoints import CheckpointError, load_weights, read_state, read_weights, verify
from gaze.datasets.faults import DatasetError
from gaze.datasets.image import ImageError, read_image
from gaze.datasets.plain_pickle import PickleError, load_plain
from gaze.errors import UserError
from gaze.faces.files import opened
from gaze.faces.xgaze_h5 import XGazeH5
from gaze.head_views.archives import find_archives, members_of
from gaze.head_views.layout import keys_of
from gaze.head_views.scan import scanned
from gaze.manifests import FIRST
from gaze.tensor_files import read_tensors
from tests.head_views.files import Person, write


class Payload:
    """Whoever unpickles it makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def payload(tmp_path):
    """Something that must not happen."""
    yield Payload(tmp_path / "exploded")
    assert not (tmp_path / "exploded").exists()


def test_the_payload_works(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "exploded")))
    assert (tmp_path / "exploded").exists()


@pytest.mark.fault("X1")
@pytest.mark.parametrize("write", [torch.save, joblib.dump, lambda p, f: f.write_bytes(pickle.dumps(p))])
@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.ckpt", "model.bin", "model.safetensors"])
def test_a_program_in_place_of_weights_is_refused(payload, tmp_path, write, name):
    write(payload, tmp_path / name)
    with pytest.raises(ValueError, match=rf"{name} (holds Python objects|is damaged|is no safetensors file)"):
        read_tensors(tmp_path / name)
    with pytest.raises(CheckpointError, match="is not trusted|can't be read"):
        read_state(tmp_path / name)
    with pytest.raises(CheckpointError, match="cannot read weights from"):
        read_weights(tmp_path / name)


@pytest.mark.fault("X1")
def test_a_program_among_weights_is_refused(payload, tmp_path):
    torch.save({"model": {"a": torch.zeros(2), "b": payload}}, tmp_path / "model.pth")
    with pytest.raises(ValueError, match="holds Python objects beside tensors, which could run code"):
        read_tensors(tmp_path / "model.pth")


@pytest.mark.fault("X1")
def test_a_program_in_a_pickle_of_labels_is_refused(payload, tmp_path):
    (tmp_path / "labels.pickle").write_bytes(pickle.dumps([{"filename": payload}]))
    with pytest.raises(PickleError):
        load_plain(tmp_path / "labels.pickle")


@pytest.mark.fault("X1")
def test_a_program_in_a_cache_is_not_read_and_the_cache_made_again(payload, tmp_path):
    """An .npz of object arrays, in the place where scans of files of heads are kept."""
    write(tmp_path / "subject0000.h5", Person())
    path, keys = tmp_path / "subject0000.h5", keys_of({})
    scan = scanned(path, keys, None)
    (kept,) = (tmp_path / ".head_views").glob("*.npz")
    with np.load(kept) as file:
        arrays = dict(file)
    np.savez(kept, **arrays | {"head": np.array([payload], dtype=object)})
    assert np.array_equal(scanned(path, keys, None).head, scan.head)
    with np.load(kept) as file:
        assert np.array_equal(file["head"], scan.head), "it was made again"


@pytest.mark.fault("X1")
def test_a_pickle_in_an_array_stays_bytes(payload, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["face_patch"] = np.void(pickle.dumps(payload))
        file.attrs["labels"] = np.void(pickle.dumps(payload))
    with opened(str(tmp_path / "a.h5")) as file:
        assert isinstance(file["face_patch"][()], np.void)


@pytest.mark.fault("X1")
def test_no_reader_asks_for_pickles():
    """Everywhere: weights_only stays true, allow_pickle false, and only the plain reader touches pickle's machine."""
    sources = {path: path.read_text() for path in Path(gaze.__file__).parent.rglob("*.py")}
    words = ("weights_only=False", "allow_pickle=True", "pickle.load", "joblib.load", "read_pickle", "unsafe_load")
    found = [f"{path.name}: {word}" for path, text in sources.items() for word in words if word in text]
    assert found == []
    assert [p.name for p, text in sources.items() if "pickle.Unpickler" in text] == ["plain_pickle.py"]


@pytest.mark.fault("X3")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: {k: v for k, v in s.items() if k.startswith("0")}, "it lacks 1.weight, 1.bias"),
        (lambda s: s | {"2.weight": torch.zeros(1)}, "it has in excess 2.weight"),
        (lambda s: s | {"0.weight": torch.zeros(3, 2)}, r"shapes differ for 0.weight \(3, 2\) instead of \(2, 2\)"),
        (lambda s: {}, "it lacks 0.weight, 0.bias, 1.weight, 1.bias"),
    ],
    ids=["half", "extra", "shape", "empty"],
)
def test_weights_of_another_model_are_all_refused(tmp_path, change, told):
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save_file({name: torch.ones_like(v) for name, v in change(model.state_dict()).items()}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=told):
        load_weights(model, tmp_path / "a.safetensors")
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items()), "some were loaded"


@pytest.mark.fault("X3")
def test_an_alias_of_nothing_is_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", metadata={"aliases": json.dumps({"b": "c"})})
    with pytest.raises(CheckpointError, match="cannot read weights"):
        read_weights(tmp_path / "a.safetensors")


@pytest.mark.fault("D6")
@pytest.mark.parametrize("way", ["link", "raw", "virtual"])
def test_an_array_that_lies_in_another_file_is_refused(tmp_path, way):
    (tmp_path / "secret").write_bytes(bytes(range(64)))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["face_patch"] = np.zeros(4)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        if way == "link":
            file["face_patch"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "face_patch")
        elif way == "raw":
            file.create_dataset("face_patch", (64,), "u1", external=[(str(tmp_path / "secret"), 0, 64)])
        else:
            layout = h5py.VirtualLayout((4,), "f8")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "face_patch", (4,))
            file.create_virtual_dataset("face_patch", layout)
    with pytest.raises(ImageError, match=r"a\.h5: is refused: face_patch (lies in|leads to) another file"):
        opened(str(tmp_path / "a.h5"))


@pytest.mark.fault("D6")
@pytest.mark.parametrize("name", ["../../secret.h5", "/etc/passwd", "..\\secret.h5", "C:\\secret.h5", ""])
def test_a_list_of_files_that_leaves_its_folder_is_refused(tmp_path, name):
    (tmp_path / "root" / "train").mkdir(parents=True)
    (tmp_path / "root" / "train_test_split.json").write_text(json.dumps({"train": [name]}))
    with pytest.raises(DatasetError, match="climbs|absolute|is not a file name"):
        XGazeH5(str(tmp_path / "root")).index()


@pytest.mark.fault("D6")
def test_a_checkpoint_names_no_file_outside_of_it(tmp_path):
    (tmp_path / "outside").write_bytes(b"x")
    (tmp_path / "step-1").mkdir()
    facts = dict.fromkeys(FIRST) | {"format": 1, "files": {"../outside": {"bytes": 1, "crc32": 2363233923}}}
    (tmp_path / "step-1" / "manifest.json").write_text(json.dumps(facts))
    assert "../outside is no file of a checkpoint" in str(verify(tmp_path / "step-1"))


@pytest.mark.fault("D6")
@pytest.mark.parametrize("name", ["../evil.h5", "a/../../evil.h5", "..\\evil.h5", "/evil.h5"])
def test_members_of_archives_land_below_their_folder(tmp_path, name):
    """A name that climbs is refused; of one that is absolute only its last part counts."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, b"x")
    (archive,) = find_archives(tmp_path / "a.zip")
    with archive.opened() as content:
        if name == "/evil.h5":
            assert [m.name for m in members_of(archive, content, 1.0, 100.0)] == ["evil.h5"]
        else:
            with pytest.raises(UserError, match="is no file name to unpack"):
                members_of(archive, content, 1.0, 100.0)


@pytest.mark.fault("D3")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda p: p.write_bytes(b""), "the file is empty"),
        (lambda p: p.write_text("<!DOCTYPE html><html>404</html>"), "is a web page saved under an image's name"),
        (lambda p: p.mkdir(), "is a folder; expected an image file"),
        (lambda p: None, "there is no such file"),
        (lambda p: p.symlink_to("nowhere"), "there is no such file"),
    ],
    ids=["empty", "html", "folder", "missing", "dangling link"],
)
def test_what_is_no_picture_is_named_for_what_it_is(tmp_path, make, reason):
    make(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match=reason):
        read_image(tmp_path / "a.jpg")
