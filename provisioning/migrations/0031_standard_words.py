from django.db import migrations, models


class Migration(migrations.Migration):
    """Rename fields. Their columns keep their names, which the previous release uses while servers are updated."""

    dependencies = [
        ('provisioning', '0030_labels'),
    ]

    operations = [
        migrations.AlterField(
            model_name='gateway',
            name='told',
            field=models.CharField(blank=True, choices=[('paused', 'Paused'), ('stopped', 'Stopped')], db_column='told', db_default='', editable=False, max_length=7),
        ),
        migrations.RenameField(model_name='gateway', old_name='told', new_name='reported_state'),
        migrations.AlterField(
            model_name='endpoint',
            name='rests_until',
            field=models.DateTimeField(db_column='rests_until', editable=False, null=True),
        ),
        migrations.RenameField(model_name='endpoint', old_name='rests_until', new_name='backs_off_until'),
        migrations.AlterField(
            model_name='noticerule',
            name='told_at',
            field=models.DateTimeField(db_column='told_at', editable=False, null=True, verbose_name='last notice'),
        ),
        migrations.RenameField(model_name='noticerule', old_name='told_at', new_name='notified_at'),
    ]
