"""Every fault, as a client sees it."""

import http.client
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from provisioning.sandbox import FAULTS, LIST_FAULTS, Server
from tests.provisioning.sandbox.partner import BOTH, PATH, Partner

HANGS = {"hang-before", "hang-after"}
RESETS = {"reset-before", "reset-after"}
CREATING = {"slow", "hang-after", "reset-after", "trickle", "500-after", "bad-json", "no-id", "unlisted"}
"""The faults after which the account exists."""
STATUS = {
    "slow": 201,
    "trickle": 201,
    "500": 500,
    "500-after": 500,
    "502": 502,
    "503": 503,
    "596": 596,
    "html": 200,
    "bad-json": 201,
    "no-id": 201,
    "301": 301,
    "302": 302,
    "307": 307,
    "later": 503,
    "unlisted": 201,
    "over-qps": 403,
    "over-quota": 403,
    "inactive": 403,
    "inactive-html": 403,
    "401": 401,
    "403-html": 403,
    "404": 404,
    "token-end": 401,
    "405": 405,
    "406": 406,
    "415": 415,
    "418": 418,
    "429-html": 429,
}
"""The faults with an HTTP answer → its status."""
IN_V3 = {"over-qps": 429, "over-quota": 429}
"""The faults with a different status in v3."""


@pytest.fixture(autouse=True)
def pace(sandbox: Server, request: pytest.FixtureRequest) -> None:
    """Make events that a test waits for happen soon, and all others never."""
    sandbox.provider.delay = 0.3 if "slow" in request.node.name else 3600
    sandbox.provider.hang = 0.1
    sandbox.provider.trickle = 0.0001


def test_these_tests_cover_every_fault() -> None:
    assert set(FAULTS) == STATUS.keys() | HANGS | RESETS
    assert all(fault.description for fault in FAULTS.values())


@pytest.fixture
def status(api: str) -> dict[str, int]:
    """Fault → the status of its answer in this API."""
    return {"v2": STATUS, "v3": STATUS | IN_V3}[api]


@BOTH
@pytest.mark.parametrize("fault", FAULTS)
def test_a_username_triggers_a_fault(sandbox: Server, partner: Partner, fault: str, status: dict[str, int]) -> None:
    username = f"{fault}.anna"

    if fault in status:
        assert partner.create(username).status == status[fault]
    elif fault in RESETS:
        with pytest.raises(ConnectionResetError) as reset:
            partner.create(username)
        assert not isinstance(reset.value, http.client.RemoteDisconnected)  # That would be an orderly close.
    else:
        with pytest.raises(http.client.RemoteDisconnected):
            partner.create(username)

    assert list(sandbox.provider.accounts) == ([username] if fault in CREATING else [])
    assert sandbox.provider.calls[-1].status == status.get(fault)


@BOTH
@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - {"token-end"}))
def test_a_fault_happens_only_the_first_time(sandbox: Server, partner: Partner, fault: str) -> None:
    username = f"{fault}.anna"
    try:
        partner.create(username)
    except OSError:
        partner.connection.close()

    again = partner.create(username)

    assert again.status == (409 if fault in CREATING else 201)
    assert list(sandbox.provider.accounts) == [username]


@BOTH
@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - {"token-end"}))
def test_the_list_can_fail_too(sandbox: Server, partner: Partner, fault: str, status: dict[str, int]) -> None:
    partner.create("anna-jones")
    sandbox.provider.fail_next("list", fault)

    try:
        response = partner.page()
    except OSError:
        assert fault in HANGS | RESETS
        partner.connection.close()
    else:
        true = {"slow", "unlisted", "trickle", "bad-json", "no-id"}
        assert response.status == (200 if fault in true else status[fault])

    assert partner.names() == ["anna-jones"]


def test_faults_happen_in_the_order_they_were_scheduled(sandbox: Server, partner: Partner) -> None:
    sandbox.provider.fail_next("create", "503", times=2)
    sandbox.provider.fail_next("create", "418")
    sandbox.provider.fail_next("list", "500")

    assert [partner.create("anna").status for _ in range(4)] == [503, 503, 418, 201]
    assert [partner.page().status for _ in range(2)] == [500, 200]


def test_an_unknown_fault_is_an_error(sandbox: Server) -> None:
    with pytest.raises(KeyError):
        sandbox.provider.fail_next("create", "earthquake")


@pytest.mark.parametrize(
    "username", ["reset-after", "reset-afteranna", "anna.reset-after", "earthquake.anna", ".", "500"]
)
def test_only_a_faults_name_and_a_dot_trigger_it(partner: Partner, username: str) -> None:
    assert partner.create(username).status == 201


def test_a_refused_request_does_not_use_up_the_fault(partner: Partner) -> None:
    assert partner.create("503.anna", phone="1").status == 400
    assert partner.create("503.anna").status == 503
    assert partner.create("503.anna").status == 201


def test_a_taken_username_stays_taken_whatever_the_fault(sandbox: Server, partner: Partner) -> None:
    partner.create("anna")
    sandbox.provider.fail_next("create", "unlisted")

    assert partner.create("anna").status == 409


def test_a_delayed_account_is_created_without_another_call(
    sandbox: Server, partner: Partner, forward: Callable[[float], None]
) -> None:
    assert partner.create("later.anna").status == 503
    assert (partner.names(), sandbox.provider.accounts) == ([], {})

    forward(3600)

    assert (partner.names(), list(sandbox.provider.accounts)) == (["later.anna"], ["later.anna"])
    assert partner.create("later.anna").status == 409


def test_a_delayed_account_lapses_if_its_username_is_taken_first(
    partner: Partner, forward: Callable[[float], None]
) -> None:
    partner.create("later.anna")
    sooner = partner.create("later.anna")
    assert sooner.status == 201

    forward(3600)

    assert [account["id"] for account in partner.page().json["results"]] == [sooner.json["id"]]


def test_an_account_may_exist_before_it_is_listed(
    sandbox: Server, partner: Partner, forward: Callable[[float], None]
) -> None:
    partner.create("anna")
    partner.create("unlisted.anna")
    partner.create("bert")

    assert list(sandbox.provider.accounts) == ["anna", "unlisted.anna", "bert"]
    assert partner.names() == ["anna", "bert"]

    forward(3600)

    assert partner.names() == ["anna", "unlisted.anna", "bert"]


@pytest.mark.parametrize("fault", ["slow", "trickle"])
def test_a_slow_answer_is_the_correct_one(partner: Partner, fault: str) -> None:
    assert partner.create(f"{fault}.anna").json["username"] == f"{fault}.anna"


def test_a_slow_answer_comes_late(sandbox: Server, partner: Partner) -> None:
    started = time.monotonic()

    partner.create("slow.anna")

    assert time.monotonic() - started >= sandbox.provider.delay


def test_trickled_bytes_come_one_at_a_time(sandbox: Server, partner: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    """No read timeout notices how long the whole answer takes."""
    waits: list[float] = []
    monkeypatch.setattr(sandbox.closing, "wait", waits.append)

    response = partner.create("trickle.anna")

    assert response.status == 201
    assert waits.count(sandbox.provider.trickle) > len(response.body) + sum(map(len, response.headers.values()))


def test_bad_json_begins_like_the_correct_answer(partner: Partner) -> None:
    response = partner.create("bad-json.anna")

    assert response.body.startswith(b'{"id": "')
    with pytest.raises(json.JSONDecodeError):
        _ = response.json


def test_an_answer_may_lack_the_id(partner: Partner) -> None:
    assert partner.create("no-id.anna").json == {}


@pytest.mark.parametrize("fault", ["html", "502", "596"])
def test_proxies_and_front_ends_answer_in_html(partner: Partner, fault: str) -> None:
    response = partner.create(f"{fault}.anna")

    assert (response.headers["Content-Type"], response.body[:6]) == ("text/html", b"<html>")


@pytest.mark.parametrize("fault", ["302", "307"])
def test_following_a_redirect_is_detected(sandbox: Server, partner: Partner, fault: str) -> None:
    location = partner.create(f"{fault}.anna").headers["Location"]

    assert partner.call("GET", f"{location}?api_key={partner.key}").status == 404
    assert [(call.path, call.username) for call in sandbox.provider.calls] == [(PATH, f"{fault}.anna"), ("/moved", "")]


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        ("over-qps", "mashery.not.authorized.over.qps"),
        ("over-quota", "mashery.not.authorized.over.ratelimit"),
        ("inactive", "mashery.not.authorized.inactive"),
    ],
)
def test_refusals_by_the_front_end_have_its_keys(partner: Partner, fault: str, key: str) -> None:
    assert partner.create(f"{fault}.anna").keys == [key]


# The partner's list


@BOTH
def test_the_list_includes_accounts_that_no_call_created(sandbox: Server, partner: Partner) -> None:
    elder = sandbox.provider.add_account("anna-jones", "Another Bakery")

    assert (partner.names(), partner.create("anna-jones").status) == (["anna-jones"], 409)
    assert sandbox.provider.accounts == {"anna-jones": elder}
    assert "Another Bakery" in partner.page().body.decode()


@BOTH
def test_the_list_can_lag_behind(sandbox: Server, partner: Partner, forward: Callable[[float], None]) -> None:
    sandbox.provider.list_lag = 90
    assert partner.create("anna-jones").status == 201

    forward(89)
    assert partner.names() == []
    forward(91)
    assert partner.names() == ["anna-jones"]


def entries_and_link(page: Any) -> tuple[list[dict[str, Any]], str]:
    if "results" in page:
        return page["results"], page["meta"]["pagination"].get("next_link", "")
    return page["site_owner_list"], page["_links"].get("next", {}).get("href", "")


def pages(partner: Partner, most: int) -> list[tuple[list[dict[str, Any]], str]]:
    """The first pages of the list, following the links."""
    seen = [entries_and_link(partner.page().json)]
    while seen[-1][1] and len(seen) < most:
        link = seen[-1][1] + (f"&api_key={partner.key}" if type(partner) is Partner else "")
        seen.append(entries_and_link(partner.call("GET", link).json))
    return seen


@BOTH
@pytest.mark.parametrize("wrong", LIST_FAULTS)
def test_the_list_can_be_faulty(sandbox: Server, partner: Partner, wrong: str) -> None:
    partner.create("anna-jones")
    sandbox.provider.list_fault = wrong

    seen = pages(partner, most=5)

    links = {link for _, link in seen}
    entries = [len(found) for found, _ in seen]
    if wrong == "unreadable":
        assert (entries, links) == ([3], {""})
    elif wrong == "endless":
        assert (entries, len(links)) == ([2, 1, 1, 1, 1], 5)
    elif wrong == "repeated":
        assert (entries, len(links)) == ([1] * 5, 1)
    else:
        assert (entries, len(links)) == ([0] * 5, 5)
    sandbox.provider.list_fault = ""
    assert pages(partner, most=5)[0][1] == ""


@BOTH
@pytest.mark.parametrize("fault", ["500", "503", "html", "404", "301", "429-html", "403-html"])
def test_the_provider_can_be_down_for_a_while(
    sandbox: Server, partner: Partner, fault: str, status: dict[str, int]
) -> None:
    sandbox.provider.down = fault
    assert [partner.create("anna-jones").status, partner.page().status] == [status[fault]] * 2
    assert partner.call("GET", "/anything").status == status[fault]

    sandbox.provider.down = ""
    assert (partner.create("anna-jones").status, partner.names()) == (201, ["anna-jones"])
