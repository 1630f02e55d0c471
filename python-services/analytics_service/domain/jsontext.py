"""Strict JSON: what RFC 8259 allows, UTF-8 only, numbers kept as their exact text.

Python's ``json`` is more lenient than the contract (it guesses UTF-16, takes ``NaN``, lets lone
surrogates through) and less exact (it rounds numbers), so it is fenced in here.
"""

import json
import re
from typing import Any, Final, NoReturn

# Far above any real event, far below the interpreter's recursion limit: whether a value is accepted
# must not depend on how deep the caller's own stack is.
MAX_DEPTH: Final = 500

# In valid JSON a backslash occurs only in strings, so the escapes can be walked in the raw text.
# That sees keys, ignored fields and values that a repeated key overwrites, too.
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS: Final = re.compile(r"[\[\]{}]")


class JsonNumber(str):
    """The text of a JSON number, as written."""

    __slots__ = ()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _depth(text: str) -> int:
    """How deep brackets nest outside of strings; meaningful for valid JSON only."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


_DECODER: Final = json.JSONDecoder(
    parse_float=JsonNumber, parse_int=JsonNumber, parse_constant=_refuse_constant
)


def load_json(value: bytes) -> Any:
    """Decode one JSON document; numbers come back as `JsonNumber`.

    ValueError, with a message for people, when ``value`` is not strict JSON in UTF-8 without a
    byte order mark, holds a lone surrogate anywhere, or nests deeper than `MAX_DEPTH`.
    """
    text = value.decode("utf-8")
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    try:
        document = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if "\\" in text and any(match["lone"] for match in _ESCAPE.finditer(text)):
        raise ValueError("a lone surrogate is not a character")
    return document
