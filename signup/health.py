"""Health checks: is the installation alive, and can it take sign-ups?"""

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from provisioning.models import Worker


@require_safe
@never_cache
def alive(request: HttpRequest) -> JsonResponse:
    """Answer 200 as long as the web server runs. Nothing else is checked."""
    return JsonResponse({"status": "alive"})


@require_safe
@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 if sign-ups can be stored, and otherwise 503 with the reason. Storing them needs no worker."""
    if reason := _what_is_missing():
        return JsonResponse({"status": "not ready", "reason": reason}, status=503)
    return JsonResponse({"status": "ready", "workers": Worker.objects.alive().count()})


def _what_is_missing() -> str:
    try:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return "Migrations are to be applied: manage.py migrate"
    except Error:
        return "The database cannot be reached."
    return ""
