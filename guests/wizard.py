"""The form of a new guest, and the defaults that follow what is chosen in it."""

import json
from typing import Any, NamedTuple

from django import forms
from django.db.models import Count, Q
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from hosts.models import Host
from networking.models import Bridge, Network
from storage.models import Iso, Pool, Volume
from storage.rules import DISKLESS_POOLS, FORMATS, unused
from storage.secrets.fields import check_same, hidden_field
from virt.errors import Invalid, UserError
from virt.new_guest import default_firmware

from . import sheets
from .forms import MemoryField, ProblemForm
from .plan import NewGuest, default_memory_mib, default_network, host_for
from .plan_disks import LUKS, pools_for
from .plan_tree import published
from .sizes import parse_bytes, show_mib
from .systems import find_os, suggested_name

MOST_VOLUMES = 300
GIB = 2**30
SOURCES = [
    ("iso", gettext_lazy("An install disc (ISO)")),
    ("volume", gettext_lazy("A disk that has a system already")),
    ("tree", gettext_lazy("An install tree on the network")),
    ("network", gettext_lazy("The network (PXE)")),
    ("none", gettext_lazy("Nothing yet")),
]
# Fields whose defaults follow the system, the disc and the host. A value that somebody typed is left alone.
FOLLOWING = ("os", "name", "vcpus", "memory", "disk", "firmware", "network", "pool", "disk_format")


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


class NetworkChoice(NamedTuple):
    """One of the networks that a guest can be on. `value` is "network:3", "bridge:5" or "none"."""

    value: str
    title: str
    text: str
    guests: int | None
    is_active: bool


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


def chosen_host(user: User, data: QueryDict | dict[str, str]) -> Host | None:
    """The host that the form is about, or None where there is nothing to choose from yet."""
    pk = data.get("host") or ""
    try:
        return host_for(int(pk) if str(pk).isascii() and str(pk).isdigit() and len(str(pk)) < 19 else None, user)
    except Invalid:
        hosts = Host.objects.permitted(user, "create").present()
        return hosts.filter(maintenance_since=None).first() or hosts.first()


def suggestions(user: User, host: Host | None, data: QueryDict | dict[str, str]) -> dict[str, str]:
    """The defaults, as text for the fields of FOLLOWING, that suit what is chosen in `data`."""
    if host is None:
        return {}
    source = data.get("source") or "iso"
    iso = _iso(user, host, data) if source == "iso" else None
    seen = _row(published(user), data.get("tree") or "") if source == "tree" else iso
    suggested = {"os": seen.os_id if seen else ""}
    try:
        os = find_os(data.get("os") or "")
    except Invalid:
        os = find_os("")
    try:
        sheet = sheets.sheet_for(host, os)
        firmware = default_firmware(os, sheet)
        if iso and iso.boots_bios is False and "uefi" in sheet.firmwares and not os.needs_secure_boot:
            firmware = "uefi"
    except UserError:
        firmware = "bios"
    network, pools = default_network(host), pools_for(host, user)
    return suggested | {
        "name": suggested_name(os, host),
        "vcpus": str(min(os.vcpus, max(1, host.cpus))),
        "memory": show_mib(default_memory_mib(os, host)),
        "disk": f"{os.disk_gib} GiB",
        "firmware": firmware,
        "network": f"network:{network.pk}" if network else "none",
        "pool": str(pools[0].pk) if pools else "",
        "disk_format": "qcow2",
    }


def follow(user: User, data: QueryDict) -> tuple[dict[str, str], dict[str, str], set[str]]:
    """The values of the form after its choices changed, the new defaults, and the fields that took one.

    A field follows while it still holds the default that it was given; that stands in the hidden field "suggested".
    """
    values = {name: str(data.get(name, "")) for name in data}
    before = _json(values.get("suggested", ""))
    host = chosen_host(user, values)
    changed: set[str] = set()
    for fields in (("os",), FOLLOWING):  # the system first: the other defaults are those of the system
        new = suggestions(user, host, values)
        for name in fields:
            follows = values.get(name, "") == before.get(name, "")
            if name in new and follows and values.get(name, "") != new[name]:
                values[name] = new[name]
                changed.add(name)
    return values, suggestions(user, host, values), changed


def networks_of(user: User, host: Host | None) -> list[NetworkChoice]:
    """The networks and bridges of a host, in words."""
    used = Count("nics", filter=Q(nics__guest__missing_since=None))
    networks = Network.objects.permitted(user, "view").filter(host=host, missing_since=None).annotate(used=used)
    bridges = Bridge.objects.permitted(user, "view").filter(host=host, missing_since=None).annotate(used=used)
    return [
        *(
            NetworkChoice(
                f"network:{row.pk}",
                _("Network %(name)s") % {"name": row.name},
                _network_text(row),
                row.used,
                row.is_active,
            )
            for row in networks
        ),
        *(
            NetworkChoice(
                f"bridge:{row.pk}",
                _("Bridge %(name)s") % {"name": row.name},
                _("The guest sits on the network of the host itself, and others reach it directly."),
                row.used,
                row.is_active,
            )
            for row in bridges
        ),
        NetworkChoice("none", _("No network card"), _("One can be added later."), None, True),
    ]


def _network_text(network: Network) -> str:
    if not network.is_active:
        return _("It is stopped: a guest on it does not start.")
    texts = {
        "nat": _("The guest gets out through the host; nobody gets in without a port forward."),
        "route": _("The guest is reached by routes to the host."),
        "open": _("The guest is reached by routes to the host, and no firewall rules are made."),
        "bridge": _("The guest sits on a network of the host, and others reach it directly."),
        "isolated": _("Guests of this network and the host only."),
    }
    return texts.get(network.forward, "")


def initial_of(wanted: dict[str, Any]) -> dict[str, str]:
    """The fields' text for a NewGuest that was asked for before (its `as_json`)."""
    source = "iso" if wanted.get("iso") else "volume" if wanted.get("volume") else "none"
    if wanted.get("boots_from_network"):
        source = "network"
    if wanted.get("tree") or wanted.get("tree_url"):
        source = "tree"
    network = "none"
    if wanted.get("has_network", True):
        kind = "bridge" if wanted.get("bridge") else "network"
        network = f"{kind}:{wanted[kind]}" if wanted.get(kind) else ""
    texts = {
        "source": source,
        "network": network,
        "memory": show_mib(wanted["memory_mib"]) if wanted.get("memory_mib") else "",
        "disk": show_mib(round(wanted["disk_gib"] * 1024)) if wanted.get("disk_gib") else "",
        "disk_format": wanted.get("format") or "",
        "encrypt": "on" if wanted.get("encryption") else "",
        "start": "on" if wanted.get("start") else "",
    }
    same = ["name", "os", "vcpus", "firmware", "host", "iso", "volume", "pool"]
    same += ["tree", "tree_url", "tree_base", "tree_arguments"]
    texts |= {name: str(wanted.get(name) or "") for name in same}
    return {name: text for name, text in texts.items() if text}


def _iso(user: User, host: Host, data: QueryDict | dict[str, str]) -> Iso | None:
    return _row(Iso.objects.permitted(user, "view").filter(volume__pool__host=host), data.get("iso") or "")


def _row(isos: Any, pk: str) -> Iso | None:
    """The image of that number, which a browser sent."""
    is_number = pk.isascii() and pk.isdigit() and len(pk) < 19
    found: Iso | None = isos.filter(pk=int(pk)).first() if is_number else None
    return found


def _json(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
