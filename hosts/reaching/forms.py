"""The form of a connection: only the fields that its transport has a use for."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from virt.errors import Invalid

from .address import PORTS, Address, Scope, Transport
from .services import Wanted

FIELDS: dict[str, tuple[str, ...]] = {
    Transport.SSH: ("hostname", "port", "user", "scope", "socket"),
    Transport.TLS: ("hostname", "port", "tls_ca", "tls_certificate", "tls_key", "username", "password"),
    Transport.TCP: ("hostname", "port", "username", "password"),
    Transport.LOCAL: ("scope", "socket"),
    Transport.TEST: ("definition",),
}
SECRETS = ("password", "tls_ca", "tls_certificate", "tls_key")
ADDRESS = ("hostname", "port", "user", "scope", "socket", "definition")
PEM = forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocomplete": "off"})


class ConnectionForm(forms.Form):
    """`transport` says which fields there are. With `is_new` a host is added, which has a name and tags too."""

    hostname = forms.CharField(label=_("Name or address"), max_length=253)
    port = forms.IntegerField(label=_("Port"), min_value=1, max_value=65535, required=False)
    user = forms.CharField(
        label=_("User"),
        max_length=64,
        initial="root",
        help_text=_("Whom kvmweb logs in as: root, or one in group libvirt."),
    )
    scope = forms.ChoiceField(label=_("libvirt of"), choices=Scope.choices, initial=Scope.SYSTEM)
    socket = forms.CharField(
        label=_("libvirt's socket"), max_length=100, required=False, help_text=_("Empty: where libvirt usually has it.")
    )
    definition = forms.CharField(
        label=_("File with its objects"),
        max_length=100,
        required=False,
        help_text=_("Empty: the driver's own example."),
    )
    tls_ca = forms.CharField(label=_("CA certificate"), widget=PEM, required=False)
    tls_certificate = forms.CharField(label=_("Client certificate"), widget=PEM, required=False)
    tls_key = forms.CharField(label=_("Key of the client certificate"), widget=PEM, required=False)
    username = forms.CharField(label=_("User name in libvirt"), max_length=255, required=False)
    password = forms.CharField(
        label=_("Password"),
        max_length=1000,
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    name = forms.CharField(
        label=_("Name in kvmweb"), max_length=255, required=False, help_text=_("Empty: the machine's own name.")
    )
    tags = forms.CharField(
        label=_("Tags"),
        max_length=1000,
        required=False,
        help_text=_("A site, a rack, a purpose; with commas between them."),
    )

    def __init__(self, *args: Any, transport: str, is_new: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.transport, self.is_new = Transport(transport), is_new
        wanted = (*FIELDS[self.transport], *(("name", "tags") if is_new else ()))
        for name in set(self.fields) - set(wanted):
            del self.fields[name]
        self.order_fields(wanted)
        if self.transport in PORTS:
            self.fields["port"].help_text = _("Empty: %(port)d") % {"port": PORTS[self.transport]}

    def wanted(self) -> Wanted:
        """What was asked for. A secret that was left empty stays as it is. Raises Invalid."""
        data = self.cleaned_data
        fields = {name: data[name] for name in ADDRESS if name in data}
        fields["port"] = fields.get("port") or 0
        if "scope" in fields:
            fields["scope"] = Scope(fields["scope"])
        given: dict[str, Any] = {name: data.get(name) or None for name in SECRETS}
        return Wanted(
            address=Address.checked(transport=self.transport, **fields),
            name=data.get("name", ""),
            tags=tuple(data.get("tags", "").split(",")),
            username=data.get("username"),
            **given,
        )

    def refuse(self, error: Invalid) -> None:
        """Show the error at its field."""
        self.add_error(error.field if error.field in self.fields else None, str(error))


class TagsForm(forms.Form):
    tags = forms.CharField(
        label=_("Tags"),
        max_length=1000,
        required=False,
        help_text=_("A site, a rack, a purpose; with commas between them."),
    )
