"""Forms of a host's care."""

from django import forms
from django.utils.translation import gettext_lazy as _

from guests.autostart.services import LONGEST_DELAY_S
from hosts.maintenance import LONGEST_REASON

from .services import LEAVE, MOST_AT_ONCE, SHUT_DOWN, USUAL_AT_ONCE

_GUESTS = ((LEAVE, _("Leave them running")), (SHUT_DOWN, _("Shut them down")))


class MaintenanceForm(forms.Form):
    """Why a host goes into maintenance, and what becomes of its guests."""

    reason = forms.CharField(label=_("Reason"), max_length=LONGEST_REASON, required=False)
    guests = forms.ChoiceField(label=_("Guests that run on it"), choices=_GUESTS, initial=LEAVE)
    at_once = forms.IntegerField(
        label=_("At a time"), min_value=1, max_value=MOST_AT_ONCE, initial=USUAL_AT_ONCE, required=False
    )


class PowerForm(forms.Form):
    """What becomes of the guests of a host that is restarted or powered off."""

    guests = forms.ChoiceField(
        label=_("Guests that run on it"),
        choices=((SHUT_DOWN, _("Shut them down first")), (LEAVE, _("Leave it to the host"))),
        initial=SHUT_DOWN,
    )


class TurnForm(forms.Form):
    """A guest to add to the start order, or its new delay."""

    guest = forms.IntegerField(label=_("Guest"), min_value=1)
    delay_s = forms.IntegerField(label=_("Delay"), min_value=0, max_value=LONGEST_DELAY_S, initial=0)
