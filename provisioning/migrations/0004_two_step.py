"""Administrators help who has lost the phone: they see who uses a second step, and can take it away."""

from django.db import migrations


def let_administrators_help(apps, schema_editor):
    database = schema_editor.connection.alias
    ContentType = apps.get_model("contenttypes", "ContentType")
    Permission = apps.get_model("auth", "Permission")
    kind, _ = ContentType.objects.using(database).get_or_create(app_label="otp_totp", model="totpdevice")
    for group in apps.get_model("auth", "Group").objects.using(database).filter(name="Administrator"):
        for verb in ("view", "delete"):
            permission, _ = Permission.objects.using(database).get_or_create(
                content_type=kind, codename=f"{verb}_totpdevice", defaults={"name": f"Can {verb} TOTP device"}
            )
            group.permissions.add(permission)


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0003_desk'),
        ('otp_totp', '0003_add_timestamps'),
    ]

    operations = [
        migrations.RunPython(let_administrators_help, migrations.RunPython.noop),
    ]
