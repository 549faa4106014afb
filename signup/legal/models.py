"""Legal texts in their versions, and each customer's agreements to them."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Now
from django.db.models.signals import post_delete, post_save
from django.urls import reverse

from provisioning.models import Account
from signup.brand.models import forget_pages


class LegalTextQuerySet(models.QuerySet["LegalText"]):
    def in_force(self) -> Self:
        """Return what new sign-ups accept: the newest published text of each brand, kind, and language."""
        same = LegalText.objects.filter(brand=OuterRef("brand"), kind=OuterRef("kind"), language=OuterRef("language"))
        newest = same.filter(published_at__isnull=False).order_by("-published_at", "-pk").values("pk")[:1]
        return self.filter(pk=Subquery(newest))


class LegalText(models.Model):
    """One version of a brand's legal text. It never changes once it is published."""

    class Kind(models.TextChoices):
        TERMS = "terms", "Terms"
        PRIVACY = "privacy", "Privacy policy"
        MARKETING = "marketing", "Your marketing"
        """The partner's own news and offers. Constant Contact's marketing is `gdpr_opt_out`."""

    REQUIRED = frozenset({Kind.TERMS, Kind.PRIVACY})
    """Nobody can sign up without accepting these."""

    brand = models.ForeignKey("signup.Brand", on_delete=models.PROTECT, related_name="legal_texts")
    kind = models.CharField(max_length=9, choices=Kind.choices)
    language = models.CharField(
        max_length=16, blank=True, help_text="If empty, for all languages that have no text of their own."
    )
    version = models.CharField(max_length=40, help_text="Your own name for this version, like 2026-11 or 3.1.")
    url = models.URLField(
        "web address", blank=True, help_text="Where you publish the text. Leave it empty if you enter the text below."
    )
    text = models.TextField(
        blank=True, help_text="Enter it here if you don't publish it yourself. It then gets a page of its own."
    )
    sha256 = models.CharField("SHA-256", max_length=64, blank=True, editable=False)
    """Of the text, or of the address. With it, a copy can be compared with what was agreed to."""
    published_at = models.DateTimeField("published", null=True, editable=False)
    """Since when new sign-ups accept it; null for a draft. The newest one of its kind and language is in force."""

    objects = LegalTextQuerySet.as_manager()

    class Meta:
        ordering = ("brand", "kind", "language", "-published_at")
        constraints = [
            models.UniqueConstraint(fields=["brand", "kind", "language", "version"], name="legal_text_version"),
            models.CheckConstraint(
                name="legal_text_is_url_or_text", condition=(Q(url="") & ~Q(text="")) | (~Q(url="") & Q(text=""))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.version}" + (f" ({self.language})" if self.language else "")

    def clean(self) -> None:
        self.version = " ".join(self.version.split())
        if bool(self.url) == bool(self.text):
            problem = ValidationError("Enter either a web address or a text, but not both.", code="either")
            raise ValidationError({"url": problem})

    def publish(self, at: Any) -> None:
        """Set what makes this version the one in force, without saving it."""
        self.sha256, self.published_at = sha256((self.text or self.url).encode()).hexdigest(), at

    @property
    def address(self) -> str:
        """Where customers read it."""
        return self.url or reverse("legal_text", args=[self.pk])


class Agreement(models.Model):
    """One text that a customer accepted. Never edited. Erasing the account keeps it, without the person.

    Only one about marketing is ever deleted: if the customer sends the form again without it.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="agreements")
    text = models.ForeignKey(LegalText, on_delete=models.PROTECT, related_name="agreements")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        ordering = ("at", "pk")
        constraints = [models.UniqueConstraint(fields=["account", "text"], name="one_agreement_per_text")]

    def __str__(self) -> str:
        return f"{self.text} by {self.account}"


for changed in (post_save, post_delete):
    changed.connect(forget_pages, sender=LegalText)
