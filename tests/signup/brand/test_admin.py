"""Administrators brand the page, and preview it before customers see it."""

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from provisioning.admin_site.sessions import AUTHENTICATED
from signup.api import keys
from signup.brand.models import Brand
from tests.signup.api.partner import Partner
from tests.signup.brand.pictures import PNG, SVG, UNSAFE

pytestmark = [pytest.mark.django_db, pytest.mark.once]

ADD = "/admin/signup/brand/add/"
TYPED = {"name": "Alder & Co", "host": "", "color": "#B3201D", "headline": "Grow with us", "trial_days": "30"}


@pytest.fixture(autouse=True)
def as_administrator(client: Client) -> None:
    _log_in(client, "Administrator")


def _log_in(client: Client, role: str) -> None:
    user = User.objects.create_user(role.lower(), is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client.force_login(user)


def file(content: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("logo.png", content)


def change(client: Client, **values: Any) -> Any:
    return client.post(f"/admin/signup/brand/{Brand.objects.get().pk}/change/", TYPED | values)


def test_customers_see_a_saved_brand(client: Client) -> None:
    client.post(ADD, TYPED | {"file": file(SVG)})

    made = Brand.objects.get()
    assert (made.color, bytes(made.logo)) == ("#b3201d", SVG)
    html = Client().get("/").content.decode()
    assert "Grow with us" in html
    assert made.logo_url in html


def test_the_first_brand_starts_with_the_values_of_the_settings(client: Client, settings: Settings) -> None:
    settings.BRAND_NAME, settings.BRAND_TRIAL_DAYS = "Birch", 45

    form = client.get(ADD).context["adminform"].form

    assert (form["name"].value(), form["trial_days"].value()) == ("Birch", 45)


@pytest.mark.parametrize(("setting", "name"), [("en_GB", "British pounds"), ("", "not set")])
def test_the_form_says_which_currency_applies_without_one(
    client: Client, settings: Settings, setting: str, name: str
) -> None:
    settings.CONSTANT_CONTACT_BILLING_LOCALE = setting

    form = client.get(ADD).context["adminform"].form

    assert form["billing_locale"].help_text.endswith(f"CONSTANT_CONTACT_BILLING_LOCALE applies, which is {name}.")


def test_changes_are_recorded_with_their_author(client: Client) -> None:
    client.post(ADD, TYPED)
    change(client, headline="Anew")

    assert LogEntry.objects.filter(user__username="administrator").count() == 2


def test_the_list_shows_the_hosts_of_each_brand(client: Client, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["testserver", "one.example.com"]
    for host in ("", "one.example.com"):
        client.post(ADD, TYPED | {"host": host})

    html = client.get("/admin/signup/brand/").content.decode()

    assert "all other hosts" in html
    assert "one.example.com" in html


class TestTheLogo:
    def test_it_is_kept_when_something_else_is_changed(self, client: Client) -> None:
        client.post(ADD, TYPED | {"file": file(PNG)})

        change(client, headline="Anew")

        assert bytes(Brand.objects.get().logo) == PNG

    def test_it_can_be_removed(self, client: Client) -> None:
        client.post(ADD, TYPED | {"file": file(PNG)})

        change(client, **{"file-clear": "on"})

        assert (bytes(Brand.objects.get().logo), Brand.objects.get().logo_url) == (b"", "")

    def test_dark_mode_can_have_its_own(self, client: Client) -> None:
        client.post(ADD, TYPED | {"file": file(SVG), "dark_file": file(PNG)})

        brand = Brand.objects.get()
        assert (bytes(brand.logo), bytes(brand.dark_logo)) == (SVG, PNG)
        change(client, **{"file-clear": "on"})
        brand = Brand.objects.get()
        assert (bytes(brand.logo), bytes(brand.dark_logo)) == (b"", PNG)
        change(client, **{"dark_file-clear": "on"})
        assert Brand.objects.get().dark_logo_digest == ""

    @pytest.mark.parametrize("content", [UNSAFE["script"], b"GIF89a", b"", PNG.ljust(30_000, b"\0")], ids=len)
    def test_an_invalid_file_is_reported_at_its_field_and_changes_nothing(self, client: Client, content: bytes) -> None:
        client.post(ADD, TYPED | {"file": file(PNG)})

        form = change(client, file=file(content)).context["adminform"].form

        assert list(form.errors) == ["file"]
        assert bytes(Brand.objects.get().logo) == PNG

    def test_a_photo_is_told_its_size(self, client: Client) -> None:
        form = client.post(ADD, TYPED | {"file": file(PNG.ljust(3_000_000, b"\0"))}).context["adminform"].form

        assert "This file is 3000 KB" in form.errors["file"][0]


class TestPreview:
    def test_it_shows_the_customers_page_and_saves_nothing(self, client: Client) -> None:
        html = client.post(ADD, TYPED | {"_preview": "", "file": file(SVG)}).content.decode()

        assert "<h1>Grow with us</h1>" in html
        assert 'src="data:image/svg+xml;charset=utf-8;base64,' in html
        assert 'name="organization_name"' in html
        assert not Brand.objects.exists()

    def test_it_shows_a_change_together_with_the_unchanged_logo(self, client: Client) -> None:
        client.post(ADD, TYPED | {"file": file(PNG)})

        html = change(client, _preview="", headline="Anew").content.decode()

        assert "<h1>Anew</h1>" in html
        assert 'src="data:image/png;base64,' in html
        assert Brand.objects.get().headline == "Grow with us"

    def test_its_form_cannot_be_sent(self, client: Client) -> None:
        policy = client.post(ADD, TYPED | {"_preview": ""}).headers["Content-Security-Policy"].split("; ")

        assert {"form-action 'none'", "img-src 'self' data:", "frame-ancestors 'self'"} <= set(policy)

    def test_the_page_is_shown_in_each_language(self, client: Client) -> None:
        texts = {"headline_fr": "Vos clients reviennent", "selling_points_fr": "Sans engagement\nEn français"}

        def shown(language: str) -> str:
            return client.post(ADD, TYPED | texts | {"_preview": "", "_language": language}).content.decode()

        assert "<h1>Vos clients reviennent</h1>" in shown("fr")
        assert "<li>Sans engagement</li><li>En français</li>" in shown("fr")
        for language in ("en", "es", "xx"):
            assert "<h1>Grow with us</h1>" in shown(language)

    def test_it_may_be_framed_only_beside_the_form(self, client: Client) -> None:
        form = client.get(ADD).headers
        assert "frame-src 'self'" in form["Content-Security-Policy"]
        assert form["X-Frame-Options"] == "DENY"
        for values in ({}, {"color": "red"}):
            headers = client.post(ADD, TYPED | {"_preview": "live"} | values).headers
            assert headers["X-Frame-Options"] == "SAMEORIGIN"
            assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]

    def test_the_preview_reports_a_problem_briefly(self, client: Client) -> None:
        html = client.post(ADD, TYPED | {"_preview": "live", "color": "red", "name": ""}).content.decode()

        assert "<li>Color: Enter a color like #2454d6.</li>" in html
        assert "Enter a name to see the preview." in html
        assert "<form" not in html

    def test_an_empty_form_is_asked_for_a_name_and_reports_nothing_else(self, client: Client) -> None:
        Brand.objects.create(name="Alder")

        html = client.post(ADD, {"_preview": "live", "name": "", "host": ""}).content.decode()

        assert "Enter a name to see the preview." in html
        assert not re.search("Name: |Host name: ", html)

    def test_it_reports_a_problem_instead(self, client: Client) -> None:
        response = client.post(ADD, TYPED | {"_preview": "", "color": "red", "file": file(PNG)})

        assert set(response.context["adminform"].form.errors) == {"color"}

    def test_it_redirects_to_the_admin_if_the_brand_was_deleted(self, client: Client) -> None:
        assert client.post("/admin/signup/brand/99/change/", TYPED | {"_preview": ""}).status_code == 302


@pytest.mark.parametrize("role", ["Viewer", "Operator"])
@pytest.mark.parametrize("values", [{}, {"_preview": ""}], ids=["save", "look"])
def test_it_is_for_administrators_only(client: Client, role: str, values: dict[str, str]) -> None:
    client.post(ADD, TYPED)
    _log_in(client, role)

    assert client.get("/admin/signup/brand/").status_code == 403
    assert client.post(ADD, TYPED | values).status_code == 403
    assert change(client, **values).status_code == 403


def test_the_readable_shades_of_a_color_are_shown(client: Client) -> None:
    client.post(ADD, TYPED | {"color": "#ffe000"})

    html = client.get(f"/admin/signup/brand/{Brand.objects.get().pk}/change/").content.decode()

    assert html.count('<svg class="swatch"') == 3
    assert 'fill="#ffe000"/><text x="76" y="23" text-anchor="middle" fill="#000000">Button' in html


class TestApiKeys:
    """What an API key may see never changes, whoever edits brands."""

    @pytest.fixture
    def brand(self, settings: Settings) -> Brand:
        settings.ALLOWED_HOSTS = ["testserver", "alder.example.com", "birch.example.com"]
        return Brand.objects.create(name="Alder", host="alder.example.com", trial_days=30)

    @pytest.mark.parametrize("host", ["birch.example.com", ""])
    def test_the_brand_of_a_key_keeps_its_host(self, client: Client, brand: Brand, host: str) -> None:
        key = Partner(brand=brand).key

        form = change(client, host=host).context["adminform"].form

        assert str(key) in form.errors["host"][0]
        assert Brand.objects.get().host == "alder.example.com"

    def test_the_default_brand_of_a_key_keeps_all_other_hosts(self, client: Client, brand: Brand) -> None:
        Partner(brand=Brand.objects.create(name="Others"))
        url = f"/admin/signup/brand/{brand.pk}/"

        form = client.post(f"{url}change/", TYPED | {"host": "birch.example.com"}).context["adminform"].form
        client.post(f"{url}delete/", {"post": "yes"})

        assert list(form.errors) == ["host"]
        assert Brand.objects.get(pk=brand.pk).host == "alder.example.com"

    def test_its_other_values_can_be_changed(self, client: Client, brand: Brand) -> None:
        Partner(brand=brand)

        change(client, host="ALDER.example.com", headline="Anew")

        assert Brand.objects.get().headline == "Anew"

    def test_once_the_key_is_revoked_the_brand_can_move(self, client: Client, brand: Brand) -> None:
        keys.revoke(Partner(brand=brand).key)

        change(client, host="birch.example.com")

        assert Brand.objects.get().host == "birch.example.com"

    def test_a_key_for_another_brand_or_for_all_is_no_obstacle(self, client: Client, brand: Brand) -> None:
        Partner()
        Partner(brand=Brand.objects.create(name="Birch", host="birch.example.com"))

        client.post(f"/admin/signup/brand/{brand.pk}/change/", TYPED | {"host": "testserver"})
        assert Brand.objects.get(pk=brand.pk).host == "testserver"
        client.post(f"/admin/signup/brand/{brand.pk}/delete/", {"post": "yes"})
        assert not Brand.objects.filter(pk=brand.pk).exists()


class TestConfirmation:
    """Staff decide where customers are led only after they reauthenticate."""

    @pytest.fixture(autouse=True)
    def authenticated_long_ago(self, as_administrator: None, client: Client) -> None:
        Brand.objects.create(name="Alder & Co", trial_days=30)
        session = client.session
        session[AUTHENTICATED] -= 601
        session.save()

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("host", "testserver"),
            ("login_url", "https://example.com"),
            ("support_email", "we@example.com"),
            ("support_url", "https://example.com"),
            ("sender_email", "we@example.com"),
            ("terms_url", "https://example.com"),
            ("privacy_url", "https://example.com"),
        ],
    )
    def test_what_leads_customers_elsewhere_needs_it(self, client: Client, field: str, value: str) -> None:
        answer = change(client, **{field: value, "headline": "Anew"})

        assert list(answer.context["adminform"].form.errors) == [field]
        assert 'href="/admin/confirm/"' in answer.context["adminform"].form.errors[field][0]
        assert 'value="Anew"' in answer.content.decode()
        assert getattr(Brand.objects.get(), field) == ""

    def test_a_new_brand_needs_it_too(self, client: Client) -> None:
        client.post(ADD, TYPED | {"host": "testserver"})

        assert Brand.objects.count() == 1

    def test_a_preview_does_not(self, client: Client) -> None:
        page = change(client, support_url="https://example.com/help", _preview="")

        assert 'href="https://example.com/help"' in page.text

    def test_texts_and_looks_dont(self, client: Client) -> None:
        change(client, headline="Anew")

        assert Brand.objects.get().headline == "Anew"

    def test_deleting_does(self, client: Client) -> None:
        answer = client.post(f"/admin/signup/brand/{Brand.objects.get().pk}/delete/", {"post": "yes"})

        assert answer.headers["Location"].startswith("/admin/confirm/")
        assert Brand.objects.exists()


def test_a_role_may_only_look_at_brands(client: Client) -> None:
    brand = Brand.objects.create(name="Alder", logo=b"<svg/>", logo_type="image/svg+xml", logo_digest="1")
    user = User.objects.create_user("vera", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_brand"))
    client.force_login(user)

    page = client.get(f"/admin/signup/brand/{brand.pk}/change/")

    assert page.status_code == 200
    assert 'name="_save"' not in page.content.decode()
