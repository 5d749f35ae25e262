"""Takes secrets out of everything that is written down or sent: config, log, tags and parameters."""

from __future__ import annotations

import logging
import os
import re

MASK = "<masked>"  # unlike asterisks, a plain YAML scalar

# Keys such as api_token, DB_PASSWORD and aws.secret_access_key. Numbers, booleans, null and
# interpolations are no secrets: patch_tokens: 256 and cls_token: true stay readable.
_SECRET = re.compile(
    r"""(?ix)
    ( [\w.\-/@+]* (?: token | password | passwd | secret | api_?key | access_?key | secret_?key | private_?key )
      ["']? \s* [:=] \s* )
    (?! (?: [-+]?[\d.]+(?:e[-+]?\d+)? | true | false | null | none | \$\{[^}]*\} | ["']{2} | \[ | \{ ) (?: [\s,}\]'"] | $ ) )
    ( "[^"\n]*" | '[^'\n]*' | [^\s,}\]'"]+ )
    """
)
_NAME = re.compile(r"(?i)token|password|passwd|secret|api_?key|access_?key|private_?key|credential")
SHORTEST = 8  # characters of a variable's value: "true" and "1" are words of their own
_DATABASES = ("postgres", "mysql", "mariadb", "mssql", "oracle")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@'\"]+@")


def masked(text: str) -> str:
    """The text, such as a YAML file or a command line, without passwords, tokens and credentials in URIs.

    Nor does it hold the values of environment variables that are called so, under whatever key a config looked them up.
    """
    for name, value in os.environ.items():
        if len(value) >= SHORTEST and _NAME.search(name):
            text = text.replace(value, MASK)
    text = _CREDENTIALS.sub(f"{MASK}@", text)
    return _SECRET.sub(lambda found: found[1] + _like(found[2]), text)


def without_credentials(uri: str) -> str:
    """The URI without the user and password before its host, also where signs in them were not written as %40 and %2F."""
    scheme, mark, rest = uri.partition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    port = host.rpartition("@")[2].partition(":")[2]
    web = scheme.lower() in ("http", "https")
    split_password = bool(port) and not port.isdecimal() and not host.endswith("]")
    end = len(host) if ("@" in host and web) or not (split_password or scheme.startswith(_DATABASES)) else len(rest)
    return scheme + mark + rest[:end].rpartition("@")[2] + rest[end:] if mark else uri


class Masked(logging.Formatter):
    """Lines of the log, and tracebacks, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return masked(super().format(record))


def _like(value: str) -> str:
    quote = value[0] if value[0] in "\"'" else ""
    return f"{quote}{MASK}{quote}"
