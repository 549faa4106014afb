"""Drop the search index, so that it is built again after all migrations, by its new rules."""

from django.db import migrations

DROP = {
    "postgresql": (
        "DROP TRIGGER IF EXISTS account_words ON provisioning_account",
        "DROP INDEX IF EXISTS account_search",
    ),
    "sqlite": (
        "DROP TRIGGER IF EXISTS account_search_insert",
        "DROP TRIGGER IF EXISTS account_search_delete",
        "DROP TRIGGER IF EXISTS account_search_update",
        "DROP TABLE IF EXISTS account_search",
    ),
}


def drop(apps, schema_editor):
    for statement in DROP[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0015_audit'),
    ]

    operations = [
        migrations.RunPython(drop, drop),
    ]
