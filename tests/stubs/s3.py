"""A folder served as S3 on loopback, as much of it as readers speak, with faults on demand.

    python -m tests.stubs.s3 FOLDER      # buckets are the folders in it

Listing (ListObjectsV2), HEAD and GET with ranges; nothing can be written.
"""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


@dataclass
class Faults:
    """What goes wrong with the next GETs of objects; counted down as it happens."""

    errors: int = 0  # answers 503
    denied: int = 0  # answers 403
    truncated: int = 0  # bodies that end halfway, under their full Content-Length
    short: int = 0  # whole answers that hold fewer bytes than were asked for
    latency_s: float = 0.0  # of every answer
    seen: Counter[str] = field(default_factory=Counter)  # requests by kind: HEAD, GET, LIST; and "bytes" sent


class Server(ThreadingHTTPServer):
    """Serves `folder`; used as a context by `served`."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.faults = folder, Faults()

    def uri(self, path: str, **options: str) -> str:
        """An address of a bucket and key here."""
        words = {
            "endpoint_override": f"127.0.0.1:{self.server_port}",
            "scheme": "http",
            "region": "here",
            "anonymous": "true",
        } | options
        return f"s3://{path}?" + "&".join(f"{key}={value}" for key, value in words.items())


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    """A server of the folder in a thread, until the block ends."""
    with Server(folder) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_HEAD(self) -> None:
        self._count("HEAD")
        bucket, key = self._wanted()
        if not (self.server.folder / bucket).is_dir():
            self._answer(404)
        elif not key:
            self._answer(200)
        elif (path := self.server.folder / bucket / key).is_file():
            self._answer(200, length=path.stat().st_size, headers=_about(path))
        else:
            self._answer(404)

    def do_GET(self) -> None:
        bucket, key = self._wanted()
        if not (self.server.folder / bucket).is_dir():
            self._error(404, "NoSuchBucket")
        elif not key:
            self._count("LIST")
            self._list(bucket, {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()})
        elif (path := self.server.folder / bucket / key).is_file():
            self._count("GET")
            self._object(path)
        else:
            self._error(404, "NoSuchKey")

    def _object(self, path: Path) -> None:
        faults = self.server.faults
        if self._take("errors"):
            return self._error(503, "SlowDown")
        if self._take("denied"):
            return self._error(403, "AccessDenied")
        size = path.stat().st_size
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        begin, end = int(first), min(int(last or size - 1), size - 1)
        if self._take("short"):
            end = begin + (end - begin) // 2
        with path.open("rb") as file:
            file.seek(begin)
            body = file.read(end + 1 - begin)
        faults.seen["bytes"] += len(body)
        headers = _about(path) | {"Content-Range": f"bytes {begin}-{end}/{size}"}
        cut = self._take("truncated")
        self._answer(206, body[: len(body) // 2] if cut else body, len(body), headers)
        self.close_connection = self.close_connection or cut
        return None

    def _list(self, bucket: str, query: dict[str, str]) -> None:
        root, prefix = self.server.folder / bucket, query.get("prefix", "")
        keys = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
        keys = [key for key in keys if key.startswith(prefix)]
        folders = set()
        if delimiter := query.get("delimiter"):
            nested = [key for key in keys if delimiter in key[len(prefix) :]]
            folders = {prefix + key[len(prefix) :].split(delimiter)[0] + delimiter for key in nested}
            keys = [key for key in keys if key not in set(nested)]
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{_when(root / key)}</LastModified>"
            f"<ETag>{_about(root / key)['ETag']}</ETag><Size>{(root / key).stat().st_size}</Size></Contents>"
            for key in keys[: int(query.get("max-keys", 1000))]
        )
        rows += "".join(f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders))
        text = (
            f'<?xml version="1.0"?><ListBucketResult><Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix>'
            f"<KeyCount>{len(keys)}</KeyCount><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"
        )
        self._answer(200, text.encode(), headers={"Content-Type": "application/xml"})

    def _wanted(self) -> tuple[str, str]:
        time.sleep(self.server.faults.latency_s)
        bucket, _, key = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
        return bucket, key

    def _count(self, kind: str) -> None:
        self.server.faults.seen[kind] += 1

    def _take(self, kind: str) -> bool:
        left = getattr(self.server.faults, kind)
        setattr(self.server.faults, kind, max(left - 1, 0))
        return left > 0

    def _error(self, status: int, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
        self._answer(status, body, headers={"Content-Type": "application/xml"})

    def _answer(
        self, status: int, body: bytes = b"", length: int | None = None, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests read what was counted."""


def _when(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _about(path: Path) -> dict[str, str]:
    found = path.stat()
    tag = hashlib.md5(f"{path.name} {found.st_size} {found.st_mtime_ns}".encode()).hexdigest()
    return {
        "ETag": f'"{tag}"',
        "Last-Modified": formatdate(found.st_mtime, usegmt=True),
        "Content-Type": "binary/octet-stream",
    }


if __name__ == "__main__":
    with Server(Path(sys.argv[1])) as here:
        print(here.uri("BUCKET/KEY"), flush=True)
        here.serve_forever()
