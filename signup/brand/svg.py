"""The SVG files that are accepted as logos: only shapes, and no references to anything outside the file.

This is an allowlist: any other element or attribute is refused, and so are entity declarations.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from xml.parsers.expat import ExpatError, ParserCreate

from django.core.exceptions import ValidationError

NAMESPACE = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
XML = "http://www.w3.org/XML/1998/namespace"

ELEMENTS = """
    svg g defs symbol use title desc style path rect circle ellipse line polyline polygon text tspan clipPath mask
    linearGradient radialGradient stop
"""
ATTRIBUTES = f"""
    id class style type version role aria-label aria-hidden aria-labelledby focusable data-name
    viewBox preserveAspectRatio width height x y x1 y1 x2 y2 cx cy r rx ry fx fy dx dy d points pathLength
    transform transform-origin href offset gradientUnits gradientTransform spreadMethod
    clipPathUnits maskUnits maskContentUnits clip-path clip-rule mask mask-type
    fill fill-opacity fill-rule stroke stroke-dasharray stroke-dashoffset stroke-linecap stroke-linejoin
    stroke-miterlimit stroke-opacity stroke-width color stop-color stop-opacity opacity display visibility overflow
    paint-order vector-effect shape-rendering text-rendering color-interpolation enable-background isolation
    font-family font-size font-style font-weight letter-spacing word-spacing text-anchor dominant-baseline
    {XLINK}|href {XML}|space {XML}|lang
"""
MAX_USES = 20
"""Copies of parts, which can't be copies themselves: copies of copies grow exponentially and keep a browser busy."""
MAX_NESTED = 6
"""Parts of masks and clip paths that are masked or clipped themselves: each level multiplies how often its parts are
drawn."""
MAX_DEPTH = 50
"""How deeply elements may be nested. Programs that read a drawing call themselves for each level."""

_ELEMENTS, _ATTRIBUTES = set(ELEMENTS.split()), set(ATTRIBUTES.split())
# url() may only refer to a part of the same drawing. No external style sheet or font, and no escape that hides one.
_REACHES_OUT = re.compile(
    r"url\((?!\s*['\"]?#)|@(?!media\b)|(image|image-set|src|cross-fade)\(|\\|script:", re.IGNORECASE
)

_COMMENT = re.compile(r"/\*.*?(\*/|\Z)", re.DOTALL)
_NAME = re.compile(r"(?<![\w-])([\w-]++)\s*+:")
"""The name of a property. Each text is read once: the largest file would take seconds otherwise."""
_MASKS = re.compile(r"mask(?!-type)|clip-path", re.IGNORECASE)
_CLASS = re.compile(r"\s*\.([\w-]+)\s*")


@dataclass(frozen=True)
class _Part:
    """What an element has to do with masks and clip paths."""

    ids: tuple[str, ...]
    """Of the element, and of those around it."""
    is_in_mask: bool
    is_masked: bool
    classes: frozenset[str]
    copied: frozenset[str]
    """The IDs of the elements that it may be a copy of."""


def size(content: bytes) -> tuple[float, float]:
    """Return the drawing's width and height, in its own units. ValidationError says why it is refused."""
    drawing = _Drawing()
    try:
        # UTF-8, whatever the file declares. It is served as UTF-8 too, so browsers read what was checked here.
        parser = ParserCreate("utf-8", namespace_separator="|")
        parser.StartDoctypeDeclHandler = drawing.declare
        parser.ProcessingInstructionHandler = drawing.instruct
        parser.StartElementHandler = drawing.start
        parser.EndElementHandler = drawing.end
        parser.CharacterDataHandler = drawing.text
        parser.Parse(content, True)
        drawing.check_masks()
    except ExpatError:
        raise ValidationError("This SVG file is damaged. Export it again.", code="damaged") from None
    return drawing.size


class _Drawing:
    """Checks the parts of an SVG as the parser finds them."""

    def __init__(self) -> None:
        self.size = (0.0, 0.0)
        self.open: list[str] = []
        self.ids: list[str] = []
        """The IDs of the open elements, some of them empty."""
        self.copied: list[str] = []
        """The IDs of the elements that are copied."""
        self.copying: set[str] = set()
        """The IDs of the elements that are, or contain, copies of others."""
        self.style = ""
        self.parts: list[_Part] = []
        self.masking_classes: set[str] = set()

    def declare(self, name: str, system: str | None, public: str | None, has_internal_subset: bool) -> None:
        if has_internal_subset:
            raise _refused("<!DOCTYPE […]>")

    def instruct(self, target: str, data: str) -> None:
        raise _refused(f"<?{target}?>")

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        namespace, _bar, tag = name.rpartition("|")
        if namespace != NAMESPACE or tag not in _ELEMENTS or (not self.open and tag != "svg"):
            raise _refused(f"<{tag}>")
        if len(self.open) == MAX_DEPTH or "style" in self.open:
            raise _refused(f"<{tag}>")
        _check_attributes(attributes)
        if not self.open:
            self.size = _size(attributes)
        self.open.append(tag)
        self.ids.append(attributes.get("id", ""))
        copied = [value.removeprefix("#") for name, value in attributes.items() if name.endswith("href")]
        if tag == "use":
            self._add_copies(copied)
        self._add_part(attributes, copied)

    def _add_copies(self, copied: list[str]) -> None:
        self.copied += copied
        self.copying.update(self.ids)
        if len(self.copied) > MAX_USES or self.copying.intersection(self.copied):
            raise _refused("<use>")

    def _add_part(self, attributes: Mapping[str, str], copied: list[str]) -> None:
        style = _COMMENT.sub(" ", attributes.get("style", ""))
        self.parts.append(
            _Part(
                ids=tuple(filter(None, self.ids)),
                is_in_mask=not {"mask", "clipPath"}.isdisjoint(self.open),
                is_masked=bool({"mask", "clip-path"} & attributes.keys() or _has_masks(style)),
                classes=frozenset(attributes.get("class", "").split()),
                copied=frozenset(copied),
            )
        )

    def text(self, text: str) -> None:
        if self.open[-1] == "style":
            self.style += text

    def end(self, name: str) -> None:
        self.open.pop()
        self.ids.pop()
        if _REACHES_OUT.search(self.style):
            raise _refused("<style>")
        self._read_style(_COMMENT.sub(" ", self.style))
        self.style = ""

    def _read_style(self, style: str) -> None:
        """Note the classes of elements that are masked or clipped. Such a rule must be about classes only."""
        pieces = re.split(r"([{}])", style)
        for at, piece in enumerate(pieces):
            if _has_masks(piece):
                selectors = pieces[at - 2].split(",") if at and pieces[at - 1] == "{" else [""]
                classes = [_CLASS.fullmatch(selector) for selector in selectors]
                if not all(classes):
                    raise _refused("<style>")
                self.masking_classes.update(found[1] for found in classes if found)

    def check_masks(self) -> None:
        """Refuse masks of masks that would be drawn very often."""
        masked = [part for part in self.parts if part.is_masked or part.classes & self.masking_classes]
        masked_ids = {name for part in masked for name in part.ids}
        nested = sum(part.is_in_mask for part in masked)
        if nested > MAX_NESTED or any(part.is_in_mask and part.copied & masked_ids for part in self.parts):
            raise _refused("<mask>")


def _check_attributes(attributes: Mapping[str, str]) -> None:
    """Refuse attributes that are not listed, and values that refer to anything outside the drawing."""
    for name, value in attributes.items():
        is_link = name.endswith("href")
        if name not in _ATTRIBUTES or _REACHES_OUT.search(value) or (is_link and not value.startswith("#")):
            raise _refused(f'{name.rpartition(" ")[2]}="{value[:40]}"')


def _has_masks(style: str) -> bool:
    """Whether a style without comments has a property that masks or clips."""
    return any(_MASKS.search(name) for name in _NAME.findall(style))


def _size(attributes: Mapping[str, str]) -> tuple[float, float]:
    readers: tuple[Callable[[], list[str]], ...] = (
        lambda: re.split(r"[\s,]+", attributes["viewBox"].strip())[2:],
        lambda: [attributes[name].removesuffix("px") for name in ("width", "height")],
    )
    for read in readers:
        try:
            width, height = map(float, read())
        except (KeyError, ValueError):
            continue
        if 1e-6 < width < 1e6 and 1e-6 < height < 1e6:
            return width, height
    raise ValidationError('This SVG file has no size. Export it with a "viewBox".', code="size")


def _refused(what: str) -> ValidationError:
    return ValidationError(
        'A logo may contain only shapes, but this SVG file contains %(what)s. Export it as "plain" or "optimized" SVG, '
        "or as PNG.",
        code="unsafe",
        params={"what": what},
    )
