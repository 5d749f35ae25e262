"""Addresses of object stores as people write them: s3://bucket/folder?region=eu-west-1, gs://bucket/table.parquet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from gaze.errors import UserError

STORES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
_SECRETS = ("access_key", "secret_key", "session_token", "access_token", "account_key", "sas_token", "client_secret")
KEYS = (
    "give them as the store's own tools get them: AWS_PROFILE, AWS_ACCESS_KEY_ID or a role; gcloud auth, "
    "GOOGLE_APPLICATION_CREDENTIALS"
)


def is_remote(path: object) -> bool:
    """Is this the address of a store, not a path or a file:// address?"""
    return isinstance(path, str) and path.partition("://")[0] in STORES and "://" in path


def without_scheme(path: str) -> str:
    """The path of a file:// address; any other text as it is."""
    return unquote(urlsplit(path).path) if path.startswith("file://") else path


def check_address(uri: str) -> None:
    """Refuse an address with credentials in it: configs and logs repeat addresses.

    Raises:
        UserError: it has some. They are not repeated.
    """
    if not is_remote(uri):
        return
    parts = urlsplit(uri)
    told = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True) if name.lower() in _SECRETS]
    if parts.password or (parts.username and parts.username != "anonymous" and parts.scheme == "s3") or told:
        raise UserError(
            f"the address {shown(uri)} holds credentials ({', '.join(told) or 'before the @'}), which configs and logs would "
            f"repeat; leave them out, and {KEYS}"
        )


def shown(uri: str) -> str:
    """The address without credentials and options, for messages."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


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
