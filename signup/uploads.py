"""Uploaded files. Anybody can send one, to any page, but the only files that are used are logos."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadedfile import InMemoryUploadedFile
from django.core.files.uploadhandler import FileUploadHandler

from signup.brand.logo import MAX_BYTES

MAX_BODY_SIZE = 10_000_000
"""Bytes of a body with files. A longer one is refused before it is read."""


class Beginnings(FileUploadHandler):
    """Keeps, in memory, as much of each file as a logo may have. The file's `size` is that of all of it."""

    def handle_raw_input(self, input_data: Any, META: Any, content_length: int, *rest: Any, **named: Any) -> None:  # noqa: N803
        if content_length > MAX_BODY_SIZE:
            raise RequestDataTooBig("Files are too large.")

    def new_file(self, *arguments: Any, **named: Any) -> None:
        super().new_file(*arguments, **named)
        self.kept = BytesIO()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.kept.write(raw_data[: max(0, MAX_BYTES - start)])

    def file_complete(self, file_size: int) -> InMemoryUploadedFile:
        self.kept.seek(0)
        return InMemoryUploadedFile(
            self.kept,
            self.field_name,
            self.file_name or "",
            self.content_type or "",
            file_size,
            self.charset,
            self.content_type_extra,
        )
