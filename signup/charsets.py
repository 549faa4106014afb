"""Requests are read as UTF-8, like every page of ours, whatever encoding they name."""

from __future__ import annotations

from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.http.multipartparser import MultiPartParserError
from django.utils.http import parse_header_parameters


class Request(WSGIRequest):
    """A request whose Content-Type doesn't decide how its query and its form are decoded.

    Django lets it name any of Python's codecs. Some fail on every text, like `idna`, and others make a NUL character
    out of harmless ones. Django applies it while it makes the request, when no error page of ours can answer yet.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        """Read the Content-Type as Django does, but apply no charset. The API refuses a wrong one itself."""
        try:
            self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except (ValueError, TypeError):  # RFC 2231: an unknown encoding, or a parameter both whole and in parts.
            self.content_type, self.content_params = "", {}

    def parse_file_upload(self, META: Any, post_data: Any) -> Any:  # noqa: N803
        """Read a form with files as Django does, but refuse a part with such a parameter, for which Django crashes."""
        try:
            return super().parse_file_upload(META, post_data)
        except TypeError as error:
            raise MultiPartParserError("A part has a malformed header.") from error
