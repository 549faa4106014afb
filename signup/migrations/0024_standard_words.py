from django.db import migrations, models


class Migration(migrations.Migration):
    """Rename fields. Their columns keep their names, which the previous release uses while servers are updated."""

    dependencies = [
        ('signup', '0023_email_names'),
    ]

    operations = [
        migrations.AlterField(
            model_name='burst',
            name='is_beginning_told',
            field=models.BooleanField(db_column='is_beginning_told', default=False),
        ),
        migrations.RenameField(model_name='burst', old_name='is_beginning_told', new_name='is_beginning_reported'),
        migrations.AlterField(
            model_name='burst',
            name='is_end_told',
            field=models.BooleanField(db_column='is_end_told', default=False),
        ),
        migrations.RenameField(model_name='burst', old_name='is_end_told', new_name='is_end_reported'),
    ]
