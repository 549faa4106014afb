"""All tables of the work behind the page, and the roles of staff, in one migration.

Databases of earlier releases take the steps that it replaces.
"""

import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
import provisioning.sealed
import uuid
from django.conf import settings
from django.db import migrations, models


VIEWER = {
    "provisioning": {
        "account": ["view_account"],
        "attempt": ["view_attempt"],
        "gateway": ["view_gateway"],
        "worker": ["view_worker"],
    },
    "signup": {"mail": ["view_mail"]},
}
OPERATOR = {
    "provisioning": {
        "account": [
            "approve_account",
            "decline_account",
            "retry_account",
            "look_up_account",
            "correct_account",
            "close_account",
            "export_account",
        ],
        "gateway": ["resume_gateway"],
    },
}
ADMINISTRATOR = {
    "provisioning": {"account": ["erase_account", "reveal_oauth2_token", "wipe_oauth2_token"]},
    "signup": {"brand": ["add_brand", "change_brand", "delete_brand", "view_brand"]},
    "auth": {"user": ["add_user", "change_user", "delete_user", "view_user"], "group": ["view_group"]},
    "otp_totp": {"totpdevice": ["view_totpdevice", "delete_totpdevice"]},
}
ROLES = {
    "Viewer": [VIEWER],
    "Operator": [VIEWER, OPERATOR],
    "Administrator": [VIEWER, OPERATOR, ADMINISTRATOR],
}


def make_roles(apps, schema_editor):
    """Make the groups. Django makes permissions only after all migrations, so missing ones are made here."""
    database = schema_editor.connection.alias
    ContentType = apps.get_model("contenttypes", "ContentType").objects.using(database)
    Permission = apps.get_model("auth", "Permission").objects.using(database)
    account = dict(apps.get_model("provisioning", "Account")._meta.permissions)
    gateway = dict(apps.get_model("provisioning", "Gateway")._meta.permissions)
    for role, parts in ROLES.items():
        group, _ = apps.get_model("auth", "Group").objects.using(database).get_or_create(name=role)
        for app, model, codename in _permissions(parts):
            kind, _ = ContentType.get_or_create(app_label=app, model=model)
            name = (account | gateway).get(codename) or f"Can {codename.replace('_', ' ')}"
            permission, _ = Permission.get_or_create(content_type=kind, codename=codename, defaults={"name": name})
            group.permissions.add(permission)


def _permissions(parts):
    for part in parts:
        for app, models_ in part.items():
            for model, codenames in models_.items():
                for codename in codenames:
                    yield app, model, codename



class Migration(migrations.Migration):

    initial = True

    replaces = [
        ('provisioning', '0001_initial'),
        ('provisioning', '0002_roles'),
        ('provisioning', '0003_desk'),
        ('provisioning', '0004_two_step'),
        ('provisioning', '0005_search'),
        ('provisioning', '0006_single_sign_on'),
        ('provisioning', '0007_host'),
        ('provisioning', '0008_sent'),
        ('provisioning', '0009_staff_sessions'),
        ('provisioning', '0010_mirror'),
        ('provisioning', '0011_wording'),
    ]

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
        ('sessions', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Worker',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=255, unique=True)),
                ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('seen_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name='Account',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reference', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('submission', models.UUIDField(editable=False, unique=True)),
                ('state', models.CharField(choices=[('held', 'Held'), ('queued', 'Queued'), ('sending', 'Sending'), ('created', 'Created'), ('rejected', 'Rejected'), ('unconfirmed', 'Unconfirmed'), ('closed', 'Closed')], max_length=12)),
                ('due_at', models.DateTimeField(editable=False, null=True)),
                ('claim', models.UUIDField(editable=False, null=True)),
                ('organization_name', models.CharField(max_length=80, verbose_name='organization')),
                ('website', models.CharField(blank=True, max_length=255, verbose_name='website')),
                ('country_code', models.CharField(max_length=2, verbose_name='country')),
                ('state_code', models.CharField(blank=True, max_length=80, verbose_name='state or province')),
                ('first_name', models.CharField(max_length=80, verbose_name='first name')),
                ('last_name', models.CharField(max_length=80, verbose_name='last name')),
                ('email', models.CharField(max_length=80, verbose_name='email address')),
                ('phone', models.CharField(max_length=25, verbose_name='phone')),
                ('username', models.CharField(max_length=50, verbose_name='username')),
                ('password', provisioning.sealed.SealedField(verbose_name='password')),
                ('gdpr_opt_out', models.BooleanField(default=False, verbose_name='no marketing by Constant Contact')),
                ('idp_provider_id', models.CharField(blank=True, editable=False, max_length=255, verbose_name='single sign-on ID')),
                ('host', models.CharField(blank=True, editable=False, max_length=253, verbose_name='signed up at')),
                ('account_id', models.CharField(blank=True, editable=False, max_length=80, verbose_name='account ID')),
                ('settled_by', models.CharField(blank=True, choices=[('answer', "Constant Contact's answer"), ('list', 'Found in the list of accounts'), ('staff', 'Staff')], editable=False, max_length=6)),
                ('oauth2_token', provisioning.sealed.SealedField()),
                ('submitted_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='date of sign-up')),
                ('state_changed_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('created_at', models.DateTimeField(editable=False, null=True)),
                ('erased_at', models.DateTimeField(editable=False, null=True)),
            ],
            options={
                'ordering': ('-submitted_at',),
                'permissions': [('approve_account', 'Can approve held accounts'), ('decline_account', 'Can decline held accounts'), ('retry_account', 'Can send accounts again'), ('look_up_account', 'Can have accounts looked for at Constant Contact'), ('correct_account', 'Can correct rejected accounts'), ('close_account', 'Can give rejected accounts up'), ('export_account', 'Can export accounts'), ('erase_account', 'Can erase the personal data of accounts'), ('reveal_oauth2_token', 'Can reveal access tokens'), ('wipe_oauth2_token', 'Can wipe access tokens')],
                'indexes': [models.Index(condition=models.Q(('due_at__isnull', False)), fields=['due_at'], name='account_due'), models.Index(fields=['state', '-submitted_at'], name='account_state_submitted'), models.Index(fields=['-submitted_at'], name='account_submitted'), models.Index(fields=['idp_provider_id'], name='account_idp_provider_id'), models.Index(django.db.models.functions.text.Lower('email'), name='account_email'), models.Index(django.db.models.functions.text.Lower('username'), name='account_username'), models.Index(fields=['country_code', '-submitted_at'], name='account_country_submitted'), models.Index(fields=['host', '-submitted_at'], name='account_host_submitted'), models.Index(condition=models.Q(('erased_at__isnull', True)), fields=['submitted_at'], name='account_unerased')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('state', 'created'), models.Q(('account_id', ''), _negated=True)), models.Q(models.Q(('state', 'created'), _negated=True), ('account_id', '')), _connector='OR'), name='account_created_has_account_id'), models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['created', 'closed']), _negated=True), ('password', provisioning.sealed.Sealed('')), _connector='OR'), name='account_final_has_no_password'), models.UniqueConstraint(condition=models.Q(('account_id', ''), _negated=True), fields=('account_id',), name='account_one_per_account_id'), models.UniqueConstraint(django.db.models.functions.text.Lower('username'), condition=models.Q(('state', 'closed'), _negated=True), name='account_one_living_per_username'), models.UniqueConstraint(condition=models.Q(models.Q(('state', 'closed'), _negated=True), models.Q(('idp_provider_id', ''), _negated=True)), fields=('idp_provider_id',), name='account_one_living_per_idp_provider_id'), models.CheckConstraint(condition=models.Q(('idp_provider_id', ''), ('password', provisioning.sealed.Sealed('')), _connector='OR'), name='account_has_no_password_with_single_sign_on')],
            },
        ),
        migrations.CreateModel(
            name='Gateway',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('next_call_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('day', models.DateField(null=True)),
                ('calls', models.PositiveIntegerField(default=0)),
                ('pages', models.PositiveIntegerField(default=0)),
                ('since_page', models.PositiveIntegerField(default=0)),
                ('paused_until', models.DateTimeField(null=True)),
                ('outages', models.PositiveSmallIntegerField(default=0)),
                ('probe_until', models.DateTimeField(null=True)),
                ('stopped_at', models.DateTimeField(null=True)),
                ('stop_reason', models.TextField(blank=True)),
                ('list_names', models.CharField(blank=True, choices=[('username', 'Usernames: accounts are looked for by username.'), ('organization', 'No usernames: accounts are looked for by organization.')], max_length=12, verbose_name="names in v3's list")),
            ],
            options={
                'verbose_name_plural': 'gateway',
                'permissions': [('resume_gateway', 'Can resume the gateway')],
                'constraints': [models.CheckConstraint(condition=models.Q(('pk', 1)), name='gateway_is_one_row')],
            },
        ),
        migrations.CreateModel(
            name='ListPass',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.CharField(editable=False, max_length=64)),
                ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('ended_at', models.DateTimeField(null=True)),
                ('outcome', models.CharField(blank=True, choices=[('complete', 'Complete'), ('failed', 'Failed')], max_length=8)),
                ('page', models.TextField(blank=True)),
                ('pages', models.PositiveIntegerField(default=0)),
                ('entries', models.PositiveIntegerField(default=0)),
                ('skipped', models.PositiveIntegerField(default=0)),
                ('failures', models.PositiveSmallIntegerField(default=0)),
                ('problem', models.TextField(blank=True)),
                ('due_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), null=True)),
                ('claim', models.UUIDField(null=True)),
            ],
            options={
                'verbose_name': 'pass over the list',
                'verbose_name_plural': 'passes over the list',
                'ordering': ('-pk',),
                'indexes': [models.Index(fields=['outcome', '-ended_at'], name='list_pass_outcome_ended')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('outcome', '')), fields=('outcome',), name='list_pass_one_at_a_time')],
            },
        ),
        migrations.CreateModel(
            name='ListEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('account_id', models.CharField(max_length=80, unique=True)),
                ('username', models.CharField(blank=True, max_length=255)),
                ('organization_name', models.CharField(blank=True, max_length=255)),
                ('status', models.CharField(blank=True, max_length=255)),
                ('username_key', models.CharField(blank=True, db_index=True, editable=False, max_length=255)),
                ('organization_key', models.CharField(blank=True, db_index=True, editable=False, max_length=255)),
                ('first_seen_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('last_seen_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), db_index=True)),
                ('last_pass', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='provisioning.listpass')),
            ],
            options={
                'verbose_name': 'listed account',
                'ordering': ('-first_seen_at', '-pk'),
            },
        ),
        migrations.CreateModel(
            name='StaffSession',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('network', models.CharField(blank=True, max_length=45)),
                ('browser', models.CharField(blank=True, max_length=255)),
                ('started_at', models.DateTimeField()),
                ('seen_at', models.DateTimeField()),
                ('session', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='staff_session', to='sessions.session')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='staff_sessions', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Attempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('create', 'Create the account'), ('look_up', 'Look for the account')], max_length=7)),
                ('username', models.CharField(max_length=50, verbose_name='username')),
                ('sent', models.JSONField(default=dict)),
                ('outcome', models.CharField(blank=True, choices=[('created', 'Created'), ('refused', 'Values refused'), ('taken', 'Username in use'), ('not_done', 'Nothing created, not because of the customer'), ('unusable', 'Nothing created: unexpected answer'), ('unknown', 'Unknown: the account may exist'), ('found', "Found among the partner's accounts"), ('absent', "Not among the partner's accounts"), ('others', 'Username in use by someone else'), ('differs', "In the list, but may be someone else's")], max_length=8)),
                ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('ended_at', models.DateTimeField(null=True)),
                ('duration', models.DurationField(null=True)),
                ('status', models.PositiveSmallIntegerField(null=True)),
                ('error_key', models.CharField(blank=True, max_length=255)),
                ('error_message', models.TextField(blank=True)),
                ('refused', models.JSONField(default=dict)),
                ('answer', models.TextField(blank=True)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='attempts', to='provisioning.account')),
            ],
            options={
                'ordering': ('started_at', 'pk'),
                'indexes': [models.Index(fields=['outcome', '-started_at'], name='attempt_outcome_started'), models.Index(fields=['kind', '-ended_at'], name='attempt_kind_ended')],
            },
        ),
        migrations.RunPython(make_roles, migrations.RunPython.noop),
    ]
