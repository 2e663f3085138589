"""The form that copies an image to other hosts."""

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy

from accounts.models import User
from storage.fetching.forms import pool_label, pools_for
from storage.forms import ServiceForm
from storage.models import ImageCopy, Iso, Pool


class CopyImageForm(ServiceForm):
    pools = forms.ModelMultipleChoiceField(
        Pool.objects.none(), label=gettext_lazy("Into these pools"), widget=forms.CheckboxSelectMultiple
    )
    keep_in_step = forms.BooleanField(
        required=False,
        label=gettext_lazy("Keep them in step"),
        help_text=gettext_lazy("When the image here is replaced by another one, it is copied again."),
    )

    def __init__(self, data: QueryDict | None, *, user: User, iso: Iso) -> None:
        kept = ImageCopy.objects.filter(iso=iso)
        initial = {"pools": [copy.pool_id for copy in kept], "keep_in_step": any(copy.keep_in_step for copy in kept)}
        super().__init__(data, initial=initial)
        self.fields["pools"].queryset = pools_for(user).exclude(pk=iso.volume.pool_id)  # type: ignore[attr-defined]
        self.fields["pools"].label_from_instance = pool_label  # type: ignore[attr-defined]
