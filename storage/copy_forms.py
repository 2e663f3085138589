"""Forms that copy, move and resize volumes."""

from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User

from .copying import suggested_name
from .forms import GIB, ServiceForm, size_field, to_bytes
from .models import Pool, Volume
from .rules import FORMATS, UNWRITABLE_POOLS
from .secrets.encrypted import POOLS as ENCRYPTABLE_POOLS
from .secrets.encrypted import writing_guest
from .secrets.fields import check_same, hidden_field


class PoolField(forms.ModelChoiceField):  # type: ignore[type-arg] # Django's class takes no parameter at run time
    def label_from_instance(self, pool: Pool) -> str:
        words = {"pool": pool.name, "host": pool.host.name, "free": f"{pool.available_bytes / GIB:.1f}"}
        return _("%(pool)s on %(host)s, %(free)s GiB free") % words


class ResizeForm(ServiceForm):
    size_gib = size_field()
    shrink = forms.BooleanField(
        required=False,
        label=gettext_lazy("Let it become smaller"),
        help_text=gettext_lazy(
            "Only where it can be proved that nothing is lost: the end of the disk holds zeros, and its partitions end "
            "before. Otherwise the job refuses and says why."
        ),
    )

    def __init__(self, data: QueryDict | None, *, volume: Volume) -> None:
        now = (Decimal(volume.capacity_bytes) / GIB).quantize(Decimal("0.001")).normalize()
        super().__init__(data, initial={"size_gib": f"{now:f}"})

    @property
    def capacity_bytes(self) -> int:
        return to_bytes(self.cleaned_data["size_gib"])


class _IntoPoolForm(ServiceForm):
    pool = PoolField(queryset=Pool.objects.none(), empty_label=None, label=gettext_lazy("Into the pool"))
    name = forms.CharField(max_length=255, label=gettext_lazy("Name"))
    image_format = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Format"),
        choices=[("", gettext_lazy("as it is")), *((name, name) for name in FORMATS)],
        help_text=gettext_lazy("Another format than now converts it on the way."),
    )

    # Of an encrypted volume, which keeps its format.
    passphrase = hidden_field(gettext_lazy("Passphrase"), required=False)
    keep_passphrase = forms.BooleanField(
        required=False,
        initial=True,
        label=gettext_lazy("The host keeps the passphrase when its libvirt is restarted"),
    )

    def __init__(self, data: QueryDict | None, *, volume: Volume, pools: QuerySet[Pool], name: str) -> None:
        super().__init__(data, initial={"pool": volume.pool_id, "name": name})
        dropped = ["passphrase", "keep_passphrase"]
        if volume.encryption:
            pools, dropped = pools.filter(type__in=ENCRYPTABLE_POOLS), ["image_format"]
        for each in dropped:
            del self.fields[each]
        self.fields["pool"].queryset = pools  # type: ignore[attr-defined]

    def arguments(self) -> dict[str, Any]:
        """For the service."""
        names = ("pool", "name", "image_format", "passphrase", "keep_passphrase")
        return {name: self.cleaned_data[name] for name in names if name in self.fields}


class CopyForm(_IntoPoolForm):
    in_full = forms.BooleanField(
        required=False,
        label=gettext_lazy("Take all the space now"),
        help_text=gettext_lazy("The disk can then never run out of space; making it takes longer."),
    )

    def __init__(self, data: QueryDict | None, *, volume: Volume, user: User) -> None:
        pools = usable_pools(user)
        super().__init__(data, volume=volume, pools=pools, name=suggested_name(volume, volume.pool))
        if volume.encryption:
            self.fields["passphrase"].help_text = _(
                "It is tried on the original before anything is copied. Empty: the copy waits for it, and no guest "
                "starts from it until somebody gives it on the page of the copy."
            )
            if volume.format != "raw":
                del self.fields["in_full"]

    def arguments(self) -> dict[str, Any]:
        return {**super().arguments(), "preallocation": "full" if self.cleaned_data.get("in_full") else "none"}


class MoveForm(_IntoPoolForm):
    passphrase_again = hidden_field(gettext_lazy("Passphrase, once more"))
    keep = forms.BooleanField(
        required=False,
        label=gettext_lazy("Keep the original"),
        help_text=gettext_lazy("It stays where it is, unused, until somebody deletes it."),
    )

    def __init__(self, data: QueryDict | None, *, volume: Volume, user: User) -> None:
        pools = usable_pools(user).filter(host=volume.pool.host_id)
        super().__init__(data, volume=volume, pools=pools, name="")
        name = self.fields["name"]
        name.required, name.help_text = False, _("Empty: as it is called now, with the ending of its new format.")
        runs = bool(volume.encryption and writing_guest(volume))
        if not runs:
            del self.fields["passphrase_again"]
        if volume.encryption:
            name.help_text = _("Empty: as it is called now.")
            self._ask_for_passphrase(self.fields["passphrase"], volume, runs)

    def _ask_for_passphrase(self, field: forms.Field, volume: Volume, runs: bool) -> None:
        field.required = volume.used_by.filter(guest__missing_since=None).exists()
        if runs:
            field.help_text = _(
                "Of the disk at its new place: that of now, or another one of at least 8 characters. It is not tried, "
                "as the guest has the disk open. Nobody can read it back, and without it the disk is lost."
            )
        elif field.required:
            field.help_text = _("It is tried on the disk before anything is moved, and the guest starts with it.")
        else:
            field.help_text = _(
                "It is tried on the disk before anything is moved. Empty: the disk waits for it at its new place."
            )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if "passphrase_again" in self.fields:
            check_same(self, data)
        return data

    def arguments(self) -> dict[str, Any]:
        return {**super().arguments(), "keep": self.cleaned_data["keep"]}


def usable_pools(user: User) -> QuerySet[Pool]:
    """Where the user may put a copy now."""
    pools: QuerySet[Pool] = Pool.objects.permitted(user, "create").filter(is_active=True, missing_since=None)
    return pools.exclude(type__in=UNWRITABLE_POOLS).select_related("host").order_by("host__name", "name")
