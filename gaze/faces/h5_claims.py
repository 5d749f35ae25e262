"""What speaks against reading an HDF5 file: claims beyond what it holds, and arrays that lie in other files."""

from __future__ import annotations

import h5py

HARMLESS = 1 << 26  # bytes, whatever they were packed into
MOST_RATIO = {"u": 1100}  # deflate packs 1032 times at most, and masks come near it
PLAUSIBLE_RATIO = 100  # of all that are no pictures
MOST_ROW = 1 << 28  # bytes that must be unpacked to see one row
MOST_OBJECTS = 100_000


def h5_claim(file: h5py.File) -> str | None:
    """Why an open file is not to be trusted, from its headers alone; None if nothing speaks against it.

    HDF5 has no limits of its own: a kilobyte may claim gigabytes of an array that was never written, and an array
    may be any file of this machine.
    """
    groups: list[h5py.Group] = [file]
    seen = 0
    while groups:
        group = groups.pop()
        for name in group:
            seen += 1
            if seen > MOST_OBJECTS:
                return f"it has more than {MOST_OBJECTS} arrays"
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                return f"{name} leads to another file, {link.filename}"
            if isinstance(link, h5py.SoftLink):
                continue  # to an object of this file that is looked at under its own name
            found = group[name]
            if isinstance(found, h5py.Group):
                groups.append(found)
            elif isinstance(found, h5py.Dataset) and (told := _array(found)):
                return f"{name} {told}"
    return None


def _array(array: h5py.Dataset) -> str | None:
    if array.is_virtual or array.external:
        return "lies in another file"
    claimed, held = array.nbytes or 0, array.id.get_storage_size()
    row = claimed // max(1, len(array)) if array.shape else claimed
    chunk = array.dtype.itemsize
    for side in array.chunks or ():
        chunk *= side
    if max(row, chunk if array.chunks else 0) > MOST_ROW and claimed > HARMLESS:
        return f"of shape {list(array.shape)} takes {max(row, chunk)} bytes to see one row"
    ratio = MOST_RATIO.get(array.dtype.kind, PLAUSIBLE_RATIO)
    if claimed > HARMLESS and claimed > ratio * held:
        return f"claims {claimed} bytes and holds {held}"
    return None
