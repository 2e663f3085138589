"""Forms of pools: one for each type, from what the type has."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from hosts.models import Host
from virt.pool_xml import FIELDS, PoolSpec

from .forms import ServiceForm
from .models import Pool

TYPE_NAMES = {
    "dir": _("Directory"),
    "fs": _("File system on a device"),
    "netfs": _("File server (NFS, SMB, Gluster)"),
    "logical": _("LVM volume group"),
    "disk": _("Whole disk, partitions as volumes"),
    "iscsi": _("iSCSI target"),
    "iscsi-direct": _("iSCSI target, reached by libvirt itself"),
    "scsi": _("SCSI or Fibre Channel adapter"),
    "mpath": _("Multipath devices"),
    "rbd": _("Ceph RBD"),
    "gluster": _("Gluster volume"),
    "zfs": _("ZFS pool"),
    "vstorage": _("Virtuozzo Storage"),
}
_LABELS = {
    "path": (_("Path on the host"), _("The directory where its volumes are, or where it is mounted.")),
    "host": (_("Server"), _("Name or address, with a port behind a colon where it is not the usual one.")),
    "directory": (_("Export or share"), _("Its path on the server, e.g. /srv/images.")),
    "device": (_("Device"), _("A block device of the host, e.g. /dev/sdb. Several with commas.")),
    "format": (_("Format"), ""),
    "source_name": (_("Name there"), _("Of the volume group, the Ceph pool, the Gluster volume, the ZFS pool.")),
    "target": (_("Target"), _("Its IQN, e.g. iqn.2013-06.com.example:disks.")),
    "initiator": (_("Initiator"), _("The IQN as which this host shows itself.")),
    "adapter": (_("Adapter"), _("e.g. host3")),
    "auth_user": (_("User name"), _("Where the server asks for a login.")),
    "auth_secret": (
        _("Secret"),
        _("A libvirt secret of the host that holds the password or key. Add one in the tab Secrets of the host."),
    ),
    "owner": (_("Owner"), _("Number of a user. Empty: root.")),
    "group": (_("Group"), _("Number of a group. Empty: root's.")),
    "mode": (
        _("Permissions"),
        _("Octal. 711: QEMU may enter, nobody may list. Empty: libvirt's own."),
    ),
}
# Whose source libvirt can make; the others are there or are not.
BUILDABLE = ("dir", "fs", "netfs", "logical", "disk", "zfs", "vstorage")
DESTROYING = ("fs", "disk", "logical")


class PoolForm(ServiceForm):
    """Fields of the type; `kind` is a dict of virt.pool_types.PoolKind, `secrets` what the host has for a login."""

    name = forms.CharField(max_length=64, label=_("Name"), help_text=_("Letters, digits, dots, dashes, underscores."))

    def __init__(
        self,
        data: QueryDict | None,
        *,
        kind: dict[str, Any],
        initial: dict[str, str],
        secrets: Sequence[tuple[str, Any]] = (),
    ) -> None:
        super().__init__(data, initial=initial)
        self.type: str = kind["type"]
        required, optional = FIELDS[self.type]
        for name in (*required, *optional):
            label, hint = _LABELS[name]
            options: dict[str, Any] = {"required": name in required, "label": label, "help_text": hint}
            if name == "format" and kind["formats"]:
                choices = [("", _("as libvirt chooses")), *((each, each) for each in kind["formats"])]
                self.fields[name] = forms.ChoiceField(choices=choices, **options)
            elif name == "auth_secret" and secrets:
                self.fields[name] = forms.ChoiceField(choices=[("", _("none")), *secrets], **options)
            else:
                self.fields[name] = forms.CharField(max_length=4096, **options)
        if self.type in BUILDABLE:
            self.fields["build"] = self._build_field()
        self.fields["autostart"] = forms.BooleanField(required=False, initial=True, label=_("Start with the host"))

    def spec(self) -> PoolSpec:
        """What was filled in."""
        data = self.cleaned_data
        names = (name for group in FIELDS[self.type] for name in group)
        return PoolSpec(name=data["name"].strip(), type=self.type, **{name: data[name].strip() for name in names})

    def options(self) -> dict[str, Any]:
        """For the service, beside the spec."""
        data = self.cleaned_data
        return {"build": data.get("build", "none"), "autostart": data["autostart"]}

    def _build_field(self) -> forms.ChoiceField:
        choices = [("none", _("It is there already")), ("build", _("Make it where nothing is yet"))]
        if self.type in DESTROYING:
            choices.append(("overwrite", _("Make it, and destroy what is on the device")))
        is_harmless = self.type in ("dir", "netfs", "vstorage")
        help_text = _("Making a directory that exists changes its permissions only.") if is_harmless else ""
        initial = "build" if is_harmless else "none"
        return forms.ChoiceField(choices=choices, initial=initial, label=_("What it lies on"), help_text=help_text)


class LookForm(ServiceForm):
    """Where to look for what a pool could be made of."""

    server = forms.CharField(required=False, max_length=255, label=_("Server to look on"))


class XmlForm(ServiceForm):
    xml = forms.CharField(
        label=_("Definition"),
        max_length=100_000,
        widget=forms.Textarea(attrs={"rows": 24, "spellcheck": "false", "class": "form-control mono"}),
    )

    def __init__(self, data: QueryDict | None, *, pool: Pool) -> None:
        super().__init__(data, initial={"xml": pool.xml})


class WarningForm(ServiceForm):
    warn_percent = forms.IntegerField(
        min_value=0,
        max_value=100,
        label=_("Warn when it is fuller than"),
        help_text=_("In percent; 0: never. It is then on the overview."),
    )

    def __init__(self, data: QueryDict | None, *, pool: Pool) -> None:
        super().__init__(data, initial={"warn_percent": pool.warn_percent})


def type_choices(kinds: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """Types with their names, as a select shows them."""
    return [(kind["type"], TYPE_NAMES[kind["type"]]) for kind in kinds]


def hosts_to_administer(user: Any) -> list[Host]:
    """Where the user may make pools."""
    return list(Host.objects.permitted(user, "administer").exclude(state=Host.State.DISABLED).order_by("name"))


def secret_choices(host: Host, pool_type: str) -> list[tuple[str, Any]]:
    """The secrets of the host that a pool of that type may log in with."""
    usage = "ceph" if pool_type == "rbd" else "iscsi"
    return [(str(secret.uuid), str(secret)) for secret in host.secrets.filter(usage=usage).order_by("usage_id")[:500]]
