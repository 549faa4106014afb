"""A peer on a socket that sends exactly what a test wants, valid or not."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

ODD_LINKS = ["//[?next=2", "?next=\0", "?next=\ud800", "next"]
"""Links to a next page that are not URLs, or that not every database can store."""


@dataclass
class Peer:
    url: str
    requests: list[str] = field(default_factory=list)
    """Each request as received, head and body."""


@contextmanager
def peer(say: Callable[[socket.socket], None]) -> Iterator[Peer]:
    """Read the first request of each connection in full and answer it with `say(connection)`."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Peer(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                server.requests.append(_read(connection))
                try:
                    say(connection)
                except OSError:
                    continue  # The client disconnected, as it should.

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def answering(status: int, body: str | bytes, headers: str = "Content-Type: application/json") -> Callable[..., None]:
    body = body if isinstance(body, bytes) else body.encode()
    head = f"HTTP/1.1 {status} X\r\n{headers}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return lambda connection: connection.sendall(head.encode() + body)


def _read(connection: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data and (chunk := connection.recv(65536)):
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length")), 0)
    while len(body) < length and (chunk := connection.recv(65536)):
        body += chunk
    return (head + b"\r\n\r\n" + body).decode(errors="replace")
