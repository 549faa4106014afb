import django.db.models.deletion
import django.db.models.functions.datetime
import provisioning.sealed
import uuid
from django.db import migrations, models

from provisioning.roles import ADMINISTRATOR, ALL, OPERATOR, grant


ENDPOINT = {
    "add_endpoint": "Can add endpoint",
    "change_endpoint": "Can change endpoint",
    "delete_endpoint": "Can delete endpoint",
    "reveal_secret_endpoint": "Can see the signing secrets of endpoints",
}


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
        ('provisioning', '0022_partner_account_id'),
    ]

    operations = [
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('delivered', 'Delivered'), ('failed', 'Failed')], default='waiting', max_length=9)),
                ('due_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), null=True)),
                ('claim', models.UUIDField(null=True)),
                ('tries', models.PositiveIntegerField(default=0)),
                ('retried_until', models.DateTimeField(null=True)),
                ('done_at', models.DateTimeField(null=True)),
            ],
            options={
                'verbose_name_plural': 'deliveries',
                'ordering': ('-pk',),
                'permissions': [('replay_delivery', 'Can send deliveries again')],
            },
        ),
        migrations.CreateModel(
            name='Endpoint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(help_text='What receives the events, like CRM.', max_length=80)),
                ('url', models.CharField(help_text='Where to send the events, starting with https://.', max_length=500, verbose_name='URL')),
                ('events', models.JSONField(default=list)),
                ('host', models.CharField(blank=True, help_text='Only events about sign-ups at this host name, like signup.example.com. If empty, about all.', max_length=253, verbose_name="brand's host name")),
                ('has_personal_fields', models.BooleanField(default=False, help_text='Names, organization, email address, phone, website, and username. Never a password or token.', verbose_name='include personal fields')),
                ('secret', provisioning.sealed.SealedField()),
                ('previous_secret', provisioning.sealed.SealedField()),
                ('rotated_at', models.DateTimeField(editable=False, null=True)),
                ('is_on', models.BooleanField(default=True, editable=False, verbose_name='on')),
                ('off_reason', models.CharField(blank=True, editable=False, max_length=255)),
                ('failing_since', models.DateTimeField(editable=False, null=True)),
                ('rests_until', models.DateTimeField(editable=False, null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
            ],
            options={
                'ordering': ('name', 'pk'),
                'permissions': [('reveal_secret_endpoint', 'Can see the signing secrets of endpoints')],
            },
        ),
        migrations.AddField(
            model_name='gateway',
            name='told',
            field=models.CharField(blank=True, choices=[('paused', 'Paused'), ('stopped', 'Stopped')], db_default='', editable=False, max_length=7),
        ),
        migrations.CreateModel(
            name='DeliveryAttempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('ended_at', models.DateTimeField(null=True)),
                ('duration', models.DurationField(null=True)),
                ('status', models.PositiveSmallIntegerField(null=True)),
                ('problem', models.CharField(blank=True, max_length=255)),
                ('answer', models.TextField(blank=True)),
                ('delivery', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='attempts', to='provisioning.delivery')),
            ],
            options={
                'ordering': ('pk',),
            },
        ),
        migrations.AddField(
            model_name='delivery',
            name='endpoint',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='provisioning.endpoint'),
        ),
        migrations.CreateModel(
            name='Event',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uid', models.UUIDField(default=uuid.uuid4, unique=True)),
                ('type', models.CharField(choices=[('signup.received', 'A customer signed up'), ('signup.held', 'A sign-up waits for approval'), ('signup.created', 'An account was created'), ('signup.rejected', 'Constant Contact asked for a correction'), ('signup.closed', 'A sign-up was declined or closed'), ('signup.needs_staff', 'A sign-up is stuck without your staff'), ('gateway.stopped', 'Sending stopped'), ('gateway.paused', 'Sending paused'), ('gateway.resumed', 'Sending resumed'), ('endpoint.test', 'Test')], max_length=32)),
                ('host', models.CharField(blank=True, max_length=253)),
                ('data', models.JSONField(default=dict)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), db_index=True)),
                ('is_routed', models.BooleanField(default=False)),
                ('account', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='events', to='provisioning.account')),
            ],
        ),
        migrations.AddField(
            model_name='delivery',
            name='event',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='provisioning.event'),
        ),
        migrations.AddIndex(
            model_name='event',
            index=models.Index(condition=models.Q(('is_routed', False)), fields=['is_routed'], name='event_unrouted'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('due_at__isnull', False)), fields=['endpoint', 'due_at'], name='delivery_due'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['state', '-id'], name='delivery_state'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.UniqueConstraint(fields=('event', 'endpoint'), name='delivery_once_per_endpoint'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('due_at__isnull', False), ('state', 'waiting')), models.Q(models.Q(('state', 'waiting'), _negated=True), ('due_at', None)), _connector='OR'), name='delivery_waiting_is_due'),
        ),
        grant("provisioning.endpoint", ENDPOINT, (ADMINISTRATOR,)),
        grant("provisioning.endpoint", {"view_endpoint": "Can view endpoint"}, ALL),
        grant("provisioning.delivery", {"view_delivery": "Can view delivery"}, ALL),
        grant("provisioning.delivery", {"replay_delivery": "Can send deliveries again"}, (OPERATOR, ADMINISTRATOR)),
    ]
