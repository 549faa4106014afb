import signup.brand.models
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('signup', '0013_diagnosis'),
    ]

    operations = [
        migrations.AlterField(
            model_name='brand',
            name='billing_locale',
            field=models.CharField(blank=True, choices=[('en_US', 'US dollars'), ('en_GB', 'British pounds')], help_text='For accounts that sign up from now on. If empty, CONSTANT_CONTACT_BILLING_LOCALE applies.', max_length=5, verbose_name='billing currency'),
        ),
        migrations.AlterField(
            model_name='brand',
            name='headline',
            field=models.CharField(blank=True, help_text='The first line of the page. If empty, a general headline is shown.', max_length=120, verbose_name='headline'),
        ),
        migrations.AlterField(
            model_name='brand',
            name='headline_es',
            field=models.CharField(blank=True, help_text='If empty, the text above is used.', max_length=120, verbose_name='headline in Spanish'),
        ),
        migrations.AlterField(
            model_name='brand',
            name='headline_fr',
            field=models.CharField(blank=True, help_text='If empty, the text above is used.', max_length=120, verbose_name='headline in French'),
        ),
        migrations.AlterField(
            model_name='brand',
            name='host',
            field=models.CharField(blank=True, help_text='Where customers see this brand, like signup.example.com. If empty, on all other hosts.', max_length=253, unique=True, validators=[signup.brand.models.is_served], verbose_name='host name'),
        ),
        migrations.AlterField(
            model_name='brand',
            name='login_url',
            field=models.URLField(blank=True, help_text='Where customers log in once their account is ready. If empty, at Constant Contact.', verbose_name='login address'),
        ),
        migrations.AlterField(
            model_name='brand',
            name='selling_points',
            field=models.TextField(blank=True, help_text='One per line. If empty, two general ones are shown.', max_length=600, verbose_name='selling points'),
        ),
        migrations.AlterField(
            model_name='brand',
            name='selling_points_es',
            field=models.TextField(blank=True, help_text='If empty, the text above is used.', max_length=600, verbose_name='selling points in Spanish'),
        ),
        migrations.AlterField(
            model_name='brand',
            name='selling_points_fr',
            field=models.TextField(blank=True, help_text='If empty, the text above is used.', max_length=600, verbose_name='selling points in French'),
        ),
        migrations.AlterField(
            model_name='brand',
            name='sender_email',
            field=models.EmailField(blank=True, help_text='Your mail server must be allowed to send for this address. If empty, DEFAULT_FROM_EMAIL is used.', max_length=254, verbose_name='sender of emails'),
        ),
        migrations.AlterField(
            model_name='brand',
            name='trial_days',
            field=models.PositiveSmallIntegerField(default=60, help_text="With 0, the page doesn't say how long the trial lasts.", verbose_name='days of the trial'),
        ),
    ]
