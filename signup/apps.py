"""Connects the sign-up page to what `provisioning` does, and registers the checks of its settings."""

from django.apps import AppConfig
from django.core.checks import register

from signup.checks import check_configuration, check_encryption, check_files, check_proxy, check_static_files


class SignupConfig(AppConfig):
    name = "signup"
    verbose_name = "Sign-up page"

    def ready(self) -> None:
        from provisioning.signals import chores, describing, erased, examined, moved, setting_up, to_do
        from signup import burst, emails, first_steps, overview, sessions, telemetry, visits
        from signup.api import creation
        from signup.legal import agreements

        moved.connect(emails.plan)
        moved.connect(creation.forget_password)
        erased.connect(creation.forget)
        erased.connect(emails.forget_area)
        describing.connect(agreements.describe)
        chores.connect(emails.send_on_a_thread)
        chores.connect(sessions.delete_expired)
        chores.connect(visits.delete_old)
        chores.connect(burst.watch)
        to_do.connect(overview.hidden_visitors)
        to_do.connect(overview.unsent_emails)
        to_do.connect(overview.late_emails)
        to_do.connect(overview.unserved_brands)
        to_do.connect(overview.keys_of_former_staff)
        to_do.connect(overview.failed_checks)
        examined.connect(overview.last_check)
        setting_up.connect(first_steps.steps)
        telemetry.start()
        register(check_configuration)
        register(check_files, deploy=True)
        register(check_encryption, deploy=True)
        register(check_static_files, deploy=True)
        register(check_proxy, deploy=True)
