"""Areas in a rectangle that are as large as their weights, and as square as can be.

Source: Bruls, Huizing, van Wijk, "Squarified Treemaps" (2000) https://www.win.tue.nl/~vanwijk/stm.pdf
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle, in hundredths of the whole."""

    left: float
    top: float
    width: float
    height: float


def areas(weights: Sequence[float], aspect: float) -> tuple[Area, ...]:
    """Return an area for each weight, in their order; they must be positive, the largest first.

    `aspect` is the width of the whole by its height.
    """
    total = sum(weights)
    sizes = [weight / total * 10000 * aspect for weight in weights]
    found: list[Area] = []
    left = top = 0.0
    width, height = 100.0 * aspect, 100.0
    start = 0
    while start < len(sizes):
        end = _row_end(sizes, start, min(width, height))
        depth = sum(sizes[start:end]) / min(width, height)
        along = 0.0
        for size in sizes[start:end]:
            length = size / depth
            tall = width >= height
            spot = (left, top + along, depth, length) if tall else (left + along, top, length, depth)
            found.append(Area(spot[0] / aspect, spot[1], spot[2] / aspect, spot[3]))
            along += length
        if width >= height:
            left, width = left + depth, width - depth
        else:
            top, height = top + depth, height - depth
        start = end
    return tuple(found)


def _row_end(sizes: Sequence[float], start: int, side: float) -> int:
    """Return where a row along a side ends: as long as another area makes none of it thinner."""
    end = start + 1
    while end < len(sizes) and _worst(sizes[start : end + 1], side) <= _worst(sizes[start:end], side):
        end += 1
    return end


def _worst(row: Sequence[float], side: float) -> float:
    total = sum(row)
    return max(side**2 * row[0] / total**2, total**2 / (side**2 * row[-1]))
