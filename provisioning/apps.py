from django.apps import AppConfig
from django.contrib.admin import apps as admin
from django.db.models.signals import post_migrate


class ProvisioningConfig(AppConfig):
    name = "provisioning"
    verbose_name = "Constant Contact accounts"

    def ready(self) -> None:
        from provisioning import search

        post_migrate.connect(search.prepare, sender=self)


class DeskConfig(admin.AdminConfig):
    default = False
    default_site = "provisioning.desk.Desk"
