"""The form that imports disks."""

import re

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy

from accounts.models import User
from storage.fetching.forms import pools_for
from storage.forms import ServiceForm
from storage.models import Iso, Pool
from storage.rules import FORMATS


class ImportForm(ServiceForm):
    name = forms.CharField(
        max_length=200,
        label=gettext_lazy("Name of the disks"),
        help_text=gettext_lazy("The format is added to it, and a number where there are several."),
    )
    pool = forms.ModelChoiceField(Pool.objects.none(), empty_label=None, label=gettext_lazy("Pool"))
    image_format = forms.ChoiceField(label=gettext_lazy("Format"), choices=[(name, name) for name in FORMATS])

    def __init__(self, data: QueryDict | None, *, user: User, iso: Iso) -> None:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", iso.found.get("name") or iso.name.rpartition(".")[0]).strip("-.")
        super().__init__(data, initial={"name": stem or "imported"})
        pools = pools_for(user).filter(host=iso.volume.pool.host_id).exclude(pk=iso.volume.pool_id)
        if not pools.exists():
            pools = pools_for(user).filter(host=iso.volume.pool.host_id)
        self.fields["pool"].queryset = pools  # type: ignore[attr-defined]
