"""Forms of volumes and images. What a value must be is checked by the services, once for pages and scripts."""

from decimal import ROUND_UP, Decimal
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from virt import osinfo
from virt.errors import UserError

from .models import Iso, Pool, Volume
from .rules import FILE_POOLS, FORMATS
from .secrets.encrypted import POOLS as ENCRYPTABLE_POOLS
from .secrets.fields import check_same, hidden_field

GIB = 1024**3
_FIELDS = {"capacity_bytes": "size_gib", "format": "image_format", "sha256_expected": "sha256"}


LUKS = "luks"
ENCRYPTED = [
    ("qcow2-luks", gettext_lazy("qcow2, encrypted (LUKS)")),
    (LUKS, gettext_lazy("raw, encrypted (LUKS)")),
]
PASSPHRASE_FIELDS = ("passphrase", "passphrase_again", "keep_passphrase")


class ServiceForm(forms.Form):
    """A form that can show what a service refused at the field that was wrong."""

    def refuse(self, error: UserError) -> None:
        name = _FIELDS.get(error.field or "", error.field or "")
        self.add_error(name if name in self.fields else None, str(error))


def size_field(**options: Any) -> forms.DecimalField:
    widget = forms.NumberInput(attrs={"step": "any", "inputmode": "decimal", "autocomplete": "off"})
    return forms.DecimalField(label=gettext_lazy("Size"), max_digits=16, decimal_places=6, widget=widget, **options)


class VolumeForm(ServiceForm):
    name = forms.CharField(
        max_length=255, label=gettext_lazy("Name"), help_text=gettext_lazy("A file name, e.g. web-01-data.qcow2.")
    )
    size_gib = size_field(initial=20)
    image_format = forms.ChoiceField(
        label=gettext_lazy("Format"),
        choices=[(name, name) for name in FORMATS],
        help_text=gettext_lazy(
            "qcow2 grows as it is written to and can hold snapshots; raw is the plain bytes of a disk."
        ),
    )
    passphrase = hidden_field(
        gettext_lazy("Passphrase"),
        help_text=gettext_lazy(
            "At least 8 characters. The host keeps it; nobody can read it back, and without it the disk is lost."
        ),
    )
    passphrase_again = hidden_field(gettext_lazy("Passphrase, once more"))
    keep_passphrase = forms.BooleanField(
        required=False,
        initial=True,
        label=gettext_lazy("The host keeps the passphrase when its libvirt is restarted"),
    )
    preallocation = forms.ChoiceField(
        label=gettext_lazy("Space"),
        choices=[
            ("none", gettext_lazy("taken as it is written to")),
            ("metadata", gettext_lazy("the tables now, the rest as it is written to")),
            ("full", gettext_lazy("all of it now: the disk can never run out of space")),
        ],
    )

    def __init__(self, data: QueryDict | None, *, pool: Pool, backing: Volume | None = None) -> None:
        super().__init__(data, initial=_overlay_of(backing) if backing else None)
        self.can_encrypt = pool.type in ENCRYPTABLE_POOLS and not backing
        if self.can_encrypt:
            self.fields["image_format"].choices += ENCRYPTED  # type: ignore[attr-defined]
            is_plain = data is not None and not data.get("image_format", "").endswith(LUKS)
            for name in PASSPHRASE_FIELDS if is_plain else ():
                self.fields[name].required = False
        else:
            for name in PASSPHRASE_FIELDS:
                del self.fields[name]
        if pool.type == "disk":  # partitions get their names from the kernel, and their space at once
            del self.fields["name"], self.fields["preallocation"], self.fields["image_format"]
            return
        if pool.type not in FILE_POOLS:
            self.fields["image_format"].choices = [("raw", "raw")]  # type: ignore[attr-defined]
        if backing:
            self.fields["image_format"].choices = [("qcow2", "qcow2")]  # type: ignore[attr-defined]
            self.fields["preallocation"].choices = self.fields["preallocation"].choices[:2]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("image_format", "").endswith(LUKS):
            check_same(self, data)
        return data

    @property
    def capacity_bytes(self) -> int:
        return to_bytes(self.cleaned_data["size_gib"])

    @property
    def made_format(self) -> str:
        """As the service wants it: "luks" is a raw disk that is encrypted."""
        return self.cleaned_data.get("image_format", "raw").removesuffix(f"-{LUKS}")  # type: ignore[no-any-return]

    def encryption(self) -> dict[str, Any]:
        """Of an encrypted format, what the service wants to know besides."""
        data = self.cleaned_data
        if not data.get("image_format", "").endswith(LUKS):
            return {}
        return {
            "encryption": LUKS,
            "passphrase": data["passphrase"],
            "keep_passphrase": data["keep_passphrase"],
        }


def _overlay_of(backing: Volume) -> dict[str, str]:
    """What a form offers for an overlay of that volume."""
    stem = backing.name.rsplit(".", 1)[0]
    size = (Decimal(backing.capacity_bytes) / GIB).quantize(Decimal("0.000001"), ROUND_UP).normalize()
    return {"name": f"{stem}-overlay.qcow2", "size_gib": f"{size:f}"}


class SystemForm(ServiceForm):
    os_id = forms.ChoiceField(required=False, label=gettext_lazy("System"))

    def __init__(self, data: QueryDict | None, *, iso: Iso) -> None:
        super().__init__(data, initial={"os_id": iso.os_id})
        self.fields["os_id"].choices = _systems()  # type: ignore[attr-defined]


class ChecksumForm(ServiceForm):
    sha256 = forms.CharField(
        required=False,
        max_length=200,
        label=gettext_lazy("Published SHA-256"),
        help_text=gettext_lazy("From the page where the image comes from. Empty: nobody knows what it should be."),
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocomplete": "off"}),
    )

    def __init__(self, data: QueryDict | None, *, iso: Iso) -> None:
        super().__init__(data, initial={"sha256": iso.sha256_expected})


def to_bytes(size_gib: Decimal) -> int:
    """Bytes, rounded down to whole KiB: no format holds parts of a sector."""
    return int(size_gib * GIB) // 1024 * 1024


def _systems() -> list[tuple[str, Any]]:
    """The picker: what is recognised, then all systems by distribution, those past their end of life last."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for choice in osinfo.list_os():
        group = _("End of life") if choice.eol else (choice.distro or _("Others"))
        groups.setdefault(group, []).append((choice.id, choice.name))
    return [
        (
            "",
            _("As it is recognised"),
        ),
        *groups.items(),
    ]
