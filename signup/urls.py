"""The whole site on one screen."""

from django.contrib import admin
from django.urls import path
from django.views.i18n import set_language

from signup import brand, health, views

urlpatterns = [
    path("", views.sign_up, name="sign_up"),
    path("signup/<uuid:reference>/", views.progress, name="progress"),
    path("signup/open/", views.reopen, name="reopen"),
    path("signup/<uuid:reference>/status/", views.status, name="status"),
    path("logo/<slug:digest>", brand.logo, name="logo"),
    path("language/", set_language, name="set_language"),
    path("admin/", admin.site.urls),
    path("healthz", health.alive),
    path("readyz", health.ready),
]
