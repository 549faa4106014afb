"""A person who logs in at the provider without a browser, by following redirects and filling in forms."""

from __future__ import annotations

import re
from html import unescape
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, build_opener

from django.test import Client

from tests.patience import PATIENCE

PAGE = "http://testserver"


class Person:
    """A person whom the provider knows as `name` for the whole session."""

    def __init__(self, client: Client, name: str) -> None:
        self.client, self.name = client, name
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()), _AsFarAsThePage())

    def log_in(self, start: str = "/login/", *, decline: bool = False) -> str:
        """Start at the page `start` and log in. Return the URL by which the provider sends the browser back."""
        url, html = self._go(self.client.get(start).headers["Location"])
        while not url.startswith(PAGE):
            action = urljoin(url, unescape(re.findall('action="([^"]+)"', html)[0]))
            prompt = re.findall('name="prompt" value="([^"]+)"', html)[0]
            if decline:
                url, html = self._go(f"{action}/abort")
            else:
                url, html = self._go(action, {"prompt": prompt, "login": self.name, "password": "any"})
        return url

    def come_back(self, start: str = "/login/", **how: Any) -> Any:
        """Log in, follow the provider's redirect back to the page, and return the response."""
        return self.client.get(self.log_in(start, **how).removeprefix(PAGE), follow=True)

    def _go(self, url: str, form: dict[str, str] | None = None) -> tuple[str, str]:
        try:
            with self._opener.open(url, urlencode(form).encode() if form else None, timeout=PATIENCE) as response:
                return response.url, response.read().decode()
        except HTTPError as redirect:
            return redirect.headers["Location"], ""


class _AsFarAsThePage(HTTPRedirectHandler):
    def redirect_request(self, request: Any, file: Any, code: int, message: str, headers: Any, url: str) -> Any:
        return None if url.startswith(PAGE) else super().redirect_request(request, file, code, message, headers, url)
