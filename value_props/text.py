"""Text of raw files and of names, as it is shown to people."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with each character that is not printable as an escape.

    Control characters in raw text could rewrite what a terminal shows; others, such as those that
    turn the direction of writing, could hide it. Bytes of a file name that are not UTF-8 become
    `\\xNN`.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    # Python's stand-in for a byte that it could not decode.
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")
