from django.db import migrations, models

import provisioning.operations


class Migration(migrations.Migration):
    dependencies = [
        ('provisioning', '0031_standard_words'),
    ]

    operations = [
        migrations.AddField(
            model_name='worker',
            name='version',
            field=models.CharField(blank=True, db_default='', default=provisioning.operations.own_version, max_length=20),
        ),
    ]
