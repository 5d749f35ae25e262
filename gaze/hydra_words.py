"""Words of a command line as Hydra is to read them."""

from __future__ import annotations

from collections.abc import Collection


def quoted(word: str, texts: Collection[str], as_is: str = "'\"") -> str:
    """KEY=VALUE with its value in quotes: Hydra takes commas, blanks and brackets for its own.

    Args:
        texts: keys whose values are texts; words of others, and null, stay as they are.
        as_is: what values begin with that are not to be quoted.
    """
    key, _, value = word.partition("=")
    if key not in texts or not value or value == "null" or value[0] in as_is:
        return word
    value = value.replace("'", "\\'")
    return f"{key}='{value}'"
