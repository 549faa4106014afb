"""A brand's color, and shades of it with enough contrast for text.

Contrast as WCAG 2.2 defines it (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio).
"""

from __future__ import annotations

from collections.abc import Iterator

Color = tuple[int, int, int]
"""Red, green and blue, each from 0 to 255."""

WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)
LIGHT_PAGE: Color = (0xEE, 0xF2, 0xFB)
DARK_CARD: Color = (0x1B, 0x25, 0x36)
"""Backgrounds of links: the darkest one in light mode, and the lightest one in dark mode.

They are those of highlighted notes, `--wash` in `signup.css`.
"""
TEXT_CONTRAST = 4.5
GRAPHICS_CONTRAST = 3.0


USUAL_COLOR = "#2454d6"
"""The stylesheet's color, for brands without their own."""


def palette(color: str) -> dict[str, str]:
    """Return the stylesheet's variables for a brand's color like `#2454d6`: the color and its readable shades."""
    accent = _parse(color)
    on_accent = WHITE if contrast(accent, WHITE) >= TEXT_CONTRAST else BLACK
    return {
        "accent": _format(accent),
        "accent-hover": _format(mix(accent, BLACK if on_accent == WHITE else WHITE, 0.15)),
        "on-accent": _format(on_accent),
        "rim-on-light": _format(readable(accent, LIGHT_PAGE, BLACK, GRAPHICS_CONTRAST)),
        "rim-on-dark": _format(readable(accent, DARK_CARD, WHITE, GRAPHICS_CONTRAST)),
        "link-on-light": _format(readable(accent, LIGHT_PAGE, BLACK)),
        "link-on-dark": _format(readable(accent, DARK_CARD, WHITE)),
    }


def readable(color: Color, ground: Color, towards: Color, least: float = TEXT_CONTRAST) -> Color:
    """Return the color, or the nearest one on the way to `towards` with a contrast of at least `least` on `ground`."""
    return next(shade for shade in _shades(color, towards) if contrast(shade, ground) >= least)


def contrast(one: Color, other: Color) -> float:
    """Return the contrast ratio: from 1 (none) to 21 (black on white)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def mix(one: Color, other: Color, share: float) -> Color:
    """Return a color between two: `share` says how much of the other is in it, from 0 to 1."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _shades(color: Color, towards: Color) -> Iterator[Color]:
    return (mix(color, towards, step / 20) for step in range(21))


def _luminance(color: Color) -> float:
    shares = (part / 255 for part in color)
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _parse(color: str) -> Color:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue


def _format(color: Color) -> str:
    return f"#{bytes(color).hex()}"
