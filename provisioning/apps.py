"""Connects the packages of `provisioning` by signals, and names the apps of others as staff know them."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db.backends.signals import connection_created
from django.db.models import IntegerField
from django.db.models.signals import post_delete, post_migrate, post_save
from django_otp.plugins.otp_totp import apps as totp


class ProvisioningConfig(AppConfig):
    name = "provisioning"
    verbose_name = "Constant Contact accounts"

    def ready(self) -> None:
        from provisioning.admin_site import sessions, throttling
        from provisioning.database import IntegerIn
        from provisioning.events import outbox, upkeep
        from provisioning.models import Endpoint
        from provisioning.notices import incidents, sending
        from provisioning.search import erasure, index
        from provisioning.signals import chores, erased, gateway_changed, moved, submitted

        IntegerField.register_lookup(IntegerIn)
        user_logged_in.connect(sessions.record_login)
        user_logged_out.connect(sessions.record_logout)
        chores.connect(throttling.forget_failures)
        submitted.connect(outbox.record_submission)
        moved.connect(outbox.record_move)
        gateway_changed.connect(outbox.record_gateway_change)
        chores.connect(outbox.record_gateway_change)
        chores.connect(outbox.record_stuck_accounts)
        erased.connect(upkeep.forget_answers)
        erased.connect(erasure.note)
        chores.connect(erasure.forget_words)
        chores.connect(upkeep.purge)
        chores.connect(incidents.watch)
        chores.connect(sending.send_on_a_thread)
        for changed in (post_save, post_delete):
            changed.connect(outbox.forget_subscribed, sender=Endpoint)
        connection_created.connect(index.register)
        post_migrate.connect(index.prepare, sender=self)


class TwoFactorConfig(totp.DefaultConfig):  # type: ignore[misc]  # untyped
    """Gives django-otp's app and its devices names that staff know."""

    default = False
    verbose_name = "Two-factor authentication"

    def ready(self) -> None:
        super().ready()
        device = self.get_model("totpdevice")._meta
        device.verbose_name, device.verbose_name_plural = "authenticator app", "authenticator apps"


class AdminConfig(admin.AdminConfig):
    default = False
    default_site = "provisioning.admin_site.Site"
