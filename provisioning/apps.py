from django.apps import AppConfig
from django.contrib.admin import apps as admin
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db.backends.signals import connection_created
from django.db.models import IntegerField
from django.db.models.signals import post_migrate
from django_otp.plugins.otp_totp import apps as totp


class ProvisioningConfig(AppConfig):
    name = "provisioning"
    verbose_name = "Constant Contact accounts"

    def ready(self) -> None:
        from provisioning.admin_site import guessing, sessions
        from provisioning.database import IntegerIn
        from provisioning.search import index
        from provisioning.signals import chores

        IntegerField.register_lookup(IntegerIn)
        user_logged_in.connect(sessions.begin)
        user_logged_out.connect(sessions.end)
        chores.connect(guessing.forget_failures)
        connection_created.connect(index.register)
        post_migrate.connect(index.prepare, sender=self)


class TwoFactorConfig(totp.DefaultConfig):  # type: ignore[misc]  # untyped
    """Gives django-otp's app a name that staff know."""

    default = False
    verbose_name = "Two-factor authentication"


class AdminConfig(admin.AdminConfig):
    default = False
    default_site = "provisioning.admin_site.Site"
