"""The form that fetches an image. What a value must be is checked by the service, once for pages and scripts."""

from django import forms
from django.conf import settings
from django.db.models import Case, QuerySet, When
from django.http import QueryDict
from django.utils.translation import gettext_lazy

from accounts.models import User
from storage.forms import ServiceForm
from storage.models import Pool
from storage.rules import UNWRITABLE_POOLS
from storage.signers.models import SignerKey


class FetchForm(ServiceForm):
    url = forms.CharField(
        max_length=2000,
        label=gettext_lazy("Address"),
        help_text=gettext_lazy("Of the image itself. Packed ones (.xz, .gz, .zst, .bz2) are unpacked on the way."),
        widget=forms.TextInput(attrs={"type": "url", "placeholder": "https://", "autocomplete": "off"}),
    )
    pool = forms.ModelChoiceField(Pool.objects.none(), empty_label=None, label=gettext_lazy("Pool"))
    name = forms.CharField(
        required=False,
        max_length=255,
        label=gettext_lazy("Name"),
        help_text=gettext_lazy("Empty: as it is called there."),
    )
    checksum = forms.CharField(
        required=False,
        max_length=200,
        label=gettext_lazy("Published checksum"),
        help_text=gettext_lazy("SHA-256 or SHA-512, from the page where the image comes from."),
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocomplete": "off"}),
    )
    checksum_url = forms.CharField(
        required=False,
        max_length=2000,
        label=gettext_lazy("Address of the list of checksums"),
        help_text=gettext_lazy("Instead of the number, e.g. …/SHA256SUMS."),
        widget=forms.TextInput(attrs={"type": "url", "placeholder": "https://", "autocomplete": "off"}),
    )

    signer = forms.ModelChoiceField(
        SignerKey.objects.all(),
        required=False,
        to_field_name="fingerprint",
        empty_label=gettext_lazy("nobody: its signature is not verified"),
        label=gettext_lazy("The list must be signed by"),
    )

    def __init__(self, data: QueryDict | None, *, user: User) -> None:
        super().__init__(data)
        self.fields["signer"].label_from_instance = _signer_label  # type: ignore[attr-defined]
        pools = pools_for(user)
        self.fields["pool"].queryset = pools  # type: ignore[attr-defined]
        self.fields["pool"].label_from_instance = pool_label  # type: ignore[attr-defined]


def _signer_label(key: SignerKey) -> str:
    return f"{key.name} · {key.spaced[-9:]}" if key.name else key.spaced


def pools_for(user: User) -> QuerySet[Pool]:
    """The started pools into which `user` may put something, libraries first and the oldest host before others."""
    started = Pool.objects.permitted(user, "create").filter(missing_since=None, is_active=True)
    started = started.exclude(type__in=UNWRITABLE_POOLS)
    is_library = Case(When(target_path=settings.ISO_DIR, then=0), default=1)
    return started.select_related("host").order_by(is_library, "host_id", "name")


def pool_label(pool: Pool) -> str:
    """A pool in a list of choices."""
    return f"{pool.name} · {pool.host.name}"
