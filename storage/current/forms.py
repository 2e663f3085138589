"""The form that keeps an image current."""

from django import forms
from django.utils.translation import gettext_lazy

from storage.forms import ServiceForm


class KeepForm(ServiceForm):
    keep_former = forms.BooleanField(
        required=False,
        label=gettext_lazy("Keep the former images, too"),
        help_text=gettext_lazy(
            "Otherwise an image that a newer one has replaced is removed once nothing uses it: no guest, no volume that"
            " lies on it, no published tree, no copy of its own. Copies that are kept in step follow the newer one."
        ),
    )
