from django import forms
from django.utils.translation import gettext_lazy as _

from .services import LONGEST_NAME


class RenameForm(forms.Form):
    """The name of a host in kvmweb."""

    name = forms.CharField(label=_("Name"), max_length=LONGEST_NAME)
