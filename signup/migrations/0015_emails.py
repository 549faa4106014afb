from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('signup', '0014_plain_words'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='diagnosis',
            options={'verbose_name_plural': 'diagnoses'},
        ),
        migrations.AlterModelOptions(
            name='mail',
            options={'verbose_name': 'email'},
        ),
        migrations.AlterField(
            model_name='brand',
            name='headline_es',
            field=models.CharField(blank=True, help_text='If empty, the general text is used.', max_length=120, verbose_name='headline in Spanish'),
        ),
        migrations.AlterField(
            model_name='brand',
            name='headline_fr',
            field=models.CharField(blank=True, help_text='If empty, the general text is used.', max_length=120, verbose_name='headline in French'),
        ),
        migrations.AlterField(
            model_name='brand',
            name='selling_points_es',
            field=models.TextField(blank=True, help_text='If empty, the general text is used.', max_length=600, verbose_name='selling points in Spanish'),
        ),
        migrations.AlterField(
            model_name='brand',
            name='selling_points_fr',
            field=models.TextField(blank=True, help_text='If empty, the general text is used.', max_length=600, verbose_name='selling points in French'),
        ),
        migrations.AlterField(
            model_name='mail',
            name='event',
            field=models.CharField(blank=True, choices=[('created', 'Account ready'), ('rejected', 'Correction needed'), ('reminder', 'Correction reminder'), ('closed', 'Sign-up declined')], max_length=12),
        ),
        migrations.AlterField(
            model_name='sentmail',
            name='event',
            field=models.CharField(choices=[('created', 'Account ready'), ('rejected', 'Correction needed'), ('reminder', 'Correction reminder'), ('closed', 'Sign-up declined')], max_length=12),
        ),
    ]
