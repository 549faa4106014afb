"""All tables of the page in one migration. Databases of earlier releases take the steps that it replaces."""

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import signup.brand.models
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    replaces = [
        ('signup', '0001_visits'),
        ('signup', '0002_mails'),
        ('signup', '0003_brand'),
        ('signup', '0004_used_links'),
        ('signup', '0005_staff_identity'),
        ('signup', '0006_bursts'),
        ('signup', '0007_brand_texts'),
    ]

    dependencies = [
        ('provisioning', '0001_squashed_0011_wording'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Brand',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('host', models.CharField(blank=True, help_text='Where customers see this brand, like signup.example.com. If empty: on all other hosts.', max_length=253, unique=True, validators=[signup.brand.models.is_served], verbose_name='host name')),
                ('name', models.CharField(help_text='Your name, as customers know it.', max_length=80, verbose_name='name')),
                ('color', models.CharField(blank=True, help_text='For buttons and links, like #2454d6. If it would be hard to read, a readable shade is used.', max_length=7, validators=[django.core.validators.RegexValidator('^#[0-9a-fA-F]{6}\\Z', 'Enter a color like #2454d6.')], verbose_name='color')),
                ('headline', models.CharField(blank=True, help_text='The first line of the page.', max_length=120, verbose_name='headline')),
                ('selling_points', models.TextField(blank=True, help_text='One per line. If empty: two general ones.', max_length=600, verbose_name='selling points')),
                ('trial_days', models.PositiveSmallIntegerField(default=60, help_text="0 doesn't mention how long it lasts.", verbose_name='days of the trial')),
                ('login_url', models.URLField(blank=True, help_text='Where customers log in once their account is ready. If empty: at Constant Contact.', verbose_name='login address')),
                ('support_email', models.EmailField(blank=True, help_text='Where customers get help.', max_length=254, verbose_name='email address')),
                ('support_url', models.URLField(blank=True, verbose_name='help page')),
                ('terms_url', models.URLField(blank=True, verbose_name='terms')),
                ('privacy_url', models.URLField(blank=True, verbose_name='privacy policy')),
                ('logo', models.BinaryField(default=b'')),
                ('logo_type', models.CharField(blank=True, editable=False, max_length=40)),
                ('logo_digest', models.CharField(blank=True, db_index=True, editable=False, max_length=32)),
                ('logo_width', models.PositiveSmallIntegerField(default=0, editable=False)),
                ('logo_height', models.PositiveSmallIntegerField(default=0, editable=False)),
            ],
        ),
        migrations.CreateModel(
            name='UsedLink',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(max_length=64, unique=True)),
                ('expires_at', models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name='Burst',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('held_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('is_over', models.BooleanField(default=False)),
                ('is_beginning_told', models.BooleanField(default=False)),
                ('is_end_told', models.BooleanField(default=False)),
            ],
            options={
                'constraints': [models.UniqueConstraint(condition=models.Q(('is_over', False)), fields=('is_over',), name='one_burst_at_a_time')],
            },
        ),
        migrations.CreateModel(
            name='Visit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=64)),
                ('submission', models.UUIDField()),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'indexes': [models.Index(fields=['key', 'at'], name='visit_key_at'), models.Index(fields=['at'], name='visit_at')],
                'constraints': [models.UniqueConstraint(fields=('key', 'submission'), name='visit_counts_once')],
            },
        ),
        migrations.CreateModel(
            name='Mail',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('origin', models.URLField()),
                ('language', models.CharField(max_length=16)),
                ('event', models.CharField(blank=True, choices=[('held', 'Held'), ('queued', 'Queued'), ('sending', 'Sending'), ('created', 'Created'), ('rejected', 'Rejected'), ('unconfirmed', 'Unconfirmed'), ('closed', 'Closed')], max_length=12)),
                ('due_at', models.DateTimeField(null=True)),
                ('tries', models.PositiveSmallIntegerField(default=0)),
                ('sent_at', models.DateTimeField(null=True)),
                ('problem', models.CharField(blank=True, max_length=255)),
                ('account', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='mail', to='provisioning.account')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('due_at__isnull', False)), fields=['due_at'], name='mail_due')],
            },
        ),
        migrations.CreateModel(
            name='StaffIdentity',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('issuer', models.CharField(max_length=255)),
                ('subject', models.CharField(max_length=255)),
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='identity', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('issuer', 'subject'), name='staff_identity_is_one_user')],
            },
        ),
    ]
