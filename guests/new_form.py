"""The form of a new guest."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from hosts.models import Host
from storage.models import Iso, Pool, Volume
from storage.rules import DISKLESS_POOLS, FORMATS, unused
from storage.secrets.fields import check_same, hidden_field
from virt.errors import Invalid

from .forms import MemoryField, ProblemForm
from .plan import NewGuest
from .plan_disks import LUKS, pools_for
from .plan_tree import published
from .sizes import parse_bytes

GIB = 2**30
SOURCES = [
    ("iso", gettext_lazy("An install disc (ISO)")),
    ("volume", gettext_lazy("A disk that has a system already")),
    ("tree", gettext_lazy("An install tree on the network")),
    ("network", gettext_lazy("The network (PXE)")),
    ("none", gettext_lazy("Nothing yet")),
]


class SizeField(forms.CharField):
    """A size as people type it; cleans to bytes. Empty is 0, a bare number counts in GiB."""

    def clean(self, value: Any) -> int:
        text = super().clean(value)
        if not text:
            return 0
        try:
            return parse_bytes(text)
        except Invalid as error:
            raise forms.ValidationError(str(error)) from error


class NewGuestForm(ProblemForm):
    renamed = {
        "memory_mib": "memory",
        "disk_gib": "disk",
        "format": "disk_format",
        "encryption": "encrypt",
        "bridge": "network",
    }

    source = forms.ChoiceField(label=gettext_lazy("Boots from"), choices=SOURCES, widget=forms.RadioSelect)
    iso = forms.ModelChoiceField(
        Iso.objects.none(),
        label=gettext_lazy("ISO"),
        required=False,
        widget=forms.Select(attrs={"aria-label": gettext_lazy("ISO")}),
    )
    volume = forms.ModelChoiceField(
        Volume.objects.none(),
        label=gettext_lazy("Disk"),
        required=False,
        widget=forms.Select(attrs={"aria-label": gettext_lazy("Disk")}),
    )
    tree = forms.ModelChoiceField(
        Iso.objects.none(),
        label=gettext_lazy("Published tree"),
        required=False,
        empty_label=gettext_lazy("An address"),
        widget=forms.Select(attrs={"aria-label": gettext_lazy("Published tree")}),
    )
    tree_url = forms.CharField(
        label=gettext_lazy("Its address"),
        max_length=2000,
        required=False,
        help_text=gettext_lazy(
            "Of a distribution's tree, such as https://deb.debian.org/debian/dists/stable/main/installer-amd64"
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    tree_base = forms.CharField(
        label=gettext_lazy("kvmweb's address for the guest"),
        max_length=300,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    tree_arguments = forms.CharField(
        label=gettext_lazy("More arguments for its kernel"),
        max_length=2000,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    os = forms.CharField(label=gettext_lazy("System"), max_length=200, required=False)
    name = forms.CharField(label=gettext_lazy("Name"), max_length=255)
    host = forms.ModelChoiceField(Host.objects.none(), label=gettext_lazy("Host"))
    vcpus = forms.IntegerField(label=gettext_lazy("vCPUs"), widget=forms.NumberInput(attrs={"min": 1, "step": 1}))
    memory = MemoryField(label=gettext_lazy("Memory"), max_length=20)
    pool = forms.ModelChoiceField(Pool.objects.none(), label=gettext_lazy("Pool"), required=False)
    disk = SizeField(label=gettext_lazy("Size"), max_length=20, required=False)
    disk_format = forms.ChoiceField(label=gettext_lazy("Format"), choices=[(name, name) for name in FORMATS])
    encrypt = forms.BooleanField(label=gettext_lazy("Encrypt it (LUKS)"), required=False)
    passphrase = hidden_field(
        gettext_lazy("Passphrase"),
        required=False,
        help_text=gettext_lazy(
            "At least 8 characters. The host keeps it; nobody can read it back, and without it the disk is lost."
        ),
    )
    passphrase_again = hidden_field(gettext_lazy("Passphrase, once more"), required=False)
    keep_passphrase = forms.BooleanField(
        required=False, label=gettext_lazy("The host keeps the passphrase when its libvirt is restarted")
    )
    network = forms.CharField(label=gettext_lazy("Network card"), max_length=40, required=False)
    firmware = forms.CharField(label=gettext_lazy("Firmware"), max_length=20, required=False)
    start = forms.BooleanField(label=gettext_lazy("Start it and open the console"), required=False)

    def __init__(self, *args: Any, user: User, host: Host | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        hosts = Host.objects.permitted(user, "create").present()
        self._offer("host", hosts)
        self.fields["host"].label_from_instance = _host_label  # type: ignore[attr-defined]
        isos = Iso.objects.permitted(user, "view").filter(volume__missing_since=None, volume__pool__is_active=True)
        self._offer("iso", isos.filter(volume__pool__host=host).select_related("volume").order_by("volume__name"))
        self._offer("tree", published(user).order_by("volume__name"))
        volumes = Volume.objects.permitted(user, "configure").filter(pool__host=host, missing_since=None)
        disks = volumes.filter(unused(), format__in=FORMATS, iso=None).exclude(pool__type__in=DISKLESS_POOLS)
        disks = disks.exclude(pool__type="iscsi-direct", capacity_bytes=0)  # the server's controller
        disks = disks.select_related("pool").order_by("name")
        self._offer("volume", disks)
        pools = pools_for(host, user) if host else []
        self._offer("pool", Pool.objects.filter(pk__in=[pool.pk for pool in pools]))
        self.fields["pool"].label_from_instance = _pool_label  # type: ignore[attr-defined]
        self.fields["pool"].required = bool(pools)
        self.hosts = list(hosts)

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        for source, text in (("iso", _("Choose the ISO.")), ("volume", _("Choose the disk."))):
            if values.get("source") == source and not values.get(source) and source not in self.errors:
                self.add_error(source, text)
        has_tree = values.get("tree") or values.get("tree_url") or {"tree", "tree_url"} & set(self.errors)
        if values.get("source") == "tree" and not has_tree:
            self.add_error("tree_url", _("Choose a published tree, or give the address of one."))
        return values

    def is_typed_twice(self) -> bool:
        """Whether the passphrase of a disk that is to be encrypted was; asked when the guest is to be made only."""
        if self.encrypts:
            check_same(self, self.cleaned_data)
        return self.is_valid()

    @property
    def encrypts(self) -> bool:
        """Whether there is a new disk, which is to be encrypted."""
        values = self.cleaned_data
        return bool(values["encrypt"] and values["disk"] and values["source"] != "volume")

    def secret(self) -> dict[str, Any]:
        """What the service wants to know beside `wanted`."""
        values = self.cleaned_data
        names = ("passphrase", "keep_passphrase") if self.encrypts else ()
        return {name: values[name] for name in names}

    def wanted(self) -> NewGuest:
        """What the form asks for, as REST would."""
        values = self.cleaned_data
        source = values["source"]
        kind, _colon, number = values["network"].partition(":")
        number_id = int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0
        return NewGuest(
            name=values["name"],
            host=values["host"].pk,
            os=values["os"],
            vcpus=values["vcpus"],
            memory_mib=values["memory"],
            iso=values["iso"].pk if source == "iso" else None,
            boots_from_network=source == "network",
            tree=values["tree"].pk if source == "tree" and values["tree"] else None,
            tree_url=values["tree_url"] if source == "tree" else "",
            tree_base=values["tree_base"] if source == "tree" and values["tree"] else "",
            tree_arguments=values["tree_arguments"] if source == "tree" else "",
            volume=values["volume"].pk if source == "volume" else None,
            pool=values["pool"].pk if values["pool"] and source != "volume" else None,
            disk_gib=None if source == "volume" else values["disk"] / GIB,
            format="" if source == "volume" else values["disk_format"],
            encryption=LUKS if self.encrypts else "",
            network=number_id if kind == "network" else None,
            bridge=number_id if kind == "bridge" else None,
            has_network=kind != "none",
            firmware=values["firmware"],
            start=values["start"],
        )

    def _offer(self, field: str, rows: Any) -> None:
        self.fields[field].queryset = rows  # type: ignore[attr-defined]


def _host_label(host: Host) -> str:
    return _("%(host)s, in maintenance") % {"host": host.name} if host.is_in_maintenance else host.name


def _pool_label(pool: Pool) -> str:
    words = {"pool": pool.name, "free": f"{pool.available_bytes / GIB:.1f}"}
    return _("%(pool)s, %(free)s GiB free") % words
