"""One object store, through pyarrow: opened again in each process, asked again when it stumbles."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from gaze.errors import UserError
from gaze.seeds import mix
from gaze.stores.addresses import KEYS, check_address, shown

log = logging.getLogger(__name__)

ATTEMPTS = 5
FIRST_PAUSE_S = 0.2  # doubled from one attempt to the next, with up to as much again by chance
CONNECT_S, ANSWER_S = 10.0, 30.0
_REFUSED = ("ACCESS_DENIED", "INVALID_ACCESS_KEY", "SIGNATURE", "HTTP 403", "HTTP 401", "PERMISSION", "UNAUTHENTICATED")
_S3_OPTIONS = ("region", "scheme", "endpoint_override", "anonymous", "role_arn", "tls_ca_file_path")
V = TypeVar("V")


class Found(NamedTuple):
    """What a store says of a file. Two files with equal ones are taken to be the same."""

    path: str  # as pyarrow has it: bucket/key
    size: int  # bytes
    mtime_s: int  # whole seconds: listings of some stores say more, single answers don't


class Store:
    """The files of one address's store.

    Clients do not survive a fork, and can't be pickled: each process that uses a store opens its own at first use.

    Args:
        uri: an address in the store; its options (`?endpoint_override=...`) say how the store is reached.

    Raises:
        UserError: credentials in the address, or an option that there is not.
    """

    def __init__(self, uri: str) -> None:
        check_address(uri)
        parts = urlsplit(uri)
        self.uri = parts.scheme + uri[len(parts.scheme) :]  # in small letters
        self.options = dict(parse_qsl(parts.query))
        unknown = [name for name in self.options if parts.scheme == "s3" and name not in _S3_OPTIONS]
        if unknown:
            raise UserError(
                f"{shown(uri)} has the options {', '.join(unknown)}; expected some of {', '.join(_S3_OPTIONS)}"
            )
        self.scheme = parts.scheme
        self._process = -1
        self._filesystem: pafs.FileSystem | None = None
        self.host = ""
        self.root = unquote(parts.netloc.rpartition("@")[2] + parts.path).rstrip("/")
        if parts.scheme not in ("s3", "gs", "gcs"):  # pyarrow alone knows what of it is a server's name
            self.host, self.root = parts.netloc, self._root()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_filesystem": None, "_process": -1}

    @property
    def identity(self) -> str:
        """What tells this store from others, for keys of a cache."""
        return f"{self.scheme}://{self.options.get('endpoint_override', '')}{self.host}"

    def name(self, path: str) -> str:
        """A file's address for messages: no credentials, no options."""
        return f"{self.scheme}://{path}"

    def found(self, path: str) -> Found | None:
        """What there is of a file; None if there is none.

        Raises:
            UserError: the store can't be asked.
        """
        info = self._asked(path, lambda fs: fs.get_file_info([path])[0])
        return Found(path, info.size, (info.mtime_ns or 0) // 10**9) if info.type == pafs.FileType.File else None

    def listed(self, path: str) -> list[Found] | None:
        """The files directly in a folder, by name; None if there is no such folder.

        Raises:
            UserError: the store can't be asked, or has no such bucket.
        """
        try:
            infos = self._asked(path, lambda fs: fs.get_file_info(pafs.FileSelector(path, recursive=False)))
        except FileNotFoundError:
            return None
        files = [Found(i.path, i.size, (i.mtime_ns or 0) // 10**9) for i in infos if i.type == pafs.FileType.File]
        return sorted(files)

    def opened(self, path: str) -> pa.NativeFile:
        """A file, open for reading at any place.

        Raises:
            UserError: it can't be opened.
            FileNotFoundError: it is not there.
        """
        return self._asked(path, lambda fs: fs.open_input_file(path))

    def read(self, file: pa.NativeFile, path: str, start: int, length: int) -> bytes:
        """Bytes of an open file; fewer at its end.

        Raises:
            UserError: they can't be had.
        """
        return self._asked(path, lambda fs: bytes(file.read_at(length, start)))

    def _asked(self, path: str, ask: Callable[[pafs.FileSystem], V]) -> V:
        for attempt in range(ATTEMPTS):
            try:
                return ask(self._opened())
            except FileNotFoundError:
                raise
            except (OSError, pa.ArrowException) as error:
                what = _permanent(error)
                if what or attempt == ATTEMPTS - 1:
                    raise UserError(self._sentence(path, error, what)) from error
                log.info("%s: attempt %d of %d failed (%s)", self.name(path), attempt + 1, ATTEMPTS, _first_line(error))
                by_chance = mix(os.getpid(), attempt, time.monotonic_ns() % 2**62) / 2**63
                time.sleep(FIRST_PAUSE_S * 2**attempt * (1 + by_chance))
        raise AssertionError("the loop returns or raises")

    def _sentence(self, path: str, error: Exception, permanent: str) -> str:
        told = permanent or (
            f"can't be reached, after {ATTEMPTS} attempts; check the network, region and endpoint_override, and start "
            "again: a run goes on where it was"
        )
        return f"{self.name(path)} {told} ({_first_line(error)})"

    def _opened(self) -> pafs.FileSystem:
        if self._process != os.getpid():
            self._forget()
        filesystem = self._filesystem or self._made()  # of two threads that make one, either may stay
        self._filesystem = filesystem
        return filesystem

    def _made(self) -> pafs.FileSystem:
        if self.scheme == "s3":
            options: dict[str, Any] = dict(self.options)
            if "anonymous" in options:
                options["anonymous"] = options["anonymous"].lower() == "true"
            once = pafs.AwsStandardS3RetryStrategy(max_attempts=1)  # attempts are counted here, alike for all stores
            return pafs.S3FileSystem(
                connect_timeout=CONNECT_S, request_timeout=ANSWER_S, retry_strategy=once, **options
            )
        if self.scheme in ("gs", "gcs"):
            options = dict(self.options)
            anonymous = urlsplit(self.uri).username == "anonymous"
            limit = timedelta(seconds=ANSWER_S)
            return pafs.GcsFileSystem(anonymous=anonymous, retry_time_limit=limit, **options)
        return pafs.FileSystem.from_uri(self.uri)[0]

    def _root(self) -> str:
        try:
            return str(pafs.FileSystem.from_uri(self.uri)[1]).rstrip("/")
        except (OSError, pa.ArrowException) as error:
            raise UserError(
                f"{shown(self.uri)} can't be opened ({_first_line(error)}); correct it, or install what its store needs"
            ) from error

    def _forget(self) -> None:
        self._process = os.getpid()
        self._filesystem = None


def _permanent(error: Exception) -> str:
    """What to do about an error that another attempt does not mend; empty for others."""
    text = str(error).upper()
    if "NO_SUCH_BUCKET" in text:
        return "is in no bucket that exists; correct the address"
    if isinstance(error, PermissionError) or any(word in text for word in _REFUSED):
        return f"is refused to us: credentials are missing, wrong or lack the right to read; {KEYS}"
    if isinstance(error, (pa.ArrowInvalid, pa.ArrowNotImplementedError)):
        return "is no address that can be read; expected such as s3://BUCKET/FOLDER or gs://BUCKET/FOLDER"
    return ""


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__
