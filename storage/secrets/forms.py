"""Forms of secrets. A value that was typed is never sent back to the browser."""

from django import forms
from django.utils.translation import gettext_lazy

from storage.forms import ServiceForm

from .fields import hidden_field
from .models import HostSecret

USAGES = (HostSecret.Usage.CEPH, HostSecret.Usage.ISCSI, HostSecret.Usage.TLS, HostSecret.Usage.VOLUME)


class PassphraseForm(ServiceForm):
    passphrase = hidden_field(gettext_lazy("Passphrase"))
    keep = forms.BooleanField(
        required=False,
        initial=True,
        label=gettext_lazy("The host keeps it when its libvirt is restarted"),
        help_text=gettext_lazy(
            "Else it is in the memory of libvirt only, and has to be given again before the guest starts."
        ),
    )


class ValueForm(ServiceForm):
    value = hidden_field(gettext_lazy("Value"))


class SecretForm(ServiceForm):
    usage = forms.ChoiceField(
        label=gettext_lazy("What it is for"),
        choices=[(usage.value, usage.label) for usage in USAGES],
    )
    usage_id = forms.CharField(
        max_length=4096,
        label=gettext_lazy("Name"),
        help_text=gettext_lazy(
            "By which pools and disks ask for it, e.g. client.kvm or iscsi-chap. Of an encrypted disk its path."
        ),
    )
    description = forms.CharField(max_length=255, required=False, label=gettext_lazy("Description"))
    value = hidden_field(
        gettext_lazy("Value"),
        help_text=gettext_lazy(
            "The password, the passphrase, or the key as “ceph auth get-key” prints it. Nobody can read it back."
        ),
    )
    keep = forms.BooleanField(
        required=False,
        initial=True,
        label=gettext_lazy("The host keeps it when its libvirt is restarted"),
    )
