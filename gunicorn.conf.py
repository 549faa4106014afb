"""How the web server runs, whether as a part of `manage.py serve` or alone, as `gunicorn signup.wsgi`."""

import gc
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from gunicorn.glogging import Logger

wsgi_app = "signup.wsgi"
worker_class = "gthread"
workers = 2
threads = 8
preload_app = True  # A configuration with mistakes ends the server at once, and memory is shared.
control_socket_disable = True
forwarded_allow_ips = ""  # Django decides which proxies to trust; see TRUSTED_PROXIES.


class AccessLogger(Logger):
    """Logs a path percent-encoded, so that nobody can forge a line of the log with one."""

    def atoms(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> dict[str, Any]:
        return super().atoms(resp, req, environ, request_time) | {
            "U": quote(environ["PATH_INFO"].encode("latin-1", errors="replace"))
        }


# No query strings, referrers or addresses of visitors in the log.
logger_class = AccessLogger
accesslog = "-"
access_log_format = "%(t)s %(m)s %(U)s %(s)s %(B)s bytes %(L)s s"


def pre_fork(server: object, worker: object) -> None:
    """Leave alone what was loaded before the fork: the garbage collector would write to it, and so copy it."""
    gc.freeze()
