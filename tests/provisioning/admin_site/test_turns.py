"""A flood of logins holds up few threads."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.backends import ModelBackend
from django.db import connection
from django.test import Client

from provisioning.admin_site.turns import AT_ONCE
from tests.patience import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)


def log_in(number: int) -> str:
    try:
        answer = Client(REMOTE_ADDR=f"203.0.113.{number}").post(
            "/admin/login/", {"username": f"made-up-{number}", "password": "guess"}
        )
        return answer.content.decode()
    finally:
        connection.close()


def test_of_many_logins_at_once_few_are_looked_at_and_the_others_are_told_to_try_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, end = threading.Semaphore(0), threading.Event()
    together, most = [0], [0]

    def hash_slowly(*_: Any, **__: Any) -> None:
        together[0] += 1
        most[0] = max(most[0], together[0])
        begun.release()
        assert end.wait(PATIENCE)
        together[0] -= 1

    monkeypatch.setattr(ModelBackend, "authenticate", hash_slowly)
    with ThreadPoolExecutor(24) as pool:
        flood = [pool.submit(log_in, number) for number in range(24)]
        assert begun.acquire(timeout=PATIENCE)
        told = [each.result(PATIENCE) for each in flood if _is_done_within_patience(each, flood)]
        end.set()

    assert len(told) >= 24 - AT_ONCE
    assert all("Try again in a few seconds" in each for each in told)
    assert most[0] == 1
    assert "Try again in a few seconds" not in log_in(99)


def _is_done_within_patience(one: Any, flood: list[Any]) -> bool:
    """Whether it was answered while the others hash: all but those that have a place are."""
    pause = threading.Event()
    while sum(each.done() for each in flood) < len(flood) - AT_ONCE:
        pause.wait(0.05)
    return bool(one.done())
