"""Everybody can read the page, whatever the brand's color."""

import re

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from signup.brand.colors import BLACK, DARK_CARD, LIGHT_PAGE, WHITE, Color, contrast, palette


def rgb(color: str) -> Color:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue


def test_contrast_is_computed_as_in_the_standard() -> None:
    assert contrast(BLACK, WHITE) == pytest.approx(21)
    assert contrast(WHITE, WHITE) == pytest.approx(1)
    assert contrast(WHITE, rgb("#767676")) == pytest.approx(4.54, abs=0.01)


def test_the_backgrounds_are_those_that_the_style_sheet_puts_links_on() -> None:
    """The wash of notes is darker than a light page, and lighter than a dark card."""
    styles = (settings.BASE_DIR / "static/signup.css").read_text()
    assert [rgb(color) for color in re.findall(r"--wash: (#\w+);", styles)] == [LIGHT_PAGE, DARK_CARD]


@given(st.integers(0, 0xFFFFFF).map("#{:06x}".format))
def test_any_color_has_readable_shades(color: str) -> None:
    colors = {name: rgb(value) for name, value in palette(color).items()}

    assert contrast(colors["on-accent"], colors["accent"]) >= 4.5
    assert contrast(colors["on-accent"], colors["accent-hover"]) >= 4.5
    assert contrast(colors["link-on-light"], LIGHT_PAGE) >= 4.5
    assert contrast(colors["link-on-dark"], DARK_CARD) >= 4.5
    assert contrast(colors["rim-on-light"], LIGHT_PAGE) >= 3
    assert contrast(colors["rim-on-dark"], DARK_CARD) >= 3


def test_a_readable_color_is_used_unchanged() -> None:
    colors = palette("#2454d6")

    assert (colors["accent"], colors["link-on-light"]) == ("#2454d6", "#2454d6")
