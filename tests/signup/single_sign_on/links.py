"""Links as the partner makes them, and a browser that follows them."""

import time
from datetime import timedelta
from typing import Any

from django.test import Client
from joserfc import jwt
from joserfc.jwk import Key, OctKey

from tests.signup.single_sign_on.conftest import SECRET

PAGE = "http://testserver/"
BROKEN, EXPIRED, USED = "part of it is missing", "has expired", "has already been used"


def token(signing: Key | None = None, algorithm: str = "HS256", **changes: Any) -> str:
    """Return a valid token with `changes`: None leaves a claim out, and a timedelta is relative to now."""
    claims = {"sub": "4711", "aud": PAGE, "exp": timedelta(minutes=10), "jti": str(time.monotonic_ns())} | changes
    claims = {name: _claim(value) for name, value in claims.items() if value is not None}
    own = signing or OctKey.import_key(SECRET.encode())
    return jwt.encode({"alg": algorithm}, claims, own, algorithms=[algorithm])


def _claim(value: Any) -> Any:
    return int(time.time() + value.total_seconds()) if isinstance(value, timedelta) else value


def follow(client: Client, of: str) -> Any:
    return client.get("/start/", {"token": of}, follow=True)


def told(response: Any) -> str:
    """Return the error on the page, which must have no form."""
    page: str = response.content.decode()
    assert response.status_code == 403
    assert 'name="submission"' not in page
    return page.partition('role="alert"')[2].partition("</div>")[0]
