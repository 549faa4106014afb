"""How the web server runs, whether as a part of `manage.py serve` or alone, as `gunicorn signup.wsgi`."""

wsgi_app = "signup.wsgi"
worker_class = "gthread"
workers = 2
threads = 8
preload_app = True  # A configuration with mistakes ends the server at once, and memory is shared.
control_socket_disable = True
forwarded_allow_ips = ""  # Who may speak for a visitor is Django's to know, see TRUSTED_PROXIES.

# No query strings, referrers or addresses of visitors in the log.
accesslog = "-"
access_log_format = "%(t)s %(m)s %(U)s %(s)s %(B)s bytes %(L)s s"
