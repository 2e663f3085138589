"""What the job that fetches an entry of the catalogue does where that is kept current: whether there is a newer image,
what it is called, which one it takes the place of."""

import hashlib
from pathlib import PurePath

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from jobs.live import publish
from jobs.models import Ref
from jobs.tasks import RunningJob
from storage.catalogue import Current, Entry, is_older
from storage.fetching.unpack import name_from
from storage.images import being_written
from storage.models import ImageCopy, Iso, Pool
from storage.signers.models import spaced
from storage.signers.verify import SignatureWrong
from virt.errors import Invalid, UserError, WrongState

from .models import FormerImage, KeptImage, next_day

SEEN_AT_MOST = 50


class ListBehind(UserError):
    """The vendor's list goes back to an image that was current before."""

    code, status = "list_behind", 409


class Turn:
    """One look at what the vendor of `entry` publishes (`found`), for an image in `pool`.

    `keep_former` is what the user of `job` chose for the time to come; None: nobody chose anything, and where nobody
    did before, either, what is fetched is an image like any other.
    """

    def __init__(self, job: RunningJob, pool: Pool, entry: Entry, found: Current, keep_former: bool | None) -> None:
        self._job, self._pool, self._entry, self._found, self._keep_former = job, pool, entry, found, keep_former
        self._kept = find(pool, entry.key)

    @property
    def keeps(self) -> bool:
        """Whether what is fetched is kept current."""
        return self._kept is not None or self._keep_former is not None

    def image_there(self, *, only_if_kept: bool) -> Iso | None:
        """The image where the pool has the newest one already: then there is nothing to fetch.

        Raises WrongState, SignatureWrong or ListBehind.
        """
        if only_if_kept and self._kept is None:
            raise WrongState(_("%(name)s is not kept current any more.") % {"name": self._entry.name})
        if not self.keeps:
            return None
        there = None
        if self._kept and not is_newer(self._kept, self._entry, self._found):
            there = self._kept.iso if self._kept.iso.volume.missing_since is None else None
        else:
            there = self._same_image()
        if there is not None:
            self._job.log(_("%(name)s is what the vendor publishes now.") % {"name": there.name})
            self.hand_over(there)
        return there

    def free_name(self, pool: Pool, name: str) -> str:
        """`name`; with today's date where the vendor calls every image so, or where the pool has or had such a file.

        Of a file that vanished something may still have the path: it must not find another content there.
        """
        if not self.keeps:
            return name
        path, dated = PurePath(name), f"{timezone.localdate():%Y-%m-%d}"
        candidates = [f"{path.stem}-{dated}{path.suffix}"]
        candidates += [f"{path.stem}-{dated}-{number}{path.suffix}" for number in range(2, 100)]
        if self._kept is None or name_from(self._kept.iso.source_url) != name:
            candidates.insert(0, name)
        taken = set(pool.volumes.filter(name__in=candidates).values_list("name", flat=True))
        return next((candidate for candidate in candidates if candidate not in taken), name)

    def hand_over(self, new: Iso) -> None:
        """From now on `new` is the image that is kept current; what it takes the place of goes when nothing uses it.

        The journal of the job is closed in the same transaction: whatever comes after, the image stays, because the
        choice and the copies in step lead to it now.
        """
        if not self.keeps:
            return
        with transaction.atomic():
            self._job.row.journal.all().delete()
            row = KeptImage.objects.select_for_update().filter(pool=self._pool, entry=self._entry.key).first()
            if row is None and self._keep_former is None:  # it was turned off meanwhile
                return
            row = row or KeptImage(pool=self._pool, entry=self._entry.key, iso=new)
            former, former_sha256 = row.iso, row.sha256
            if self._keep_former is not None:
                choose(row, keep_former=self._keep_former, by=self._job.row.created_by)
            row.iso, row.sha256, row.signed_by, row.problem = new, new.sha256, self._found.signed_by, ""
            row.seen = [*(each for each in row.seen if each != new.published), new.published][-SEEN_AT_MOST:]
            row.asked_at, row.ask_at, row.job = timezone.now(), next_day(), None
            row.save()
            FormerImage.objects.filter(iso=new).delete()
            if former != new:
                _follow(row, former, former_sha256, new)
        publish("isos", f"iso-{new.pk}", f"iso-{former.pk}")

    def _same_image(self) -> Iso | None:
        """An image of that entry and checksum which the pool has already, unchanged since it was fetched."""
        digest = self._found.wanted.digest if self._found.wanted else ""
        same = Iso.objects.filter(volume__pool=self._pool, volume__missing_since=None, entry=self._entry.key)
        same = same.filter(published=digest).exclude(volume__name__in=being_written(self._pool)).order_by("-added_at")
        return next((iso for iso in same.select_related("volume") if iso.checksum == Iso.Checksum.MATCHES), None)


def ref(pool: Pool, entry: Entry) -> Ref:
    """What a job holds that fetches an entry into a pool: by hand or by itself, it is one at a time."""
    number = hashlib.sha256(f"{pool.pk} {entry.key}".encode()).digest()[:7]
    return Ref("entry", int.from_bytes(number, "big"), entry.name, exclusive=True)


def check_keepable(entry: Entry) -> None:
    """Raise Invalid (field "keep_current") for an entry whose vendor publishes no checksums to compare."""
    if not entry.list:
        sentence = _("The vendor of %(name)s publishes no checksums, so nobody can tell whether there is a newer one.")
        raise Invalid(sentence % {"name": entry.name}, field="keep_current")


def find(pool: Pool, entry: str) -> KeptImage | None:
    """The image of that entry which is kept current in the pool."""
    return KeptImage.objects.filter(pool=pool, entry=entry).select_related("iso__volume").first()


def is_newer(kept: KeptImage, entry: Entry, found: Current) -> bool:
    """Whether the vendor publishes another image than the newest that was fetched.

    Raises SignatureWrong when the one before was verified by a signature and this one is not, ListBehind when the list
    goes back to an older one: a mirror that is late, or somebody who serves an old list again.
    """
    if kept.signed_by and not found.signed_by:
        sentence = _(
            "The image before was verified by the key %(key)s, and the vendor's list is not verified now, because that"
            " key is not known here any more. Nothing was fetched. An administrator can add the key again."
        )
        raise SignatureWrong(sentence % {"key": spaced(kept.signed_by)})
    digest = found.wanted.digest if found.wanted else ""
    if not digest or digest == kept.iso.published:
        return False
    if digest in kept.seen or is_older(entry, found.url, than=kept.iso.source_url):
        sentence = _("The vendor's list names %(name)s, which is older than this image. It was not fetched.")
        raise ListBehind(sentence % {"name": name_from(found.url)})
    return True


def choose(kept: KeptImage, *, keep_former: bool, by: User | None) -> None:
    """Note who wants it, from now on, and what becomes of the images before. Does not save `kept`."""
    kept.keep_former, kept.created_by, kept.created_at = keep_former, by, timezone.now()
    if keep_former and kept.pk:
        kept.formers.all().delete()


def _follow(kept: KeptImage, former: Iso, sha256: str, new: Iso) -> None:
    """What belonged to the former image belongs to the new one."""
    if former.os_set_by_hand:
        values = {"os_id": former.os_id, "os_name": former.os_name, "os_is_eol": former.os_is_eol}
        Iso.objects.filter(pk=new.pk).update(**values, os_is_guess=False, os_set_by_hand=True)
    _leave(kept, former, sha256)
    for copy in ImageCopy.objects.filter(iso=former, keep_in_step=True).select_related("pool"):
        there = Iso.objects.filter(volume__pool=copy.pool, volume__name=former.volume.name, sha256=copy.made_from)
        if copy.made_from and (file := there.first()):
            _leave(kept, file, copy.made_from)
        ImageCopy.objects.filter(iso=new, pool=copy.pool).delete()
        ImageCopy.objects.filter(pk=copy.pk).update(iso=new)


def _leave(kept: KeptImage, former: Iso, sha256: str) -> None:
    if not kept.keep_former:
        values = {"kept": kept, "sha256": sha256, "since": timezone.now(), "try_at": timezone.now()}
        FormerImage.objects.update_or_create(iso=former, defaults=values)
