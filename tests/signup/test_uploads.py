"""Of an uploaded file, which anybody can send, only the beginning is kept, and never on the disk."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, RequestFactory
from pytest_django import Settings

from signup.brand.logo import MAX_BYTES
from signup.uploads import MAX_BODY_SIZE
from tests.signup.accounts import TYPED


def upload(content: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("logo.png", content)


@pytest.mark.parametrize("size", [0, 1, MAX_BYTES, MAX_BYTES + 1, 200_000, 3_000_000])
def test_the_beginning_is_kept_and_the_size_known(size: int) -> None:
    content = bytes(number % 251 for number in range(size))

    request = RequestFactory().post("/", {"one": upload(b"one"), "file": upload(content), "two": upload(b"two")})
    file: Any = request.FILES["file"]

    assert file.size == size
    assert file.read() == content[:MAX_BYTES]


@pytest.mark.django_db
def test_nothing_is_written_to_the_disk(client: Client, settings: Settings) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = "/nowhere"

    answer = client.post("/", TYPED | {"username": "", "file": upload(b"x" * 3_000_000)})

    assert list(answer.context["form"].errors) == ["username", "password"]


class Unread:
    def read(self, size: int = -1) -> bytes:
        raise AssertionError("It was read.")

    readline = read


@pytest.mark.django_db
def test_a_long_body_is_refused_before_it_is_read(client: Client) -> None:
    request: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "CONTENT_TYPE": "multipart/form-data; boundary=b",
        "CONTENT_LENGTH": MAX_BODY_SIZE + 1,
        "wsgi.input": Unread(),
    }

    answer = client.request(**request)

    assert answer.status_code == 400
    assert "<h1>" in answer.text
