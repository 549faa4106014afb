"""The fields of the form with which customers accept legal texts: checkboxes that are never checked beforehand."""

from __future__ import annotations

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from signup.brand.models import Brand
from signup.legal.agreements import CHANGED, MISSING, in_language, with_ids
from signup.legal.models import LegalText

Kind = LegalText.Kind


class AgreementField(forms.Field):
    """A checkbox for some texts. Its value is their IDs, so the form says which versions the customer saw."""

    def __init__(self, brand: Brand, texts: list[LegalText], label: object, statement: SafeString) -> None:
        self.brand, self.statement = brand, statement
        self.ids = ",".join(str(text.pk) for text in texts)
        self.kinds = {text.kind for text in texts}
        super().__init__(required=bool(self.kinds & LegalText.REQUIRED), label=str(label), widget=forms.TextInput())

    def clean(self, value: object) -> list[LegalText]:
        """Return the accepted texts, all that the field is for; none if it is optional and not checked.

        Raises ValidationError: MISSING if it is required and not checked, and CHANGED if one of its texts has changed.
        """
        if not value:
            if self.required:
                raise MISSING
            return []
        try:
            accepted = with_ids(self.brand, {int(each) for each in str(value).split(",")}, self.kinds)
        except ValueError:  # Made up.
            raise CHANGED from None
        if {text.kind for text in accepted} != self.kinds:
            raise CHANGED
        return accepted


def agreement_fields(brand: Brand) -> dict[str, AgreementField]:
    """Return the fields for a brand's texts in the active language, by name; empty if it has none."""
    if not brand.texts_in_force:
        return {}
    texts = in_language(brand)
    required = [text for text in texts if text.kind in LegalText.REQUIRED]
    optional = [text for text in texts if text.kind == Kind.MARKETING]
    fields = {}
    if required:
        fields["agree"] = AgreementField(brand, required, gettext_lazy("Agreement"), _acceptance(required))
    if optional:
        statement = format_html(_("Send me news and offers from {}. {}"), brand.name, _link(optional[0], _("Details")))
        fields["marketing"] = AgreementField(brand, optional, gettext_lazy("News and offers"), statement)
    return fields


def _acceptance(texts: list[LegalText]) -> SafeString:
    links = {
        text.kind: _link(text, _("terms of use") if text.kind == Kind.TERMS else _("privacy policy")) for text in texts
    }
    if len(links) == 2:
        return format_html(_("I accept the {} and the {}."), links[Kind.TERMS], links[Kind.PRIVACY])
    if Kind.TERMS in links:
        return format_html(_("I accept the {terms}."), terms=links[Kind.TERMS])
    return format_html(_("I accept the {privacy}."), privacy=links[Kind.PRIVACY])


def _link(text: LegalText, words: str) -> SafeString:
    new_tab = format_html('<span class="visually-hidden"> {}</span>', _("(opens in a new tab)"))
    return format_html('<a href="{}" target="_blank" rel="noopener">{}{}</a>', text.address, words, new_tab)
