"""Keys of signers: what pages and REST call. No host hears of them, so these are no jobs."""

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import User
from accounts.permissions import require
from virt.errors import Invalid

from .keys import parse_keys
from .models import SignerKey


@transaction.atomic
def add_keys(text: str, *, by: User) -> list[SignerKey]:
    """Trust the keys in what was pasted; a key that is there already is replaced, as its owner renews it.

    Raises Invalid (field "key") or NotAllowed.
    """
    require(by, "administer")
    added = []
    for key in parse_keys(text):
        values = {"name": key.name, "data": key.data, "added_by": by}
        row, _made = SignerKey.objects.update_or_create(fingerprint=key.fingerprint, defaults=values)
        audit.record(by, "add_signer_key", kind="signer_key", object_id=row.pk, name=str(row), detail=row.fingerprint)
        added.append(row)
    return added


@transaction.atomic
def delete_key(row: SignerKey, *, by: User) -> None:
    """Trust it no more. What it has signed keeps that mark. Raises NotAllowed."""
    require(by, "administer")
    audit.record(by, "delete_signer_key", kind="signer_key", object_id=row.pk, name=str(row), detail=row.fingerprint)
    row.delete()


def find_key(fingerprint: str, *, field: str = "signer") -> SignerKey | None:
    """The key of that fingerprint, None for "". Raises Invalid when nobody has added it."""
    wanted = "".join(fingerprint.split()).upper()
    if not wanted:
        return None
    row = SignerKey.objects.filter(fingerprint=wanted).first()
    if row is None:
        sentence = _("No key with the fingerprint %(fingerprint)s is known here. An administrator can add it.")
        raise Invalid(sentence % {"fingerprint": wanted[:64]}, field=field)
    return row
