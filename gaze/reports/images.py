"""Pictures of runs, small enough to be mailed."""

from __future__ import annotations

import io
import logging
import warnings
from pathlib import Path

from gaze.reports.blocks import Picture

ENDINGS = (".png", ".jpg", ".jpeg")
LARGEST = 120_000  # bytes of a file that is taken as it is
SIDE = 900  # px, the longer one of a picture that is drawn anew
QUALITY = 80

log = logging.getLogger(__name__)


def newest(run: Path, count: int) -> list[Path]:
    """The pictures of a run that were written last, oldest first."""
    files = [file for file in (run / "pictures").rglob("*") if file.suffix.lower() in ENDINGS and file.is_file()]
    kept = sorted(files, key=lambda file: (file.stat().st_mtime, file.name))[max(0, len(files) - count) :]
    return kept if count > 0 else []


def picture(file: Path, name: str) -> Picture | None:
    """The picture, as a smaller JPEG if the file is large; None for a file that is no picture."""
    from PIL import Image

    try:
        data = file.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
                suffix = ".png" if image.format == "PNG" else ".jpg"
                if len(data) <= LARGEST:
                    image.verify()
                    return Picture(str(Path(name).with_suffix(suffix)), data)
                image.thumbnail((SIDE, SIDE))
                stream = io.BytesIO()
                image.convert("RGB").save(stream, "JPEG", quality=QUALITY)
        return Picture(str(Path(name).with_suffix(".jpg")), stream.getvalue())
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        log.warning("%s is left out: %s", file, error)
        return None
