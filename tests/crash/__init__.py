"""Tests that kill processes. Importing this package sets Django up, so that workers can be forked from it."""

import django
from django.apps import apps

if not apps.ready:
    django.setup()
