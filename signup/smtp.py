"""Django's SMTP backend, with a deadline for each connection as a whole.

EMAIL_TIMEOUT restarts with every byte, so a mail server that drips its answers could hold an email, and all that wait
for it, forever.
"""

from __future__ import annotations

import smtplib
import socket
import threading
from contextlib import suppress
from typing import Any

from django.core.mail.backends import smtp

DEADLINE = 20.0
"""Seconds from connecting to closing. The longest that sending one email may take."""


class LimitedSmtp(smtplib.SMTP):
    """Cuts the connection `DEADLINE` seconds after it was made."""

    _duplicate: socket.socket | None = None
    _timer: threading.Timer

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        opened: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]  # not in the stubs
        self._duplicate = opened.dup()  # TLS replaces the socket.
        self._timer = threading.Timer(DEADLINE, _disconnect, [self._duplicate])
        self._timer.daemon = True
        self._timer.start()
        return opened

    def close(self) -> None:
        if self._duplicate:
            self._timer.cancel()
            self._duplicate.close()
        super().close()


class LimitedSmtpSsl(smtplib.SMTP_SSL, LimitedSmtp):
    """The same over TLS."""


class EmailBackend(smtp.EmailBackend):
    @property
    def connection_class(self) -> Any:
        return LimitedSmtpSsl if self.use_ssl else LimitedSmtp

    def open(self) -> bool | None:
        """Connect, and exchange greetings: smtplib takes half a greeting for one. Each email needs them anyway."""
        opened = super().open()
        if opened and self.connection:
            self.connection.ehlo_or_helo_if_needed()
        return opened


def _disconnect(sock: socket.socket) -> None:
    with sock, suppress(OSError):  # The server has already closed it.
        sock.shutdown(socket.SHUT_RDWR)
