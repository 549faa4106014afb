"""The site's URLs."""

from django.contrib import admin
from django.urls import include, path

from signup import health, views
from signup.brand.views import logo
from signup.doctor.public_address import reflect
from signup.legal.views import legal_text
from signup.metrics import metrics
from signup.single_sign_on import views as single_sign_on

handler400 = "signup.errors.bad_request"
handler403 = "signup.errors.forbidden"
handler404 = "signup.errors.not_found"
handler500 = "signup.errors.server_error"
urlpatterns = [
    path("", views.sign_up, name="sign_up"),
    path("signup/<uuid:reference>/", views.progress, name="progress"),
    path("signup/open/", views.reopen, name="reopen"),
    path("signup/<uuid:reference>/status/", views.status, name="status"),
    path("login/", single_sign_on.log_in, name="log_in"),
    path("login/callback/", single_sign_on.logged_in, name="logged_in"),
    path("start/", single_sign_on.start, name="start"),
    path("logo/<slug:digest>", logo, name="logo"),
    path("legal/<int:pk>/", legal_text, name="legal_text"),
    path("language/", views.language, name="language"),
    path("admin/log-in/", single_sign_on.staff_log_in, name="staff_log_in"),
    path("admin/log-in/callback/", single_sign_on.staff_logged_in, name="staff_logged_in"),
    path("admin/password/", include("signup.password_reset")),
    path("admin/", admin.site.urls),
    path("api/", include("signup.api.urls")),
    path("healthz", health.alive),
    path("readyz", health.ready),
    path("metrics", metrics, name="metrics"),
    path("healthz/reflection", reflect, name="reflect"),
]
