"""Only a safe image is accepted as a logo, whatever its file name."""

from contextlib import suppress
from time import thread_time

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from signup.brand import svg as svg_files
from signup.brand.logo import MAX_BYTES, read
from tests.signup.brand.pictures import EXTENDED, JPEG, LOSSLESS, LOSSY, PNG, SVG, UNSAFE, svg


def code(content: bytes) -> str | None:
    """Return the error code for a file that is not accepted."""
    with pytest.raises(ValidationError) as refused:
        read(content)
    return refused.value.code


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (SVG, "image/svg+xml;charset=utf-8"),
        (b"\xef\xbb\xbf" + SVG, "image/svg+xml;charset=utf-8"),
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (LOSSY, "image/webp"),
        (LOSSLESS, "image/webp"),
        (EXTENDED, "image/webp"),
    ],
    ids=lambda part: str(part)[:24],
)
def test_an_image_is_recognized_by_its_content_and_fits_the_page(content: bytes, content_type: str) -> None:
    logo = read(content)

    assert (logo.content, logo.type) == (content, content_type)
    assert (logo.width, logo.height) == ((240, 40) if "svg" in content_type else (120, 40))


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ('viewBox="0 0 40 40"', (40, 40)),
        ('viewBox="-10,-10 , 1200 100"', (240, 20)),
        ('width="30" height="60px"', (20, 40)),
        ('viewBox="0 0 100 50" width="100%" height="100%"', (80, 40)),
        ('viewBox="0 0 100000 1"', (240, 1)),
    ],
)
def test_an_svg_fits_the_page_however_its_size_is_given(attributes: str, size: tuple[int, int]) -> None:
    logo = read(svg(attributes=attributes))

    assert (logo.width, logo.height) == size


@pytest.mark.parametrize(
    "attributes",
    [
        "",
        'width="100%" height="100%"',
        'viewBox="0 0 0 10"',
        'viewBox="0 0 nan inf"',
        'viewBox="0 0 1"',
        'width="5"',
        'viewBox="0 0 1e-320 1e-320"',
    ],
)
def test_an_svg_without_a_size_is_refused(attributes: str) -> None:
    assert code(svg(attributes=attributes)) == "size"


@pytest.mark.parametrize("content", UNSAFE.values(), ids=UNSAFE.keys())
def test_an_svg_with_more_than_shapes_is_refused(content: bytes) -> None:
    assert code(content) == "unsafe"


@pytest.mark.parametrize(
    "content",
    [
        SVG[:-10],
        svg("<path>"),
        svg("<title>\xff</title>").replace("\xff".encode(), b"\xff"),
        SVG.decode().encode("utf-16").replace(b"\xff\xfe", b"<"),
        b"<",
        PNG[:20],
        JPEG[:12],
        JPEG[:2] + b"\xff\xe0\0\0" * 10,
        LOSSY[:24],
        b"RIFF....WEBP",
    ],
    ids=lambda content: repr(content)[:32],
)
def test_a_damaged_image_is_refused(content: bytes) -> None:
    assert code(content) == "damaged"


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a" + bytes(20), b"%PDF-1.7", b"MZ", b"\0" * 64, b"RIFF....WAVE", b"alert(1)", b"\xff\xd8"]
)
def test_a_file_of_another_type_is_refused(content: bytes) -> None:
    assert code(content) == "type"


@pytest.mark.parametrize("size", [b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\x07\xd1"])
def test_an_image_with_no_or_too_many_pixels_is_refused(size: bytes) -> None:
    assert code(PNG[:16] + size + PNG[20:]) == "pixels"


def test_a_file_that_is_too_large_is_refused() -> None:
    assert read(PNG.ljust(MAX_BYTES, b"\0"))
    assert code(PNG.ljust(MAX_BYTES + 1, b"\0")) == "large"


def test_an_svg_may_be_nested_and_copy_parts_as_deeply_as_programs_export_it() -> None:
    assert read(svg("<g>" * 49 + "</g>" * 49)).type
    assert read(svg('<g id="a"><path/></g><g id="b"/>' + '<g><use href="#a"/><use href="#b"/></g>' * 10)).type


def test_an_svg_may_mask_and_clip_its_parts_as_programs_export_it() -> None:
    sheet = "<style>.a{clip-path:url(#b);fill:#fff}.mask{fill:red}</style>"
    clip = '<clipPath id="b"><use href="#c"/></clipPath><rect id="c"/>'
    nested = '<mask id="m"><g clip-path="url(#b)"><path/></g></mask>'
    assert read(svg(sheet + clip + nested + '<g class="a" mask="url(#m)"><path class="mask"/></g>' * 100)).type


def test_a_style_sheet_is_checked_once_however_many_elements_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Spy:
        def search(self, text: str) -> None:
            seen.append(len(text))

    monkeypatch.setattr(svg_files, "_REACHES_OUT", Spy())
    assert read(svg(f"<style>{'a' * 9000}</style>" + "<g/>" * 2000)).type
    assert sum(seen) < 20_000


@given(st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF....WEBP", b"<svg", b""]), st.binary(max_size=200))
def test_any_bytes_are_a_logo_or_are_refused(start: bytes, rest: bytes) -> None:
    try:
        logo = read(start + rest)
    except ValidationError:
        return
    assert 0 < logo.width <= 240
    assert 0 < logo.height <= 40


@pytest.mark.parametrize(
    "repeated", ["mask", "clip-path", "mask ", "mask-type", "/*", "*/", "url( ", ".a", ".a,", "{", "@", ":"]
)
@pytest.mark.parametrize("template", ['<path style="{}"/>', "<style>{}</style>", '<path d="{}"/>'])
def test_no_text_keeps_the_server_busy(template: str, repeated: str) -> None:
    """Whatever is repeated is read once: a hundredth of this time."""
    drawing = svg(template.replace("{}", repeated * ((MAX_BYTES - 300) // len(repeated))))
    assert len(drawing) < MAX_BYTES
    start = thread_time()
    with suppress(ValidationError):
        read(drawing)
    assert thread_time() - start < 0.5
