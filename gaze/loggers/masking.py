"""Takes secrets out of everything that leaves the run directory."""

from __future__ import annotations

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
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@'\"]+@")


def masked(text: str) -> str:
    """The text, such as a YAML file or a command line, without passwords, tokens and credentials in URIs."""
    text = _CREDENTIALS.sub(f"{MASK}@", text)
    return _SECRET.sub(lambda found: found[1] + _like(found[2]), text)


def without_credentials(uri: str) -> str:
    """The URI without the user and password before its host."""
    return _CREDENTIALS.sub("", uri)


def _like(value: str) -> str:
    quote = value[0] if value[0] in "\"'" else ""
    return f"{quote}{MASK}{quote}"
