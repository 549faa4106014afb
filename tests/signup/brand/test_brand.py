"""Each host's pages show its brand."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from provisioning.models import Account
from signup.brand.logo import read
from signup.brand.models import Brand
from tests.signup.accounts import TYPED, account, hidden
from tests.signup.brand.pictures import PNG, SVG, svg

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture(autouse=True)
def hosts(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["testserver", ".example.com"]


def brand(logo: bytes = b"", **values: Any) -> Brand:
    made = Brand(**{"name": "Alder & Co", **values})
    if logo:
        made.set_logo(read(logo))
    made.full_clean()
    made.save()
    return made


def page(client: Client, host: str = "testserver") -> str:
    return client.get("/", headers={"host": host}).content.decode()


class TestHosts:
    def test_without_a_brand_the_settings_apply(self, client: Client, settings: Settings) -> None:
        settings.BRAND_NAME, settings.BRAND_HEADLINE, settings.BRAND_COLOR = "Birch", "Write to them all", "#b3201d"

        assert "Write to them all" in page(client)
        assert "Birch</title>" in page(client)
        assert "--accent:#b3201d;" in page(client)

    @pytest.mark.parametrize(
        ("host", "name"),
        [
            ("one.example.com", "One"),
            ("ONE.example.com:8443", "One"),
            ("two.example.com.", "Two"),
            ("other.example.com", "Default"),
            ("testserver", "Default"),
        ],
    )
    def test_each_host_has_its_brand_and_other_hosts_have_the_default(
        self, client: Client, host: str, name: str
    ) -> None:
        brand(name="Default")
        brand(name="One", host="one.example.com")
        brand(name="Two", host="Two.example.com.")

        assert f"{name}</title>" in page(client, host)

    def test_without_a_default_brand_the_settings_apply_to_other_hosts(
        self, client: Client, settings: Settings
    ) -> None:
        settings.BRAND_NAME = "Birch"
        brand(name="One", host="one.example.com")

        assert "Birch</title>" in page(client)

    def test_a_host_that_is_not_allowed_gets_no_page_even_with_a_brand(
        self, client: Client, settings: Settings
    ) -> None:
        brand(host="one.example.com")
        settings.ALLOWED_HOSTS = ["testserver"]

        assert client.get("/", headers={"host": "one.example.com"}).status_code == 400

    def test_a_brand_takes_two_queries_that_read_neither_the_logo_nor_legal_texts(
        self, client: Client, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        brand(logo=PNG)

        with django_assert_num_queries(2) as queries:
            page(client)
        assert 'logo",' not in queries.captured_queries[0]["sql"]
        assert 'text",' not in queries.captured_queries[1]["sql"]


@pytest.mark.parametrize(
    "values",
    [
        {"host": "https://signup.example.com"},
        {"host": "signup.example.com:8443"},
        {"host": "signup example"},
        {"host": "elsewhere.test"},
        {"host": "*"},
        {"color": "red"},
        {"color": "#2454d"},
        {"color": "#2454d6;}"},
        {"color": "#2454d6\n"},
        {"terms_url": "javascript:alert(1)"},
        {"support_email": "help"},
        {"trial_days": -1},
        {"name": ""},
    ],
    ids=str,
)
def test_an_invalid_brand_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        brand(**values)

    assert set(refused.value.message_dict) == set(values)


def test_a_name_is_one_line_which_the_sender_of_emails_must_be() -> None:
    assert brand(name=" Alder\r\nBooks ").name == "Alder Books"


@pytest.mark.parametrize("host", ["", "one.example.com", "One.Example.com."])
def test_a_host_has_one_brand(host: str) -> None:
    brand(host=host.lower().rstrip("."))

    with pytest.raises(ValidationError) as refused:
        brand(host=host)
    assert set(refused.value.message_dict) == {"host"}


class TestThePage:
    def test_it_shows_the_texts_of_the_brand(self, client: Client) -> None:
        brand(
            headline="Grow with us",
            selling_points="Helped by people\n\n  Cancelled <at> any time \n",
            terms_url="https://alder.example.com/terms",
            privacy_url="https://alder.example.com/privacy",
            support_url="https://alder.example.com/help",
            support_email="help@alder.example.com",
            trial_days=30,
        )

        html = page(client)

        assert re.findall("<li>(.*?)</li>", html)[:3] == [
            "Free for 30 days",
            "Helped by people",
            "Cancelled &lt;at&gt; any time",
        ]
        assert "<h1>Grow with us</h1>" in html
        for link in ("https://alder.example.com/terms", "https://alder.example.com/help", "mailto:help@alder.example."):
            assert f'href="{link}' in html

    @pytest.mark.parametrize(
        ("language", "headline", "point"),
        [
            ("fr", "Vos clients reviennent", "Sans engagement"),
            ("es", "Grow with us", "Sin permanencia"),
            ("en", "Grow with us", "Cancel anytime"),
        ],
    )
    def test_it_uses_the_customers_language_or_else_the_brands(
        self, client: Client, language: str, headline: str, point: str
    ) -> None:
        brand(
            headline="Grow with us",
            headline_fr="Vos clients reviennent",
            selling_points="Cancel anytime",
            selling_points_fr="Sans engagement",
            selling_points_es="Sin permanencia",
        )

        for _ in range(2):  # The second one is from the cache.
            html = client.get("/", headers={"accept-language": language}).content.decode()
            assert f"<h1>{headline}</h1>" in html
            assert f'<meta name="description" content="{headline}">' in html
            assert re.findall("<li>(.*?)</li>", html)[1] == point

    @pytest.mark.parametrize("currency", ["", "en_GB"])
    def test_accounts_are_billed_in_its_currency(self, client: Client, currency: str) -> None:
        brand(billing_locale=currency)

        client.post("/", TYPED | hidden(client.get("/")))

        assert Account.objects.get().billing_locale == currency

    def test_it_leaves_out_texts_that_the_brand_has_not(self, client: Client) -> None:
        brand(trial_days=0)

        html = page(client)

        assert "Free for" not in html
        assert not [text for text in ("Terms", "Privacy", "Help", "mailto:") if text in html]
        assert "<style" not in html

    def test_it_links_to_the_login_page_of_the_brand(
        self, client: Client, page_of: Callable[[Account], str], settings: Settings
    ) -> None:
        progress = page_of(account("created"))
        settings.CONSTANT_CONTACT_LOGIN_URL = "https://login.example.com"
        made = brand()
        assert 'href="https://login.example.com"' in client.get(progress).content.decode()

        made.login_url = "https://alder.example.com/in"
        made.save()

        assert 'href="https://alder.example.com/in"' in client.get(progress).content.decode()

    def test_its_policy_allows_only_the_style_with_the_brands_colors(self, client: Client) -> None:
        brand(color="#2454D6")

        first, second = (client.get("/") for _ in range(2))

        nonces = re.findall('<style nonce="(.+?)">:root{--accent:#2454d6;', first.content.decode())
        assert f"style-src 'self' 'nonce-{nonces[0]}'" in first.headers["Content-Security-Policy"]
        assert nonces[0] not in second.headers["Content-Security-Policy"]
        assert "unsafe" not in first.headers["Content-Security-Policy"]


class TestTheLogo:
    @pytest.mark.parametrize(
        ("logo", "image"),
        [
            (SVG, 'width="240" height="40" alt="Alder &amp; Co"></span>'),
            (
                svg(attributes='viewBox="0 0 32 32"'),
                'width="40" height="40" alt=""><span class="name">Alder &amp; Co</span>',
            ),
        ],
        ids=["that spells the name", "that is a mere emblem"],
    )
    def test_it_replaces_the_monogram(self, client: Client, logo: bytes, image: str) -> None:
        made = brand(logo=logo)

        html = page(client)

        assert f'src="{made.logo_url}" {image}' in html
        assert f'<link rel="icon" href="{made.logo_url}">' in html
        assert "monogram" not in html

    def test_dark_mode_shows_its_own_logo_or_the_other_one_on_white(self, client: Client) -> None:
        made = brand(logo=SVG)
        assert 'class="logo on-white"' in page(client)
        made.set_logo(read(PNG), "dark_logo")
        made.save()
        made = Brand.objects.get()

        html = page(client)

        source = f'<source media="(prefers-color-scheme: dark)" srcset="{made.dark_logo_url}" width="120" height="40">'
        assert f'<picture>{source}<img class="logo" src="{made.logo_url}"' in html
        assert client.get(made.dark_logo_url).content == PNG

    @pytest.mark.parametrize(("logo", "content_type"), [(SVG, "image/svg+xml;charset=utf-8"), (PNG, "image/png")])
    def test_it_is_cached_and_sandboxed(self, client: Client, logo: bytes, content_type: str) -> None:
        response = client.get(brand(logo=logo).logo_url)

        assert response.content == logo
        assert response.headers["Content-Type"] == content_type
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        policy = response.headers["Content-Security-Policy"]
        assert set(policy.split("; ")) == {
            "default-src 'none'",
            "style-src 'unsafe-inline'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "sandbox",
        }

    def test_a_new_one_has_a_new_address(self, client: Client) -> None:
        made = brand(logo=SVG)
        first = made.logo_url
        changed = Brand.objects.get()
        changed.set_logo(read(PNG))
        changed.save()

        assert changed.logo_url != first
        assert client.get(first).status_code == 404

    @pytest.mark.parametrize(
        "path", ["/logo/0123456789abcdef0123456789abcdef", "/logo/", "/logo/x", "/logo/../settings"]
    )
    def test_no_other_file_is_served(self, client: Client, path: str) -> None:
        brand()

        assert client.get(path).status_code == 404
