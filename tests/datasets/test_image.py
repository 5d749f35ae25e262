import io
import os
import pickle
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from gaze.benchmark.limits import jpeg_bytes
from gaze.datasets import image as module
from gaze.datasets.image import ImageError, decode_image, image_size, read_image, resize

HEIGHT, WIDTH = 48, 80


@pytest.fixture(params=["simplejpeg", "Pillow"])
def decoder(request, monkeypatch):
    if request.param == "Pillow":
        monkeypatch.setattr(module, "simplejpeg", None)
    elif module.simplejpeg is None:
        pytest.skip("simplejpeg is not installed")
    return request.param


@pytest.fixture
def picture():
    """Smooth, and different in every corner and channel."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x * 255 / WIDTH, y * 255 / HEIGHT, (x + y) * 100 / WIDTH], axis=-1).astype(np.uint8)


def jpeg(array: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", **{"quality": 95, **options})
    return buffer.getvalue()


def close(tensor: torch.Tensor, array: np.ndarray, tolerance: float = 6) -> bool:
    difference = tensor.permute(1, 2, 0).int() - torch.from_numpy(array.astype(np.int32))
    return difference.abs().float().mean() < tolerance


def test_lossless_files_come_back_exactly(tmp_path, picture):
    Image.fromarray(picture).save(tmp_path / "a.png")
    tensor = read_image(tmp_path / "a.png")
    assert tensor.dtype == torch.uint8
    assert tensor.shape == (3, HEIGHT, WIDTH)
    assert torch.equal(tensor.permute(1, 2, 0), torch.from_numpy(picture))
    assert image_size(tmp_path / "a.png") == (HEIGHT, WIDTH)


def test_both_decoders_give_the_same_pixels(tmp_path, picture, monkeypatch):
    if module.simplejpeg is None:
        pytest.skip("simplejpeg is not installed")
    (tmp_path / "a.jpg").write_bytes(jpeg(picture))
    fast = read_image(tmp_path / "a.jpg")
    monkeypatch.setattr(module, "simplejpeg", None)
    assert (fast.int() - read_image(tmp_path / "a.jpg").int()).abs().max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(tmp_path, picture, decoder, orientation):
    # How a camera stores the upright picture under each orientation: the inverse of how it is to be shown.
    stored = {
        1: picture,
        2: picture[:, ::-1],
        3: picture[::-1, ::-1],
        4: picture[::-1],
        5: picture.transpose(1, 0, 2),
        6: np.rot90(picture, 1),
        7: picture[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(picture, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "a.jpg").write_bytes(jpeg(np.ascontiguousarray(stored), exif=exif))
    tensor = read_image(tmp_path / "a.jpg")
    assert tensor.shape == (3, HEIGHT, WIDTH)
    assert image_size(tmp_path / "a.jpg") == (HEIGHT, WIDTH)
    assert close(tensor, picture)


def test_every_kind_of_colour_becomes_rgb(tmp_path, picture, decoder):
    rgb = Image.fromarray(picture)
    grey = np.repeat(np.asarray(rgb.convert("L"))[..., None], 3, axis=2)
    for name, image, expected in [
        ("grey.jpg", rgb.convert("L"), grey),
        ("cmyk.jpg", rgb.convert("CMYK"), picture),
        ("grey.png", rgb.convert("L"), grey),
        ("palette.png", rgb.quantize(256), picture),
        ("rgb.webp", rgb, picture),
        ("rgb.bmp", rgb, picture),
    ]:
        image.save(tmp_path / name)
        assert close(read_image(tmp_path / name), expected), name


def test_sixteen_bits_keep_their_brightness(tmp_path):
    values = np.linspace(0, 65535, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    expected = torch.from_numpy((values >> 8).astype(np.uint8))
    assert torch.equal(read_image(tmp_path / "deep.png"), expected.expand(3, -1, -1))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_shown_over_white(tmp_path, mode):
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.putpixel((0, 0), (0, 0, 0, 255))
    image.convert(mode).save(tmp_path / "a.png")
    tensor = read_image(tmp_path / "a.png")
    assert tensor[:, 0, 0].tolist() == [0, 0, 0]
    assert tensor[:, 2, 2].tolist() == [255, 255, 255]


@pytest.mark.fault("D1")
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_truncated_files_are_refused(tmp_path, picture, decoder, share):
    noise = np.random.default_rng(0).integers(0, 255, picture.shape).astype(np.uint8)
    data = jpeg(noise)
    (tmp_path / "a.jpg").write_bytes(data[: int(share * len(data))])
    with pytest.raises(ImageError, match=r"a\.jpg: .*damaged"):
        read_image(tmp_path / "a.jpg")
    Image.fromarray(noise).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: int(share * len(data))])
    with pytest.raises(ImageError, match=r"a\.png: "):
        read_image(tmp_path / "a.png")


@pytest.mark.fault("D2")
@pytest.mark.skipif(module.simplejpeg is None, reason="Pillow passes over bit errors")
@pytest.mark.parametrize("options", [{}, {"exif": b"Exif\0\0"}])
def test_zeros_inside_the_scan_are_refused(tmp_path, options):
    data = bytearray(jpeg(np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8), **options))
    middle = len(data) // 2
    data[middle : middle + 4096] = bytes(4096)
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(ImageError, match="damaged"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.fault("D3")
@pytest.mark.parametrize("read", [read_image, image_size])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "web page"),
        (b"GIF89a" + bytes(40), "is not a JPEG, PNG, WebP or BMP"),
        (b"hello, world", "is not a JPEG"),
        (b"\x89PNG\r\n\x1a\n" + bytes(10), "damaged"),
    ],
)
def test_what_is_not_an_image_is_named_for_what_it_is(tmp_path, read, content, reason):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=reason) as error:
        read(tmp_path / "a.jpg")
    assert str(tmp_path / "a.jpg") in str(error.value)


@pytest.mark.fault("D3")
@pytest.mark.parametrize("read", [read_image, image_size])
def test_paths_without_a_file_are_refused(tmp_path, read):
    with pytest.raises(ImageError, match="no such file"):
        read(tmp_path / "missing.jpg")
    with pytest.raises(ImageError, match="is a folder"):
        read(tmp_path)


@pytest.mark.fault("D3")
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_forbidden_file_is_refused(tmp_path):
    (tmp_path / "a.jpg").touch(mode=0o000)
    with pytest.raises(ImageError, match="permission denied"):
        read_image(tmp_path / "a.jpg")


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10))) + chunk(b"IEND", b"")
    )


def resized_jpeg(picture: np.ndarray, width: int, height: int) -> bytes:
    """A JPEG whose header claims another size."""
    data = jpeg(picture)
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


@pytest.mark.fault("D4")
@pytest.mark.parametrize("read", [read_image, image_size])
@pytest.mark.parametrize("side", [9_000, 30_000])
def test_bombs_are_refused_from_the_header(tmp_path, picture, decoder, read, side, monkeypatch):
    if module.simplejpeg is not None:
        monkeypatch.setattr(module.simplejpeg, "decode_jpeg", lambda *_, **__: pytest.fail("decoded a bomb"))
    for content in (png_of(side, side), resized_jpeg(picture, side, side)):
        (tmp_path / "a.jpg").write_bytes(content)
        with pytest.raises(ImageError, match=r"max_pixels|decompression bomb"):
            read(tmp_path / "a.jpg")


def test_limit_is_a_parameter(tmp_path, picture):
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert image_size(tmp_path / "a.png", max_pixels=HEIGHT * WIDTH) == (HEIGHT, WIDTH)
    with pytest.raises(ImageError, match="more than max_pixels=3839"):
        read_image(tmp_path / "a.png", max_pixels=HEIGHT * WIDTH - 1)


@pytest.mark.fault("D11")
def test_error_survives_the_way_back_from_a_worker():
    error = pickle.loads(pickle.dumps(ImageError("a.jpg", "is a folder")))
    assert (error.path, error.reason, str(error)) == ("a.jpg", "is a folder", "a.jpg: is a folder")


@pytest.mark.parametrize("size", [(24, 40), (96, 60)])
def test_resize_agrees_with_a_float_resize_of_any_layout(picture, size):
    view = torch.from_numpy(picture).permute(2, 0, 1)
    expected = torch.nn.functional.interpolate(view[None].float(), size, mode="bilinear", antialias=True)[0]
    for image in (view, view.contiguous()):
        assert (resize(image, size).float() - expected).abs().max() <= 1
    part = view[:, 3:40, 5:70]
    assert torch.equal(resize(part, size), resize(part.contiguous(), size))


@pytest.mark.parametrize("size", [(448, 448), (449, 451), (300, 700), (128, 128)])
@pytest.mark.parametrize("least", [(224, 224), (128, 128), (100, 30), (448, 448)])
def test_a_jpeg_is_decoded_no_larger_than_it_need_be_and_alike_by_both_decoders(monkeypatch, size, least):
    data = jpeg_bytes(*size)
    small = decode_image("a", data, at_least=least)
    assert all(side >= min(enough, whole) for side, enough, whole in zip(small.shape[-2:], least, size, strict=True))
    assert size[0] < 448 or any(side < 2 * enough + 1 for side, enough in zip(small.shape[-2:], least, strict=True))
    monkeypatch.setattr(module, "simplejpeg", None)
    assert torch.equal(decode_image("a", data, at_least=least), small)


def test_a_jpeg_at_half_its_size_is_close_to_the_resized_one():
    data = jpeg_bytes(256, 320)
    whole, half = decode_image("a", data), decode_image("a", data, at_least=(128, 160))
    assert (resize(whole, (128, 160)).int() - half.int()).abs().float().mean() < 4
