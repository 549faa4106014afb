"""Reading the partner's list of accounts."""

import json

import pytest

from provisioning.constant_contact import Answer, Entry, Meaning
from provisioning.sandbox import Server
from tests.provisioning.constant_contact.client.calls import ANNA, KEY, client
from tests.provisioning.constant_contact.peer import ODD_LINKS, answering, peer


def test_the_list_of_accounts_is_read_page_by_page(sandbox: Server) -> None:
    one = client(sandbox.url)
    ids = {name: one.create(ANNA | {"username": name}).account_id for name in ("anna", "ben", "cleo")}
    page = one.call(
        "GET",
        f"{sandbox.url}/v2/partner/accounts",
        lambda _: None,
        params={"limit": "2", "api_key": KEY},
        auth=one.basic,
    )
    next_page = json.loads(page.body)["meta"]["pagination"]["next_link"]
    second = one.list_accounts(next_page)
    assert second.meaning == Meaning.LISTED
    assert len(second.entries) == 1
    assert second.next_page == ""
    assert {each.username: each.account_id for each in one.list_accounts().entries} == ids


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "null",
        '{"results": []}',
        '{"results": [], "meta": []}',
        '{"results": [], "meta": {"pagination": null}}',
        '{"results": [], "meta": {"pagination": {"next_link": 7}}}',
        *(f'{{"meta": {{"pagination": {{}}}}, "results": {results}}}' for results in ("null", "1", "{}")),
    ],
)
def test_a_list_with_an_undocumented_body_is_unknown(body: str) -> None:
    with peer(answering(200, body)) as provider:
        answer = client(provider.url).list_accounts()
    assert (answer.meaning, answer.entries) == (Meaning.UNKNOWN, ())


@pytest.mark.parametrize("link", ODD_LINKS)
def test_an_odd_link_to_the_next_page_is_asked_for_as_it_can_be(link: str) -> None:
    with peer(answering(200, json.dumps({"results": [], "meta": {"pagination": {"next_link": link}}}))) as provider:
        answer = client(provider.url).list_accounts()
        assert answer.meaning == Meaning.LISTED
        assert "\0" not in answer.next_page.encode().decode()
        assert client(provider.url).list_accounts(answer.next_page).meaning == Meaning.LISTED


@pytest.mark.parametrize(
    ("link", "kept"),
    [
        (f"/v2/partner/accounts?api_key={KEY}&next=abc", "/v2/partner/accounts?next=abc"),
        (f"/v2/partner/accounts?next=abc&api_key={KEY}", "/v2/partner/accounts?next=abc&"),
    ],
)
def test_our_key_is_not_kept_with_the_link_to_the_next_page(link: str, kept: str) -> None:
    with peer(answering(200, json.dumps({"results": [], "meta": {"pagination": {"next_link": link}}}))) as provider:
        assert client(provider.url).list_accounts().next_page == kept


def listed(*entries: object) -> Answer:
    body = json.dumps({"results": entries, "meta": {"pagination": {}}})
    with peer(answering(200, body)) as provider:
        return client(provider.url).list_accounts()


def test_an_entry_is_returned_as_listed() -> None:
    entry = {"id": 7, "username": "Anna", "organization_name": "Anna & Söhne", "status": "TRIAL", "last_login_date": 1}
    assert listed(entry).entries == (Entry("7", "Anna", "Anna & Söhne", "TRIAL"),)


def test_an_entry_with_missing_fields_is_kept() -> None:
    assert listed({"id": "7", "username": "anna", "status": None}).entries == (Entry("7", "anna", "", ""),)


def test_long_listed_text_is_cut_to_fit() -> None:
    (entry,) = listed({"id": "7", "username": "a" * 999, "organization_name": "o\0" * 999}).entries
    assert (len(entry.username), len(entry.organization_name)) == (255, 255)
    assert "\0" not in entry.organization_name


@pytest.mark.parametrize(
    "odd",
    [
        1,
        None,
        [],
        {},
        {"id": "7"},
        {"id": "7", "username": ""},
        {"id": "7", "username": None},
        {"id": "7", "username": 7},
        *({"id": number, "username": "anna"} for number in (None, "", "  ", [1], True, 1.5, "9" * 81)),
    ],
)
def test_unreadable_entries_are_skipped_and_counted(odd: object) -> None:
    answer = listed(odd, {"id": "8", "username": "berta"})
    assert answer.meaning == Meaning.LISTED
    assert (answer.skipped, [each.account_id for each in answer.entries]) == (1, ["8"])
