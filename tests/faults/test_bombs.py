"""Files that claim gigabytes in kilobytes: refused from their headers, in little memory."""

from __future__ import annotations

import io
import os
import resource
import zipfile

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy.io import savemat

from gaze import parquet_claims
from gaze.checkpoints import CheckpointError, read_state
from gaze.datasets.image import ImageError, read_image
from gaze.errors import UserError
from gaze.faces.files import opened
from gaze.head_views.archives import find_archives, members_of
from gaze.mat_claims import read_matlab
from gaze.parquet_claims import parquet_claim
from gaze.plain_yaml import YamlError, plain_yaml
from gaze.recordings.reading import read_columns
from gaze.tensor_files import read_tensors
from tests.datasets.test_image import png_of

MOST_MB = 50  # of memory that a refusal may take
GIB = 1 << 30


def picture(folder):
    (folder / "bomb.png").write_bytes(png_of(30_000, 30_000))

    def refused():
        with pytest.raises(ImageError, match=r"max_pixels|decompression bomb"):
            read_image(folder / "bomb.png")

    return refused


def h5_never_written(folder):
    with h5py.File(folder / "claims.h5", "w") as file:
        file.create_dataset("face_patch", (4, 32_768, 32_768), "u1", chunks=(1, 256, 256))

    def refused():
        with pytest.raises(ImageError, match=r"face_patch .*bytes to see one row; fetch it again from its source"):
            opened(str(folder / "claims.h5"))

    return refused


def h5_of_many_rows(folder):
    with h5py.File(folder / "rows.h5", "w") as file:
        file.create_group("Data").create_dataset("label", (GIB, 4), "f4", chunks=(1024, 4))

    def refused():
        with pytest.raises(ImageError, match=r"label claims 17179869184 bytes and holds 0"):
            opened(str(folder / "rows.h5"))

    return refused


def zip_of_zeros(folder):
    with zipfile.ZipFile(folder / "heads.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xgaze_subject0000.h5", bytes(20 << 20))

    def refused():
        (archive,) = find_archives(folder / "heads.zip")
        with archive.opened() as content, pytest.raises(UserError, match=r"times its packed size; expected at most"):
            members_of(archive, content, most_gb=100.0, most_ratio=100.0)

    return refused


def zip_in_a_zip(folder):
    """What is not HDF5 stays packed, whatever it holds."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xgaze_subject0000.h5", bytes(1 << 20))
    with zipfile.ZipFile(folder / "nested.zip", "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())

    def refused():
        (archive,) = find_archives(folder / "nested.zip")
        with archive.opened() as content:
            assert members_of(archive, content, 100.0, 100.0) == []

    return refused


def tensors_of_stride_zero(folder):
    """1.6 kB that are 64 GiB as soon as they are copied."""
    path = folder / "stride.pt"
    torch.save({"step": 1, "weight": torch.zeros(1).expand(1 << 17, 1 << 17)}, path)
    assert path.stat().st_size < 2000

    def refused():
        for read, refusal in ((read_tensors, ValueError), (read_state, CheckpointError)):
            with pytest.raises(refusal, match=r"stride\.pt claims more than it holds.*takes 68719476736 bytes"):
                read(path)

    return refused


def tensors_that_are_packed(folder):
    torch.save({"weight": torch.zeros(1 << 20)}, folder / "plain.pt")
    with zipfile.ZipFile(folder / "plain.pt") as plain, zipfile.ZipFile(folder / "packed.pt", "w", 8) as archive:
        for member in plain.infolist():
            archive.writestr(member.filename, plain.read(member))
    assert torch.load(folder / "packed.pt")["weight"].numel() == 1 << 20, "torch itself unpacks them"

    def refused():
        for read, refusal in ((read_tensors, ValueError), (read_state, CheckpointError)):
            with pytest.raises(refusal, match="is packed, which torch never does"):
                read(folder / "packed.pt")

    return refused


def tensors_that_share_too_much(folder):
    """Each fits into the file; a hundred views of it do not."""
    whole = torch.zeros(1 << 16)
    torch.save({str(i): whole[i:] for i in range(100)}, folder / "views.pt")

    def refused():
        with pytest.raises(ValueError, match="its tensors take .* bytes, and the file has"):
            read_tensors(folder / "views.pt")

    return refused


def parquet_of_one_value(folder):
    """Runs of one value: 8 million rows in some kilobytes, and a billion as easily."""
    one = pa.RecordBatch.from_pydict({"frame": pa.array(np.zeros(1 << 20, np.int8))})
    with pq.ParquetWriter(folder / "runs.parquet", one.schema) as file:
        for _ in range(8):
            file.write_batch(one, row_group_size=1 << 20)

    def refused():
        parquet_claims._claim.cache_clear()
        with pytest.raises(UserError, match=r"runs\.parquet is refused: it claims 8388608 rows in \d+ bytes"):
            read_columns(folder / "runs.parquet", ["frame"])

    return refused


def parquet_of_one_word(folder):
    """One picture of 600 kB in a dictionary, 16,384 times over: 10 GB in 800 kB."""
    path, rows = folder / "words.parquet", 1 << 14
    noise = np.random.default_rng(0).bytes(600_000)
    unique = pa.array(np.random.default_rng(0).random(rows))  # so that rows are no fewer than bytes
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([noise], pa.binary()))
    pq.write_table(pa.table({"face_bytes": column, "x": unique}), path, store_schema=False)
    assert path.stat().st_size < 2_000_000

    def refused():
        parquet_claims._claim.cache_clear()
        assert parquet_claim(path) == f"face_bytes unfolds to {600_000 * rows} bytes"

    return refused


def matlab_of_zeros(folder):
    savemat(folder / "zeros.mat", {"gaze_dir": np.zeros((1 << 11, 4097), np.uint8)}, do_compression=True)
    assert (folder / "zeros.mat").stat().st_size < 65536

    def refused():
        with pytest.raises(ValueError, match=r"claims \d+ bytes of arrays and has \d+"):
            read_matlab(folder / "zeros.mat")

    return refused


def yaml_of_aliases(folder):
    text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
    )

    def refused():
        with pytest.raises(YamlError, match="uses YAML aliases, which can unfold into gigabytes"):
            plain_yaml(text, folder / "devices.yaml")
        with pytest.raises(YamlError, match="nested more than 50 levels"):
            plain_yaml("[" * 5000, folder / "devices.yaml")

    return refused


UNFOLDING = [h5_never_written, h5_of_many_rows, zip_of_zeros, zip_in_a_zip, parquet_of_one_value, parquet_of_one_word,
             matlab_of_zeros, tensors_of_stride_zero, tensors_that_are_packed, tensors_that_share_too_much]  # fmt: skip


def check(bomb, tmp_path):
    """Peak of a forked process, which begins with what this one holds now."""
    refused = bomb(tmp_path)
    refused()
    child = os.fork()
    if child == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        refused()
        (tmp_path / "peak").write_text(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    peak_mb = int((tmp_path / "peak").read_text()) / 1024
    print(f"{bomb.__name__}: {peak_mb:.1f} MB")
    assert peak_mb < MOST_MB


@pytest.mark.fault("D4")
def test_a_picture_of_gigapixels_is_refused_in_little_memory(tmp_path):
    check(picture, tmp_path)


@pytest.mark.fault("D5")
@pytest.mark.parametrize("bomb", UNFOLDING)
def test_a_file_that_unfolds_is_refused_in_little_memory(bomb, tmp_path):
    check(bomb, tmp_path)


@pytest.mark.fault("X2")
def test_yaml_that_unfolds_is_refused_in_little_memory(tmp_path):
    check(yaml_of_aliases, tmp_path)
