from django.db import migrations, models

PERMISSIONS = {
    "retry_account": "Can retry accounts",
    "look_up_account": "Can look up accounts at Constant Contact",
    "close_account": "Can close accounts",
    "reveal_oauth2_token": "Can see access tokens",
    "resume_gateway": "Can resume sending",
}


def rename(apps, schema_editor):
    # Django names a permission only when it creates it.
    permissions = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="provisioning")
    for codename, name in PERMISSIONS.items():
        permissions.filter(codename=codename).update(name=name)


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0019_billing_locale'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='account',
            options={'ordering': ('-submitted_at',), 'permissions': [('approve_account', 'Can approve held accounts'), ('decline_account', 'Can decline held accounts'), ('retry_account', 'Can retry accounts'), ('look_up_account', 'Can look up accounts at Constant Contact'), ('correct_account', 'Can correct rejected accounts'), ('close_account', 'Can close accounts'), ('export_account', 'Can export accounts'), ('erase_account', 'Can erase the personal data of accounts'), ('reveal_oauth2_token', 'Can see access tokens'), ('wipe_oauth2_token', 'Can wipe access tokens'), ('assign_account', 'Can assign accounts to staff'), ('note_account', 'Can write notes on accounts')]},
        ),
        migrations.AlterModelOptions(
            name='gateway',
            options={'permissions': [('resume_gateway', 'Can resume sending')], 'verbose_name_plural': 'gateway'},
        ),
        migrations.AlterModelOptions(
            name='listpass',
            options={'ordering': ('-pk',), 'verbose_name': 'read of your list', 'verbose_name_plural': 'reads of your list'},
        ),
        migrations.AlterField(
            model_name='attempt',
            name='outcome',
            field=models.CharField(blank=True, choices=[('created', 'Created'), ('refused', 'Values refused'), ('taken', 'Username in use'), ('unsent', "Not sent: Constant Contact can't be reached"), ('not_done', "Nothing created: not the customer's fault"), ('unusable', 'Nothing created: unexpected answer'), ('unknown', 'Unknown: the account may exist'), ('found', 'Found in your account list'), ('absent', 'Not in your account list'), ('others', 'Username in use by someone else'), ('differs', "In your account list, but may be someone else's")], max_length=8),
        ),
        migrations.RunPython(rename, migrations.RunPython.noop, elidable=True),
    ]
