"""Addresses of object stores as people write them: s3://bucket/folder?region=eu-west-1, gs://bucket/table.parquet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from gaze.errors import UserError
from gaze.loggers.masking import without_credentials

STORES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
ALIKE = ("s3a", "s3n", "az", "adl", "wasb", "wasbs")  # of other tools: refused, but not before credentials in them are
_SECRET = re.compile(r"(?i)^sig$|signature|token|secret|passw|credential|key")  # options
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://")
KEYS = (
    "give them as the store's own tools get them: AWS_PROFILE, AWS_ACCESS_KEY_ID or a role; gcloud auth, "
    "GOOGLE_APPLICATION_CREDENTIALS"
)


def is_remote(path: object) -> bool:
    """Is this the address of a store, not a path or a file:// address?"""
    return isinstance(path, str) and scheme_of(path) in STORES


def scheme_of(path: str) -> str:
    """What comes before "://", in small letters; empty for a path."""
    found = _SCHEME.match(path)
    return found[1].lower() if found else ""


def without_scheme(path: str) -> str:
    """The path of a file:// address; any other text as it is."""
    return unquote(urlsplit(path).path) if scheme_of(path) == "file" else path


def check_address(uri: str) -> None:
    """Refuse an address with credentials in it: configs and logs repeat addresses.

    Raises:
        UserError: it has some. They are not repeated.
    """
    scheme = scheme_of(uri)
    if scheme not in STORES + ALIKE:
        return
    parts = urlsplit(uri)
    told = [
        name
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if _SECRET.search(name) or (name.lower() == "endpoint_override" and "@" in value)
    ]
    user, _, host = parts.netloc.rpartition("@")
    bucket = scheme.startswith(("s3", "gs", "gcs"))  # which has no colon: a password with a slash has
    if ":" in user or (user not in ("", "anonymous") and scheme.startswith("s3")) or (bucket and ":" in host) or told:
        raise UserError(
            f"the address {shown(uri)} holds credentials ({', '.join(told) or 'before the @'}), which configs and logs would "
            f"repeat; leave them out, and {KEYS}"
        )


def shown(uri: str) -> str:
    """The address without credentials and options, for messages."""
    return without_credentials(re.split(r"[?#]", uri, maxsplit=1)[0])


def with_credentials(node: Any, key: str = "") -> Iterator[str]:
    """What is wrong with addresses anywhere in a plain config, as sentences with their keys."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from with_credentials(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from with_credentials(value, f"{key}.{number}")
    elif isinstance(node, str):
        try:
            check_address(node)
        except UserError as error:
            yield f"{key}: {error}"
