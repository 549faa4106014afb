"""The translation catalogs: complete, compiled, and correct.

After a text has changed: run `make messages`, translate what is new in the `.po` files, and run `make messages` again.
"""

import ast
import gettext
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings
from django.utils.translation.template import templatize

CATALOGS = [settings.BASE_DIR / app / "locale" for app in ("provisioning", "signup")]
LANGUAGES = [code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE]
TEMPLATES = [*settings.BASE_DIR.glob("templates/*.html"), *settings.BASE_DIR.glob("templates/signup/*.html")]
MODULES = [
    *settings.BASE_DIR.glob("signup/*.py"),
    *settings.BASE_DIR.glob("signup/single_sign_on/*.py"),
    *settings.BASE_DIR.glob("provisioning/rules/*.py"),
    *settings.BASE_DIR.glob("provisioning/services/*.py"),
]
"""The modules with texts for customers. The admin is in English."""
ADMIN = {settings.BASE_DIR / "signup" / name for name in ("admin.py", "single_sign_on/staff.py")}

CALLS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}
TEMPLATE_CALL = re.compile(r"""\b(?:_|n?gettext)\((?:u?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|[\w, ])*\)""")
ENTRY = re.compile(r'^msgid (".+")\n(?:msgid_plural (".+")\n)?((?:msgstr.*\n?)+)', re.MULTILINE)
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[a-z]|<[^>]+>|https?://[\w.]*\w")


@dataclass(frozen=True)
class Text:
    """A text with its translation. With a plural, the original has two forms; other languages have one or more."""

    original: tuple[str, ...]
    translation: tuple[str, ...]


def originals() -> set[tuple[str, ...]]:
    """Return every text that customers can read."""
    pages = (call[0] for template in TEMPLATES for call in TEMPLATE_CALL.finditer(templatize(template.read_text())))
    code = (module.read_text() for module in MODULES if module not in ADMIN)
    return {original for source in (*pages, *code) for original in texts_in(source)}


def texts_in(source: str) -> Iterator[tuple[str, ...]]:
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in CALLS:
            yield tuple(each.value for each in call.args if isinstance(each, ast.Constant) and type(each.value) is str)


def catalog(path: Path) -> list[Text]:
    return [
        Text(
            tuple(ast.literal_eval(each) for each in (singular, plural) if each),
            tuple(ast.literal_eval(each.split(" ", 1)[1]) for each in forms.splitlines()),
        )
        for singular, plural, forms in ENTRY.findall(path.read_text())
    ]


def translations(language: str) -> list[Text]:
    return [text for locale in CATALOGS for text in catalog(locale / language / "LC_MESSAGES" / "django.po")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_the_customers_pages_is_translated(language: str) -> None:
    translated = {text.original for text in translations(language) if all(text.translation)}

    assert len(originals()) > 100
    assert originals() - translated == set()


def test_the_admin_marks_nothing_for_translation() -> None:
    modules = [
        path
        for folder in ("admin", "admin_site", "gateway")
        for path in settings.BASE_DIR.glob(f"provisioning/{folder}/**/*.py")
    ]
    templates = [*settings.BASE_DIR.glob("templates/admin/**/*.html")]

    assert len(modules) > 10
    assert len(templates) > 10
    shared = [settings.BASE_DIR / "provisioning" / name for name in ("models.py", "operations.py")]
    for path in (*modules, *shared, *ADMIN, *templates):
        assert not re.search(r"gettext|% (block)?translate", path.read_text()), path


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("locale", CATALOGS, ids=lambda locale: locale.parent.name)
def test_the_compiled_catalog_matches_its_source(locale: Path, language: str) -> None:
    source = locale / language / "LC_MESSAGES" / "django.po"
    with source.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)

    assert "fuzzy" not in source.read_text()
    for text in catalog(source):
        if len(text.original) == 1:
            assert (compiled.gettext(text.original[0]),) == text.translation
        else:
            singular, plural = text.original
            assert {compiled.ngettext(singular, plural, number) for number in range(200)} == set(text.translation)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_keeps_placeholders_and_markup(language: str) -> None:
    for text in translations(language):
        kept = [sorted(PLACEHOLDER.findall(original)) for original in text.original]
        for translation in text.translation:
            assert sorted(PLACEHOLDER.findall(translation)) in kept, text.original


def test_french_texts_have_french_spaces_and_apostrophes() -> None:
    for text in translations("fr"):
        for translation in text.translation:
            assert not re.search(r"[^\u00a0]:(?!//)|[^\u202f][;!?]|«[^\u00a0]|[^\u00a0]»|'|\.\.\.", translation)
