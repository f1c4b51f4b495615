"""Commands that a user can paste."""

from __future__ import annotations


def quoted(text: str) -> str:
    """Return an argument as the shells of Windows and Linux take it."""
    return f'"{text}"' if any(char in text for char in " &|<>^;()") else text
