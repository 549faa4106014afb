"""A minimal Django site that does the same work: the benchmark's baseline.

`/` is a page of the same size behind the CSRF middleware. A POST to it validates a form of ten fields and inserts one
row. `/status/` looks one row up. The database, its settings, and its durability are the product's.
"""

from __future__ import annotations

import os
import uuid
from typing import ClassVar

import django
from django import forms
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, models
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.gzip import gzip_page

from signup.settings import DATABASES

settings.configure(
    SECRET_KEY="x" * 50,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": DATABASES["default"] | {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}},
    MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [os.environ["PAGES"]]}],
    LOGGING_CONFIG=None,
)
django.setup()


class Row(models.Model):
    reference = models.UUIDField(unique=True, default=uuid.uuid4)
    state = models.CharField(max_length=12, default="queued")
    organization_name = models.CharField(max_length=80)
    website = models.URLField(blank=True)
    country_code = models.CharField(max_length=2)
    state_code = models.CharField(max_length=80, blank=True)
    first_name = models.CharField(max_length=80)
    last_name = models.CharField(max_length=80)
    email = models.EmailField()
    phone = models.CharField(max_length=25)
    username = models.CharField(max_length=50)
    password = models.CharField(max_length=80)

    objects: ClassVar[models.Manager[Row]] = models.Manager()

    class Meta:
        app_label = "bare"

    def __str__(self) -> str:
        return self.username


RowForm = forms.modelform_factory(Row, exclude=("reference", "state"))


@gzip_page
def page(request: HttpRequest) -> HttpResponse:
    if request.method == "POST" and (form := RowForm(request.POST)).is_valid():
        return redirect("status", form.save().reference)
    return render(request, "page.html")


def status(request: HttpRequest, reference: uuid.UUID) -> JsonResponse:
    row = Row.objects.filter(reference=reference).first()
    if row is None:
        raise Http404
    return JsonResponse({"state": row.state, "final": False})


urlpatterns = [path("", page), path("status/<uuid:reference>/", status, name="status")]

if Row._meta.db_table not in connection.introspection.table_names():
    with connection.schema_editor() as editor:
        editor.create_model(Row)
connection.close()
application = get_wsgi_application()
