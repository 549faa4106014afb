"""Brands: what pages and emails say about the partner, at each host or at all others."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.cache import caches
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http.request import split_domain_port, validate_host
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import get_language

from provisioning.database import UNAVAILABLE
from provisioning.rules import BILLING_LOCALES
from signup.brand.colors import palette
from signup.brand.logo import Logo

if TYPE_CHECKING:
    from signup.legal.models import LegalText

LOGOS = ("logo", "dark_logo")
FALLBACK = "If empty, the general text is used."


def in_each_language(name: str) -> list[str]:
    """Return the names of a text's columns: the general one, and one for each language but English."""
    return [name, *(f"{name}_{code}" for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE)]


def validate_host_name(host: str) -> None:
    """Raise ValidationError unless this is a host name, without a port, that this installation answers to."""
    domain, port = split_domain_port(host)
    if not domain or port:
        raise ValidationError("Enter only a host name, like signup.example.com.", code="host")
    if not validate_host(domain, settings.ALLOWED_HOSTS):
        raise ValidationError("This host name is not in ALLOWED_HOSTS yet. Add it there first.", code="not_allowed")


is_served = validate_host_name  # Its name in migrations.


class Brand(models.Model):
    """A brand: what the pages say about the partner. Empty values are left out."""

    host = models.CharField(
        "host name",
        max_length=253,
        unique=True,
        blank=True,
        validators=[validate_host_name],
        help_text="The host name at which customers see this brand, like signup.example.com. "
        "If empty, it applies to all other hosts.",
    )
    name = models.CharField("name", max_length=80, help_text="Customers see it at the top of every page.")
    color = models.CharField(
        "color",
        max_length=7,
        blank=True,
        validators=[RegexValidator(r"^#[0-9a-fA-F]{6}\Z", "Enter a color like #2454d6.")],
        help_text="The color of buttons and links, like #2454d6. "
        "If it would be hard to read, a readable shade is used.",
    )
    headline = models.CharField(
        "headline",
        max_length=120,
        blank=True,
        help_text="It is the first line of the page. If empty, a general headline is shown.",
    )
    headline_fr = models.CharField("headline in French", max_length=120, blank=True, help_text=FALLBACK)
    headline_es = models.CharField("headline in Spanish", max_length=120, blank=True, help_text=FALLBACK)
    selling_points = models.TextField(
        "selling points",
        max_length=600,
        blank=True,
        help_text="Write one per line. If empty, two general ones are shown.",
    )
    selling_points_fr = models.TextField("selling points in French", max_length=600, blank=True, help_text=FALLBACK)
    selling_points_es = models.TextField("selling points in Spanish", max_length=600, blank=True, help_text=FALLBACK)
    trial_days = models.PositiveSmallIntegerField(
        "days of the trial", default=60, help_text="With 0, the page doesn't say how long the trial lasts."
    )
    login_url = models.URLField(
        "login address",
        blank=True,
        help_text="Customers log in here once their account is ready. If empty, they log in at Constant Contact.",
    )
    billing_locale = models.CharField(
        "billing currency",
        max_length=5,
        blank=True,
        choices=BILLING_LOCALES,
        help_text="It applies to customers who sign up from now on.",
    )
    support_email = models.EmailField("support email address", blank=True, help_text="Customers write here for help.")
    sender_email = models.EmailField(
        "sender of emails",
        blank=True,
        help_text="Your mail server must be allowed to send for this address. If empty, DEFAULT_FROM_EMAIL is used.",
    )
    support_url = models.URLField("help page", blank=True)
    terms_url = models.URLField("terms", blank=True)
    privacy_url = models.URLField("privacy policy", blank=True)

    logo = models.BinaryField(default=b"")
    """Stored in the database, so that every replica of the web server has it."""
    logo_type = models.CharField(max_length=40, blank=True, editable=False)
    logo_digest = models.CharField(max_length=32, blank=True, editable=False, db_index=True)
    logo_width = models.PositiveSmallIntegerField(default=0, editable=False)
    logo_height = models.PositiveSmallIntegerField(default=0, editable=False)
    dark_logo = models.BinaryField(default=b"")
    """For dark mode. If empty, the other one is shown on white."""
    dark_logo_type = models.CharField(max_length=40, blank=True, editable=False)
    dark_logo_digest = models.CharField(max_length=32, blank=True, editable=False, db_index=True)
    dark_logo_width = models.PositiveSmallIntegerField(default=0, editable=False)
    dark_logo_height = models.PositiveSmallIntegerField(default=0, editable=False)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def from_settings(cls) -> Brand:
        """Return the brand that applies until one is saved in the admin. It is not saved itself."""
        return cls(
            name=settings.BRAND_NAME,
            color=settings.BRAND_COLOR,
            headline=settings.BRAND_HEADLINE,
            trial_days=settings.BRAND_TRIAL_DAYS,
            support_email=settings.BRAND_SUPPORT_EMAIL,
            support_url=settings.BRAND_SUPPORT_URL,
            terms_url=settings.BRAND_TERMS_URL,
            privacy_url=settings.BRAND_PRIVACY_URL,
        )

    def clean(self) -> None:
        """Normalize the name, the host, and the color."""
        self.name = " ".join(self.name.split())
        self.host = split_domain_port(self.host)[0]
        self.color = self.color.lower()

    def set_logo(self, logo: Logo, name: str = "logo") -> None:
        """Set the logo, or the `dark_logo`."""
        setattr(self, name, logo.content)
        for part in ("type", "digest", "width", "height"):
            setattr(self, f"{name}_{part}", getattr(logo, part))

    @cached_property
    def logo_url(self) -> str:
        return reverse("logo", args=[self.logo_digest]) if self.logo_digest else ""

    @cached_property
    def dark_logo_url(self) -> str:
        return reverse("logo", args=[self.dark_logo_digest]) if self.dark_logo_digest else ""

    def digest(self) -> str:
        """Return a cache key for everything that pages say about the partner. It changes when any of it changes."""
        values = [getattr(self, field.attname) for field in self._meta.concrete_fields if field.attname not in LOGOS]
        values += [text.pk for text in self.texts_in_force]
        return hashlib.sha256(repr(values).encode()).hexdigest()

    @cached_property
    def texts_in_force(self) -> list[LegalText]:
        """The legal texts that new sign-ups accept: the newest one of each kind and language, without its content."""
        if self._state.adding:
            return []
        return list(self.legal_texts.in_force().defer("text").order_by("published_at", "pk"))

    @property
    def has_lettering(self) -> bool:
        """Whether the logo is so wide that it probably spells out the name."""
        return self.logo_width >= 2 * self.logo_height > 0

    @property
    def shades(self) -> dict[str, str]:
        """The stylesheet's variables."""
        return palette(self.color) if self.color else {}

    @property
    def heading(self) -> str:
        return self._in_language("headline")

    @property
    def points(self) -> list[str]:
        return [line.strip() for line in self._in_language("selling_points").splitlines() if line.strip()]

    def _in_language(self, name: str) -> str:
        """Return a text in the active language, or else the one for all languages."""
        text: str = getattr(self, f"{name}_{get_language()}", "") or getattr(self, name)
        return text

    @property
    def login_address(self) -> str:
        return self.login_url or settings.CONSTANT_CONTACT_LOGIN_URL


def unserved_hosts() -> list[str]:
    """Return the hosts of brands that ALLOWED_HOSTS lacks, for example since a deployment: visitors can't open them."""
    hosts = Brand.objects.exclude(host="").order_by("host").values_list("host", flat=True)
    return [host for host in hosts if not validate_host(host, settings.ALLOWED_HOSTS)]


def brand_at(host: str) -> Brand:
    """Return the brand for pages at `host` (its port doesn't matter): its own, the default one, or the settings'.

    It is cached for a second, so every process sees a change within that time.
    """
    name, _port = split_domain_port(host)
    brand: Brand = caches["pages"].get_or_set(f"brand-{name}", lambda: _read_brand(name), timeout=1)  # type: ignore[assignment]
    return brand


def _read_brand(name: str) -> Brand:
    """Read the brand; without a database, return the one that was read last."""
    last = f"last-brand-{name}"
    try:
        own_or_default = Brand.objects.defer(*LOGOS).filter(host__in={name, ""}).order_by("-host").first()
        brand = own_or_default or Brand.from_settings()
        _ = brand.texts_in_force  # Cached with the brand.
    except UNAVAILABLE:
        return caches["pages"].get(last) or Brand.from_settings()
    caches["pages"].set(last, brand)
    return brand


@receiver([post_save, post_delete], sender=Brand)
def forget_pages(**kwargs: Any) -> None:
    """Render pages again in this process, because a brand or one of its legal texts has changed."""
    caches["pages"].clear()
