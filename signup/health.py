"""For whoever watches over the installation: is it alive, and can it work?"""

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from provisioning.models import Worker


@require_safe
@never_cache
def alive(request: HttpRequest) -> JsonResponse:
    """200 as long as the web server answers at all; what it stands on is not looked at."""
    return JsonResponse({"status": "alive"})


@require_safe
@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """200 when sign-ups can be stored, else 503 with the reason. Without a worker they are stored all the same."""
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
