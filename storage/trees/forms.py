"""The form that publishes an image as an install tree."""

from django import forms
from django.utils.translation import gettext_lazy

from storage.forms import ServiceForm


class TreeForm(ServiceForm):
    networks = forms.CharField(
        max_length=2000,
        label=gettext_lazy("Networks that may read it"),
        help_text=gettext_lazy(
            "In CIDR notation, commas between them, such as 192.168.122.0/24. Nobody logs in there."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
