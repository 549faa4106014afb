"""The web server's configuration, for both `manage.py serve` and plain `gunicorn`."""

import gc
import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from gunicorn.glogging import Logger

from signup.logs import JsonFormatter
from signup.settings import LOG_FORMAT

wsgi_app = "signup.wsgi"
worker_class = "gthread"
workers = 2
threads = 8
keepalive = 75  # Seconds. Longer than proxies and load balancers keep an unused connection, usually 60.
preload_app = True  # A mistake in the configuration ends the server at once, and processes share memory.
control_socket_disable = True
forwarded_allow_ips = ""  # Django decides which proxies to trust; see TRUSTED_PROXIES.


QUOTED = re.compile(r" from ip=\S+(?=: )|: b?['\"].*", re.DOTALL)
"""What a warning about a malformed request says of its visitor, and quotes of the request."""


class AccessLogger(Logger):  # type: ignore[misc]  # gunicorn has no types.
    """Logs paths percent-encoded, so that nobody can forge log lines, and nothing else of a request."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        if LOG_FORMAT == "json":
            for handler in (*self.error_log.handlers, *self.access_log.handlers):
                handler.setFormatter(JsonFormatter())

    def atoms(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> dict[str, Any]:
        path = environ.get("PATH_INFO", "")  # A malformed request has none.
        atoms: dict[str, Any] = super().atoms(resp, req, environ, request_time)
        return atoms | {"U": quote(path.encode("latin-1", errors="replace"))}

    def warning(self, msg: str, *args: Any, **named: Any) -> None:
        super().warning(QUOTED.sub("", msg), *args, **named)

    def exception(self, msg: str, *args: Any, **named: Any) -> None:
        super().exception(msg, *(str(each).partition("?")[0] for each in args), **named)


# The log has no query strings, referrers, or addresses of visitors.
logger_class = AccessLogger
accesslog = "-"
access_log_format = "%(t)s %(m)s %(U)s %(s)s %(B)s bytes %(L)s s"


def pre_fork(server: object, worker: object) -> None:
    """Exempt objects loaded before the fork from garbage collection, which would write to shared memory and copy it."""
    gc.freeze()
