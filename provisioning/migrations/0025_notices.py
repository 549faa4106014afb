import django.db.models.deletion
import django.db.models.functions.datetime
import provisioning.sealed
from django.conf import settings
from django.db import migrations, models


VERBS = ("add", "change", "delete", "view")


def permit(apps, schema_editor):
    # Django creates permissions only after all migrations.
    kind, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="provisioning", model="noticerule"
    )
    for verb in VERBS:
        permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
            content_type=kind, codename=f"{verb}_noticerule", defaults={"name": f"Can {verb} notice rule"}
        )
        for group in apps.get_model("auth", "Group").objects.filter(name="Administrator"):
            group.permissions.add(permission)


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
        ('provisioning', '0024_attribution'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Incident',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('stopped', 'Sending stopped'), ('approval', 'Accounts wait for approval'), ('correction', 'Accounts wait for a correction'), ('decision', 'Accounts may or may not exist, and wait for a decision'), ('worker', 'A worker is gone'), ('endpoint', 'An event endpoint was switched off'), ('quota', "80% of the day's quota is used")], max_length=10)),
                ('detail', models.TextField(blank=True)),
                ('begun_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='began')),
                ('absent_since', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True, verbose_name='ended')),
            ],
            options={
                'ordering': ('-begun_at', '-pk'),
                'constraints': [models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('kind',), name='incident_one_of_a_kind')],
            },
        ),
        migrations.CreateModel(
            name='NoticeRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(help_text='Whom it is for, like Support.', max_length=80)),
                ('incidents', models.JSONField(default=list, verbose_name='tell of')),
                ('when', models.CharField(choices=[('at_once', 'At once'), ('daily', 'Once a day, at 8 a.m.')], default='at_once', max_length=7)),
                ('channel', models.CharField(choices=[('email', 'Email'), ('slack', 'Slack'), ('teams', 'Microsoft Teams')], default='email', max_length=5, verbose_name='by')),
                ('url', provisioning.sealed.SealedField(verbose_name='webhook URL')),
                ('digest_on', models.DateField(editable=False, null=True)),
                ('problem', models.CharField(blank=True, editable=False, max_length=255)),
                ('told_at', models.DateTimeField(editable=False, null=True, verbose_name='last told')),
                ('user', models.ForeignKey(blank=True, help_text='For email.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='person')),
            ],
            options={
                'ordering': ('name', 'pk'),
            },
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('phase', models.CharField(choices=[('beginning', 'Beginning'), ('end', 'End'), ('digest', 'Digest')], max_length=9)),
                ('due_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), null=True)),
                ('tries', models.PositiveSmallIntegerField(default=0)),
                ('sent_at', models.DateTimeField(null=True)),
                ('incident', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='notices', to='provisioning.incident')),
                ('rule', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='notices', to='provisioning.noticerule')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('due_at__isnull', False)), fields=['due_at'], name='notice_due')],
                'constraints': [models.UniqueConstraint(fields=('rule', 'incident', 'phase'), name='notice_once_per_phase')],
            },
        ),
        migrations.RunPython(permit, migrations.RunPython.noop),
    ]
