"""Keeping an image current: what pages and REST call. The caller has asked `permitted` for the image ("create")."""

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import User
from hosts.maintenance import require_open
from jobs.live import publish
from jobs.models import Job, Ref
from storage import catalogue
from storage.fetching.tasks import fetch_image
from storage.models import Iso
from storage.rules import check_active
from virt.errors import WrongState

from . import keeping
from .models import KeptImage


@transaction.atomic
def keep_current(iso: Iso, *, by: User, keep_former: bool = False) -> KeptImage:
    """Have an image of the catalogue fetched anew when its vendor publishes another one; kept already: as said now.

    The one before is removed once nothing uses it, except with `keep_former`. Raises WrongState, or Invalid (field
    "keep_current").
    """
    check_can_keep(iso)
    known = {"iso": iso, "sha256": iso.sha256, "signed_by": iso.signed_by, "seen": [iso.published]}
    kept, _made = KeptImage.objects.get_or_create(pool=iso.volume.pool, entry=iso.entry, defaults=known)
    keeping.choose(kept, keep_former=keep_former, by=by)
    kept.save()
    detail = "the former ones stay" if keep_former else ""
    audit.record(by, "keep_image_current", kind="iso", object_id=iso.pk, name=iso.name, detail=detail)
    publish("isos", f"iso-{iso.pk}")
    return kept


def check_can_keep(iso: Iso) -> None:
    """Raise WrongState, or Invalid (field "keep_current"), for an image that cannot be kept current."""
    if not iso.entry or not iso.published:
        sentence = _("%(name)s was not fetched from the catalogue, so nobody knows which vendor to ask.")
        raise WrongState(sentence % {"name": iso.name})
    keeping.check_keepable(catalogue.find(iso.entry))
    if iso.volume.missing_since or iso.checksum != Iso.Checksum.MATCHES:
        sentence = _("%(name)s is not there, or is not the file any more that was fetched. Fetch it again.")
        raise WrongState(sentence % {"name": iso.name})
    kept = keeping.find(iso.volume.pool, iso.entry)
    if kept and kept.iso_id != iso.pk:
        sentence = _("Another image of the same vendor is kept current in this pool already: %(name)s.")
        raise WrongState(sentence % {"name": kept.iso.name})


@transaction.atomic
def let_go(iso: Iso, *, by: User) -> None:
    """Keep an image current no longer; all files stay. Not kept is not an error."""
    if KeptImage.objects.filter(iso=iso).delete()[0]:
        audit.record(by, "let_image_go", kind="iso", object_id=iso.pk, name=iso.name)
        publish("isos", f"iso-{iso.pk}")


def fetch_newer(kept: KeptImage, *, by: User | None) -> Job:
    """Start the job that asks the vendor, and fetches what is newer. Raises Busy, WrongState or HostInMaintenance."""
    pool, entry = kept.pool, catalogue.find(kept.entry)
    require_open(pool.host)
    check_active(pool)
    with transaction.atomic():
        job = Job.start(
            fetch_image,
            title=_("Bring %(name)s up to date") % {"name": entry.name},
            by=by,
            objects=[
                Ref("iso", kept.iso_id, kept.iso.name),
                keeping.ref(pool, entry),
                Ref("pool", pool.pk, pool.name),
                Ref("host", pool.host_id, pool.host.name),
            ],
            pool_id=pool.pk,
            entry=entry.key,
            only_if_kept=True,
        )
        KeptImage.objects.filter(pk=kept.pk).update(job=job)
    publish("isos", f"iso-{kept.iso_id}")
    return job
