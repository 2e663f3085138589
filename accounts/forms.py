"""Forms of users and tokens. What a value must be is checked by the services, once for pages and scripts."""

from django import forms
from django.utils.translation import gettext_lazy as _

from .models import ApiToken, Grant


class UserForm(forms.Form):
    username = forms.CharField(max_length=150, label=_("Name"))
    password = forms.CharField(widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}), label=_("Password"))
    role = forms.ChoiceField(choices=Grant.Role.choices, initial=Grant.Role.OPERATOR, label=_("Role"))


class TokenForm(forms.Form):
    name = forms.CharField(
        max_length=100, label=_("Name"), help_text=_("What it is for, e.g. “ci” or “backup script”.")
    )
    scope = forms.ChoiceField(choices=ApiToken.Scope.choices, initial=ApiToken.Scope.OPERATE, label=_("Permission"))
    days = forms.IntegerField(
        required=False, min_value=1, label=_("Days until it expires"), help_text=_("Empty: never.")
    )
