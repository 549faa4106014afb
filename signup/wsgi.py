"""The web application, as gunicorn loads it: `gunicorn signup.wsgi`."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connections

from provisioning.management import start_up

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "signup.settings")
# Each thread keeps its connection for many requests, and checks it before each. Provisioning workers don't: they hold
# no connection during a slow call.
settings.DATABASES["default"] = {
    "CONN_MAX_AGE": 600,
    "CONN_HEALTH_CHECKS": True,
    "STATEMENT_TIMEOUT": settings.STATEMENT_TIMEOUT,
} | settings.DATABASES["default"]
application = get_wsgi_application()
start_up.check(deploy=not settings.DEBUG)
connections.close_all()  # Before the server forks.
if not settings.DEBUG:
    from signup import form_page  # It imports models, which are not loaded before.

    form_page.warm_up()
