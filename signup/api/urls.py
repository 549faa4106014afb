"""The API's URLs."""

from django.urls import path

from signup.api import operations, views
from signup.api.access import endpoint, not_found, public
from signup.api.models import Scope

urlpatterns = [
    path(
        "v1/signups",
        endpoint({"GET": (Scope.READ, views.read_list), "POST": (Scope.CREATE, views.create)}),
        name="api_signups",
    ),
    path(
        "v1/signups/<uuid:reference>",
        endpoint({"GET": (Scope.READ, views.read), "PATCH": (Scope.CORRECT, views.correct)}),
        name="api_signup",
    ),
    *(
        path(f"v1/signups/<uuid:reference>/{verb}", endpoint({"POST": (Scope.STAFF, views.act(verb))}))
        for verb in operations.VERBS
    ),
    path("v1/legal-texts", endpoint({"GET": (Scope.CREATE, views.read_legal_texts)}), name="api_legal_texts"),
    path("v1/openapi.json", public(views.openapi), name="api_openapi"),
    path("", not_found),
    path("<path:rest>", not_found),
]
