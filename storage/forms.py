"""Forms of volumes and images. What a value must be is checked by the services, once for pages and scripts."""

from decimal import Decimal
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from virt import osinfo
from virt.errors import UserError

from .models import Iso, Pool
from .rules import FILE_POOLS, FORMATS

GIB = 1024**3
_FIELDS = {"capacity_bytes": "size_gib", "format": "image_format", "sha256_expected": "sha256"}


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
    in_full = forms.BooleanField(
        required=False,
        label=gettext_lazy("Take all the space now"),
        help_text=gettext_lazy("The disk can then never run out of space; making it takes longer."),
    )

    def __init__(self, data: QueryDict | None, *, pool: Pool) -> None:
        super().__init__(data)
        if pool.type not in FILE_POOLS:
            self.fields["image_format"].choices = [("raw", "raw")]  # type: ignore[attr-defined]

    @property
    def capacity_bytes(self) -> int:
        return to_bytes(self.cleaned_data["size_gib"])


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
