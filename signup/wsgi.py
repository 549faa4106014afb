"""The web application, as gunicorn loads it: `gunicorn signup.wsgi`."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connections

from provisioning.management import start_up
from signup.charsets import Request

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "signup.settings")
settings.DATABASES["default"].setdefault("STATEMENT_TIMEOUT", settings.STATEMENT_TIMEOUT)
application = get_wsgi_application()
application.request_class = Request
start_up.check(deploy=not settings.DEBUG)
connections.close_all()  # Before the server forks.
if not settings.DEBUG:
    from signup import form_page  # It imports models, which are not loaded before.

    form_page.warm_up()
