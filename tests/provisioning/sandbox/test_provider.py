"""The provider's accounts, recorded calls and limits."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from provisioning.sandbox import Server
from provisioning.sandbox.accounts import Accounts, UsernameTaken
from provisioning.sandbox.provider import Limit
from tests.environment import CANARIES
from tests.provisioning.sandbox.partner import PATH, Partner, provider
from tests.provisioning.values import SIGN_UP


def test_calls_are_recorded_with_their_time(sandbox: Server, partner: Partner) -> None:
    before = time.monotonic()
    partner.create("anna")
    partner.create("anna", phone="1")
    partner.page()
    partner.call("POST", "/elsewhere?api_key=wrong", b"{")

    told = [(call.method, call.path, call.username, call.status) for call in sandbox.provider.calls]
    assert told == [
        ("POST", PATH, "anna", 201),
        ("POST", PATH, "anna", 400),
        ("GET", PATH, "", 200),
        ("POST", "/elsewhere", "", 403),
    ]
    times = [before, *(call.at for call in sandbox.provider.calls), time.monotonic()]
    assert times == sorted(times)


@pytest.mark.parametrize("body", [b"[1]", b"7", b"[" * 100_000, b'{"username": {}}', b'{"username": 7}', b"\xff"])
def test_a_call_is_recorded_whatever_its_body(sandbox: Server, partner: Partner, body: bytes) -> None:
    partner.call("POST", f"{PATH}?api_key={partner.key}", body)

    assert len(sandbox.provider.calls) == 1


def test_one_of_a_hundred_concurrent_requests_gets_the_username() -> None:
    accounts = Accounts()
    barrier = threading.Barrier(100)

    def has_it(_: int) -> bool:
        barrier.wait()
        try:
            accounts.create({"username": "anna"})
        except UsernameTaken:
            return False
        return True

    with ThreadPoolExecutor(100) as pool:
        assert sum(pool.map(has_it, range(100))) == 1


def test_usernames_are_compared_without_case() -> None:
    accounts = Accounts()
    accounts.create({"username": "anna"})

    with pytest.raises(UsernameTaken):
        accounts.create({"username": "ANNA"})


def test_ids_are_not_reused_after_a_restart() -> None:
    """The page's database outlives a sandbox without a file, and must never get the same ID twice."""
    assert Accounts().create({"username": "anna"}).id != Accounts().create({"username": "bert"}).id


def test_accounts_survive_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "accounts"
    with Server(provider(file=file)) as server, Partner(server.url) as partner:
        answers = [partner.create("anna").json, partner.create("bert").json]

    with Server(provider(file=file)) as server, Partner(server.url) as partner:
        assert [account["id"] for account in partner.page().json["results"]] == [answer["id"] for answer in answers]
        assert partner.create("anna").status == 409
        assert partner.create("carl").status == 201
    assert list(provider(file=file).accounts) == ["anna", "bert", "carl"]


def test_a_delayed_account_is_created_even_after_a_restart(tmp_path: Path, forward: Callable[[float], None]) -> None:
    file = tmp_path / "accounts"
    before = provider(file=file)
    before.delay = 3600
    with Server(before) as server, Partner(server.url) as partner:
        assert partner.create("later.anna").status == 503
    after = provider(file=file)
    assert not after.accounts

    forward(3600)

    assert list(after.accounts) == ["later.anna"]


def test_the_file_contains_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "accounts"
    with Server(provider(file=file)) as server, Partner(server.url) as partner:
        token = partner.create(query="&oauth2_token_provided=true").json["oauth2_token"]

    content = file.read_text()
    assert "anna@nullmailer.com" in content
    for secret in (*CANARIES.values(), SIGN_UP["password"], token):
        assert secret not in content


def test_an_account_is_on_disk_before_the_answer_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk fails, there is no account and no 201."""
    file = tmp_path / "accounts"
    accounts = Accounts(file)

    def fail(_: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="full"):
        accounts.create({"username": "anna"})

    assert not accounts.existing()


def test_an_incomplete_last_line_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "accounts"
    accounts = Accounts(file)
    for name in ("anna", "bert"):
        accounts.create({"username": name})
    whole = file.read_bytes()
    second = whole.index(b"\n") + 1

    for end in range(second, len(whole)):
        file.write_bytes(whole[:end])
        assert list(Accounts(file).existing()) == ["anna"]
        assert file.read_bytes() == whole[:second]

    Accounts(file).create({"username": "carl"})
    assert list(Accounts(file).existing()) == ["anna", "carl"]


@pytest.mark.parametrize(
    "content", [b"x", b"hello\n", b"[]\n", b"{}\n", b'{"id": 1}\n', b"\xff\n", b'{"id": "1"}\n', b"7"]
)
def test_a_file_of_another_kind_is_not_changed(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "notes"
    file.write_bytes(content)

    with pytest.raises(ValueError, match="not a file of sandbox accounts"):
        Accounts(file)

    assert file.read_bytes() == content


def test_a_limit_restarts_with_each_period() -> None:
    day = 24 * 60 * 60
    limit = Limit(2, day)
    midnight = 20_000.0 * day

    told = [limit.exceeded_by_call(midnight + at) for at in (0, 1, 2, day - 0.001, day, day + 1, day + 2)]

    assert told == [False, False, True, True, False, False, True]


def test_the_daily_quota_counts_every_call_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    day = 24 * 60 * 60
    now = 20_000.0 * day
    monkeypatch.setattr("provisioning.sandbox.provider.time.time", lambda: now)
    with Server(provider(quota=3)) as server, Partner(server.url) as partner:
        assert partner.call("GET", f"{PATH}?api_key=wrong").status == 403
        assert [partner.create("anna").status, partner.create("anna").status, partner.page().status] == [201, 409, 200]

        refused = partner.create("bert")
        assert (refused.status, refused.keys) == (403, ["mashery.not.authorized.over.ratelimit"])
        assert list(server.provider.accounts) == ["anna"]

        now += day - 1
        assert partner.create("bert").status == 403
        now += 1
        assert partner.create("bert").status == 201


def test_calls_per_second_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    monkeypatch.setattr("provisioning.sandbox.provider.time.time", lambda: now)
    with Server(provider(rate=2)) as server, Partner(server.url) as partner:
        told = [partner.page() for _ in range(3)]
        assert [response.status for response in told] == [200, 200, 403]
        assert told[-1].keys == ["mashery.not.authorized.over.qps"]

        now += 1

        assert partner.page().status == 200
