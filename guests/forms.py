"""Forms of guests. What a value must be is checked by the services, once for pages and scripts; the rest is shape."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from storage.models import Iso
from storage.rules import gib
from virt.errors import Invalid, UserError

from .models import Guest
from .sizes import parse_mib, show_mib


class ProblemForm(forms.Form):
    """A form on which a service's sentence can be put: beside its field where it has one."""

    renamed: dict[str, str] = {}  # the service's name of a field → the form's

    def add_problem(self, error: UserError) -> None:
        field = self.renamed.get(error.field or "", error.field)
        self.add_error(field if field in self.fields else None, str(error))


class MemoryField(forms.CharField):
    """Memory as people type it; cleans to MiB. A bare number counts in GiB when small, in MiB otherwise."""

    def clean(self, value: Any) -> int | None:
        text = super().clean(value)
        if not text:
            return None
        try:
            return parse_mib(text, unit="MiB" if text.isascii() and text.isdigit() and int(text) >= 128 else "GiB")
        except Invalid as error:
            raise forms.ValidationError(str(error)) from error


class EditForm(ProblemForm):
    renamed = {"memory_mib": "memory"}

    name = forms.CharField(label=gettext_lazy("Name"), max_length=255)
    title = forms.CharField(label=gettext_lazy("Title"), max_length=255, required=False)
    description = forms.CharField(
        label=gettext_lazy("Notes"), max_length=8_000, required=False, widget=forms.Textarea(attrs={"rows": 4})
    )
    vcpus = forms.IntegerField(label=gettext_lazy("vCPUs"), widget=forms.NumberInput(attrs={"min": 1}))
    memory = MemoryField(label=gettext_lazy("Memory"), max_length=20)
    autostart = forms.BooleanField(label=gettext_lazy("Start it with its host"), required=False)

    def __init__(self, *args: Any, guest: Guest, **kwargs: Any) -> None:
        pending = {change["what"]: change["then"] for change in guest.changes_at_restart}
        self.before: dict[str, Any] = {
            "name": guest.name,
            "title": guest.title,
            "description": guest.description.replace("\r\n", "\n"),
            "vcpus": _number(pending.get("vCPUs"), guest.vcpus),
            "memory": _number(pending.get("memory"), guest.memory_mib),
            "autostart": guest.autostart,
        }
        kwargs["initial"] = {**self.before, "memory": show_mib(self.before["memory"])}
        super().__init__(*args, **kwargs)
        if guest.is_on:
            self.fields["name"].disabled = True
            self.fields["name"].help_text = _("Shut it down to rename it.")
            self.fields["vcpus"].help_text = _("More take effect at once where the guest can, fewer at its next start.")
            self.fields["memory"].help_text = _("Takes effect when the guest is shut down and started.")
        if not guest.persistent:
            self.fields["autostart"].disabled = True

    def changes(self) -> dict[str, Any]:
        """What differs from the guest, by the service's names."""
        values = {**self.cleaned_data, "description": self.cleaned_data["description"].replace("\r\n", "\n")}
        changed = {name: value for name, value in values.items() if value != self.before[name]}
        if "memory" in changed:
            changed["memory_mib"] = changed.pop("memory")
        return changed


def _number(text: str | None, otherwise: int) -> int:
    """The first number of "2 of 4" or "2048 MiB"."""
    return int(text.split()[0]) if text and text.split()[0].isdigit() else otherwise


class DeleteForm(ProblemForm):
    disks = forms.MultipleChoiceField(
        label=gettext_lazy("Disks to delete with it"),
        required=False,
        widget=forms.CheckboxSelectMultiple(attrs={"class": "cb"}),
    )
    force = forms.BooleanField(label=gettext_lazy("It runs: force it off first"), required=False)
    confirm_name = forms.CharField(required=False)

    def __init__(self, *args: Any, guest: Guest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.guest = guest
        disks = guest.disks.filter(device="disk").exclude(volume=None).select_related("volume__pool")
        self.fields["disks"].choices = [(disk.target, _disk_label(disk)) for disk in disks]  # type: ignore[attr-defined]
        if not guest.is_on:
            del self.fields["force"]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        values.setdefault("force", False)
        if values.get("confirm_name") != self.guest.name:
            raise forms.ValidationError(_("Type the name of the guest to delete it."))
        return values


def _disk_label(disk: Any) -> str:
    volume = disk.volume
    words = {
        "target": disk.target,
        "pool": volume.pool.name,
        "name": volume.name,
        "held": gib(volume.allocation_bytes),
        "size": gib(volume.capacity_bytes),
    }
    return _("%(target)s: %(pool)s/%(name)s, %(held)s of %(size)s used") % words


class MediaForm(ProblemForm):
    iso = forms.ModelChoiceField(Iso.objects.none(), label=gettext_lazy("ISO"))

    def __init__(self, *args: Any, guest: Guest, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        isos = Iso.objects.permitted(user, "view").filter(
            volume__pool__host=guest.host_id, volume__missing_since=None, volume__pool__is_active=True
        )
        field = self.fields["iso"]
        field.queryset = isos.select_related("volume").order_by("volume__name")  # type: ignore[attr-defined]
