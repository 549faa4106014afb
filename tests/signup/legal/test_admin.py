"""Administrators publish legal texts, and staff see what each customer agreed to."""

import json
import re
from hashlib import sha256
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.db.models.functions import Now
from django.test import Client

from provisioning import services
from provisioning.admin_site.sessions import AUTHENTICATED
from provisioning.models import Account
from signup.legal.admin import AcceptedFilter
from signup.legal.models import Agreement, LegalText
from signup.models import Brand
from tests.provisioning.admin.test_exports import csv_rows, exported
from tests.signup.accounts import account
from tests.signup.legal.texts import published

pytestmark = [pytest.mark.database, pytest.mark.django_db]

TEXTS, LIST = "/admin/signup/legaltext/", "/admin/provisioning/account/"


@pytest.fixture
def brand() -> Brand:
    return Brand.objects.create(name="Alder")


@pytest.fixture
def form(brand: Brand) -> dict[str, Any]:
    return {"brand": brand.pk, "kind": "terms", "language": "", "version": " 1 ", "url": "", "text": "Our terms"}


@pytest.fixture
def terms(brand: Brand) -> LegalText:
    return published(brand, "terms")


def agree(*texts: LegalText, **values: Any) -> Account:
    made = account("queued", **values)
    Agreement.objects.bulk_create(Agreement(account=made, text=text) for text in texts)
    return made


class TestConfirmation:
    """Staff decide what customers agree to only after they reauthenticate."""

    @pytest.fixture(autouse=True)
    def authenticated_long_ago(self, admin_client: Client) -> None:
        session = admin_client.session
        session[AUTHENTICATED] -= 601
        session.save()

    def test_publishing_needs_it_and_what_was_typed_stays(self, admin_client: Client, form: dict[str, Any]) -> None:
        page = admin_client.post(f"{TEXTS}add/", form | {"publish": "on"})

        assert list(page.context["adminform"].form.errors) == ["publish"]
        assert "Our terms" in page.text
        assert not LegalText.objects.exists()

    def test_a_draft_does_not(self, admin_client: Client, form: dict[str, Any]) -> None:
        admin_client.post(f"{TEXTS}add/", form)

        assert LegalText.objects.get().published_at is None

    def test_deleting_does(self, admin_client: Client, terms: LegalText) -> None:
        answer = admin_client.post(f"{TEXTS}{terms.pk}/delete/", {"post": "yes"})

        assert answer.headers["Location"].startswith("/admin/confirm/")
        assert LegalText.objects.exists()


class TestTexts:
    def test_a_draft_can_be_edited_until_it_is_published(self, admin_client: Client, form: dict[str, Any]) -> None:
        admin_client.post(f"{TEXTS}add/", form)
        draft = LegalText.objects.get()
        assert (draft.version, draft.published_at, draft.sha256) == ("1", None, "")

        admin_client.post(f"{TEXTS}{draft.pk}/change/", form | {"text": "Better terms", "publish": "on"})

        draft.refresh_from_db()
        assert draft.published_at
        assert (draft.text, draft.sha256) == ("Better terms", sha256(b"Better terms").hexdigest())

    def test_a_text_that_a_colleague_publishes_meanwhile_stays_as_published(
        self, admin_client: Client, form: dict[str, Any], brand: Brand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        draft = LegalText.objects.create(brand=brand, kind="terms", version="1", text="Our terms")

        def publish(text: LegalText) -> None:
            LegalText.objects.filter(pk=draft.pk).update(published_at=Now())

        monkeypatch.setattr(LegalText, "clean", publish)
        response = admin_client.post(f"{TEXTS}{draft.pk}/change/", form | {"text": "Other terms"})

        assert "a colleague has published" in response.content.decode()
        draft.refresh_from_db()
        assert draft.text == "Our terms"

    def test_what_was_typed_meanwhile_is_offered_as_a_new_version(
        self, admin_client: Client, form: dict[str, Any], terms: LegalText
    ) -> None:
        typed = form | {"text": "Other terms", "url": "https://example.com/", "publish": "on"}

        page = admin_client.post(f"{TEXTS}{terms.pk}/change/", typed).content.decode()

        assert "Nothing was saved: a colleague has published" in page
        assert f'href="{TEXTS}{terms.pk}/change/"' in page
        assert f'action="{TEXTS}add/"' in page
        assert "Other terms</textarea>" in page
        assert 'value="https://example.com/"' in page
        assert not re.search(r'name="publish"[^>]* checked', page)
        assert LegalText.objects.get().text == "terms text"

        admin_client.post(f"{TEXTS}add/", form | {"text": "Other terms", "version": "2"})
        assert LegalText.objects.get(version="2").text == "Other terms"

    def test_a_published_text_cannot_be_changed(self, admin_client: Client, terms: LegalText) -> None:
        page = admin_client.get(f"{TEXTS}{terms.pk}/change/").content.decode()
        assert terms.sha256 in page
        assert 'name="_save"' not in page

    def test_staff_who_may_only_view_texts_read_that_their_role_is_the_reason(
        self, client: Client, form: dict[str, Any], terms: LegalText
    ) -> None:
        ana = User.objects.create_user("ana", is_staff=True)
        ana.user_permissions.add(Permission.objects.get(codename="view_legaltext"))
        client.force_login(ana)
        agree(terms)

        for address in (f"{TEXTS}{terms.pk}/change/", f"{TEXTS}{terms.pk}/delete/"):
            page = client.post(address, form)
            assert page.status_code == 403
            assert "Your role doesn't include it." in unescape(page.content.decode())

    def test_what_was_agreed_to_cannot_be_deleted(self, admin_client: Client, terms: LegalText) -> None:
        agree(terms)

        response = admin_client.post(f"{TEXTS}{terms.pk}/delete/", {"post": "yes"}, follow=True)
        assert response.redirect_chain == [(f"{TEXTS}{terms.pk}/change/", 302)]
        assert "Nothing was deleted: a customer has accepted this text" in response.content.decode()
        with pytest.raises(ProtectedError):
            terms.delete()
        admin_client.post(f"/admin/signup/brand/{terms.brand_id}/delete/", {"post": "yes"})
        assert Brand.objects.exists()

    def test_what_nobody_has_agreed_to_can_be_deleted(self, admin_client: Client, terms: LegalText) -> None:
        admin_client.post(f"{TEXTS}{terms.pk}/delete/", {"post": "yes"})

        assert not LegalText.objects.exists()

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            ({"text": ""}, "Enter either a web address or a text, but not both."),
            ({"url": "https://example.com/"}, "Enter either a web address or a text, but not both."),
            ({"version": ""}, "This field is required."),
            ({"language": "xx"}, "Select a valid choice."),
            ({"url": "javascript:alert(1)", "text": ""}, "Enter a valid URL."),
        ],
        ids=str,
    )
    def test_mistakes_are_explained(
        self, admin_client: Client, form: dict[str, Any], wrong: dict[str, str], words: str
    ) -> None:
        page = admin_client.post(f"{TEXTS}add/", form | wrong).content.decode()

        assert words in page
        assert "is violated" not in page  # The database's constraint has nothing to add.

    def test_two_texts_cannot_have_the_same_version(self, admin_client: Client, form: dict[str, Any]) -> None:
        for _ in range(2):
            page = admin_client.post(f"{TEXTS}add/", form)

        assert "already exists" in page.content.decode()

    def test_the_database_holds_the_rule_for_addresses_and_texts(self, brand: Brand) -> None:
        for wrong in ({}, {"url": "https://example.com/", "text": "x"}):
            with pytest.raises(IntegrityError), transaction.atomic():
                LegalText.objects.create(brand=brand, kind="terms", version="1", **wrong)

    def test_the_brands_preview_has_the_boxes(self, admin_client: Client, terms: LegalText) -> None:
        form = {"name": "Alder", "trial_days": "60", "_preview": "yes"}

        page = admin_client.post(f"/admin/signup/brand/{terms.brand_id}/change/", form).content.decode()

        assert f'name="agree" id="id_agree" value="{terms.pk}"' in page

    def test_the_list_says_what_is_in_force(self, admin_client: Client, brand: Brand, terms: LegalText) -> None:
        published(brand, "terms", "2")
        published(brand, "terms", "1", "fr")
        LegalText.objects.create(brand=brand, kind="terms", version="2", text="Draft", language="fr")

        page = admin_client.get(TEXTS).content.decode()

        rows = re.findall(
            r'field-version"><a[^>]*>(.*?)</a>.*?field-language_name">(.*?)</td>.*?class="state \w+">(.*?)<', page
        )
        assert set(rows) == {
            ("1", "All languages", "Replaced"),
            ("2", "All languages", "In force"),
            ("1", "Français", "In force"),
            ("2", "Français", "Draft"),
        }

    def test_a_published_text_says_where_it_is_and_leads_to_the_next_version(
        self, admin_client: Client, terms: LegalText
    ) -> None:
        page = admin_client.get(f"{TEXTS}{terms.pk}/change/").content.decode()
        assert "All languages" in page
        assert f'href="/legal/{terms.pk}/"' in page
        assert "By nobody yet" in page

        agree(terms)
        page = admin_client.get(f"{TEXTS}{terms.pk}/change/").content.decode()
        assert "it can&#x27;t be deleted" in page
        next_one = f"{TEXTS}add/?brand={terms.brand_id}&amp;kind=terms&amp;language="
        assert f'href="{next_one}"' in page
        assert '<option value="terms" selected>' in admin_client.get(next_one.replace("&amp;", "&")).content.decode()

    def test_without_a_brand_the_form_leads_to_one(self, admin_client: Client) -> None:
        assert (
            'There is none yet. <a href="/admin/signup/brand/add/">'
            in admin_client.get(f"{TEXTS}add/").content.decode()
        )


class TestAccounts:
    def test_the_timeline_says_what_the_customer_accepted(
        self, admin_client: Client, brand: Brand, terms: LegalText
    ) -> None:
        made = agree(terms, published(brand, "privacy", "3", language="fr"))

        page = admin_client.get(f"{LIST}{made.pk}/change/").content.decode()

        assert "The customer accepted: Terms 1, Privacy policy 3 (fr)." in page
        assert "<dt>Privacy policy 3 (fr)</dt>" in page

    def test_the_list_is_filtered_by_consent_to_your_marketing(
        self, admin_client: Client, brand: Brand, terms: LegalText
    ) -> None:
        accepted, not_accepted = agree(terms, published(brand, "marketing")), agree(terms)

        for answer, wanted in (("yes", [accepted]), ("no", [not_accepted]), ("x", [not_accepted, accepted])):
            assert list(admin_client.get(LIST, {"marketing": answer}).context["cl"].result_list) == wanted

    def test_the_list_is_filtered_by_the_text_and_version_that_was_accepted(
        self, admin_client: Client, brand: Brand, terms: LegalText
    ) -> None:
        newer = published(brand, "terms", "2", "fr")
        old, both = agree(terms), agree(terms, newer)

        for text, wanted in ((terms.pk, [both, old]), (newer.pk, [both]), (7_000, [both, old]), ("x", [both, old])):
            assert list(admin_client.get(LIST, {"accepted": text}).context["cl"].result_list) == wanted

    def test_the_filter_offers_what_was_published_and_tells_brands_apart(
        self, admin_client: Client, brand: Brand, terms: LegalText
    ) -> None:
        def offered() -> list[str]:
            filters = admin_client.get(LIST).context["cl"].filter_specs
            [choices] = [each.lookup_choices for each in filters if isinstance(each, AcceptedFilter)]
            return [str(title) for _value, title in choices]

        LegalText.objects.create(brand=brand, kind="terms", version="draft", text="Not yet")
        agree(terms)
        assert offered() == ["Terms 1"]
        published(Brand.objects.create(name="Birch", host="birch.example.com"), "terms")
        assert offered() == ["Alder: Terms 1", "Birch: Terms 1"]

    def test_it_is_exported(self, admin_client: Client, brand: Brand, terms: LegalText) -> None:
        agree(terms, published(brand, "marketing", "=2", language="fr"))
        account("queued")

        without, row = csv_rows(admin_client)
        assert (without["Accepted legal texts"], without["Your marketing"]) == ("", "")
        assert row["Your marketing"] == "yes"
        assert row["Accepted legal texts"].startswith("terms 1 20")
        assert "; marketing '=2 fr 20" in row["Accepted legal texts"]
        without, row = json.loads(exported(admin_client, "json"))
        assert (without["agreements"], without["marketing"]) == (None, None)
        assert [(each["kind"], each["version"], each["language"]) for each in row["agreements"]] == [
            ("terms", "1", ""),
            ("marketing", "=2", "fr"),
        ]

    def test_erasing_keeps_the_version_and_the_time_and_drops_the_person(
        self, admin_client: Client, terms: LegalText
    ) -> None:
        made = agree(terms, attribution={"ref": "canary"})
        at = Agreement.objects.get().at

        services.erase(made)

        kept = Agreement.objects.get()
        assert (kept.text, kept.at, kept.account.organization_name) == (terms, at, "Erased")
