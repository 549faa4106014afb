"""A brand's logo. Its type is read from its content, never from the file name."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from django.core.exceptions import ValidationError

from signup.brand import svg

MAX_BYTES = 20_000
"""With a logo of this size, the whole page stays under 50 KB, for customers on slow phones."""
MAX_PIXELS = 2000
BOX = (240, 40)
"""The largest size at which a page shows it, in CSS pixels."""


@dataclass(frozen=True)
class Logo:
    content: bytes = field(repr=False)
    type: str
    width: int
    height: int
    """As shown, in CSS pixels."""

    @property
    def digest(self) -> str:
        """A name for exactly this image; empty for no logo."""
        return sha256(self.content).hexdigest()[:32] if self.content else ""


NO_LOGO = Logo(b"", "", 0, 0)


def require_size(size: int) -> None:
    """Raise ValidationError for a file that is too large. Only the beginning of an uploaded one is kept."""
    if size > MAX_BYTES:
        raise ValidationError(
            "This file is %(size)d KB, which is slow on a phone. Use an SVG, or an image of up to %(most)d KB.",
            code="large",
            params={"size": size / 1000, "most": MAX_BYTES / 1000},
        )


def read(content: bytes) -> Logo:
    """Read the logo in a file. ValidationError says what is wrong with it and how to fix it."""
    require_size(len(content))
    content_type, measure = _format(content)
    try:
        width, height = measure(content)
    except struct.error:
        raise ValidationError("This image is damaged. Export it again.", code="damaged") from None
    return Logo(content, content_type, *_fit(width, height))


def _format(content: bytes) -> tuple[str, Callable[[bytes], tuple[float, float]]]:
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png", _png
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg", _jpeg
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp", _webp
    if content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        return "image/svg+xml;charset=utf-8", svg.size
    raise ValidationError("This is not an SVG, PNG, WebP, or JPEG file.", code="type")


def _png(content: bytes) -> tuple[float, float]:
    """Read the size from the IHDR chunk (https://www.w3.org/TR/png-3/#11IHDR)."""
    width, height = struct.unpack_from(">II", content, 16)
    return _of_pixels(width, height)


def _jpeg(content: bytes) -> tuple[float, float]:
    """Read the size from the first frame header (https://www.w3.org/Graphics/JPEG/itu-t81.pdf, B.2.2)."""
    at = 2
    marker, length, height, width = struct.unpack_from(">xBHxHH", content, at)
    while marker not in {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}:
        at += 2 + length
        marker, length, height, width = struct.unpack_from(">xBHxHH", content, at)
    return _of_pixels(width, height)


def _webp(content: bytes) -> tuple[float, float]:
    """Read the size of any of the three formats (RFC 9649): lossy, lossless, extended."""
    (kind,) = struct.unpack_from("4s", content, 12)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", content, 26)
        return _of_pixels(width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return _of_pixels((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", content, 24)
    return _of_pixels((high_width << 16 | low_width) + 1, (high_height << 16 | low_height) + 1)


def _of_pixels(width: int, height: int) -> tuple[float, float]:
    if not (0 < width <= MAX_PIXELS and 0 < height <= MAX_PIXELS):
        raise ValidationError(
            "This image is %(width)d by %(height)d pixels. Use at most %(most)d in each direction.",
            code="pixels",
            params={"width": width, "height": height, "most": MAX_PIXELS},
        )
    return width, height


def _fit(width: float, height: float) -> tuple[int, int]:
    scale = min(BOX[0] / width, BOX[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))
