"""What a line of the ISO library needs besides its row; gathered as `rows` does."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from django.db.models import Count
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User

from .current.models import FormerImage, KeptImage
from .models import Iso
from .rows import Badge, Used, common_to, jobs_on
from .signers.models import spaced

NEW_FOR = timedelta(days=1)
PACKED = (".gz", ".bz2", ".xz", ".zst")


class Trust(NamedTuple):
    """How a checksum looks: colour, shape, word and what that means."""

    css: str
    shape: str
    text: str
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class IsoLine(Used):
    iso: Iso
    twins: int = 0  # other images with the same content that the reader may see
    kept_current: bool = False
    replaced: bool = False  # by a newer one: it goes when nothing uses it

    @property
    def url(self) -> str:
        return self.iso.get_absolute_url()

    @property
    def install_url(self) -> str:
        """Where a guest is made from it."""
        return f"{reverse('guests:new')}?iso={self.iso.pk}"

    @property
    def signed_by(self) -> str:
        return spaced(self.iso.signed_by)

    @property
    def trust(self) -> Trust:
        match self.iso.checksum:
            case Iso.Checksum.MATCHES if self.iso.signed_by:
                sentence = _("The vendor's list that has its checksum is signed by the key %(fingerprint)s.")
                return Trust("ok", "s-ok", _("signed"), sentence % {"fingerprint": self.signed_by})
            case Iso.Checksum.MATCHES:
                return Trust("ok", "s-ok", _("as published"))
            case Iso.Checksum.DIFFERS:
                return Trust("bad", "s-bad", _("does not match"), _("Its SHA-256 differs from the one that was given."))
            case Iso.Checksum.UNVERIFIED:
                return Trust(
                    "warn", "s-pause", _("unverified"), _("Its SHA-256 was not compared with the one given yet.")
                )
            case Iso.Checksum.COMPUTED:
                return Trust("busy", "s-info", _("computed"), _("Nobody said what it should be."))
        return Trust("mute", "s-lost", _("not checked"), _("Nobody has looked at this image yet."))

    @property
    def added_by(self) -> str | None:
        return self.iso.added_by.username if self.iso.added_by else None

    @property
    def is_packed(self) -> bool:
        return self.iso.name.lower().endswith(PACKED)

    @property
    def can_install(self) -> bool:
        """Whether the reader may make a guest from it."""
        volume = self.iso.volume
        is_there = volume.missing_since is None and volume.pool.is_active
        is_disc = self.iso.is_iso9660 is not False and self.iso.kind == Iso.Kind.ISO
        return is_there and is_disc and self.can_create

    @property
    def can_keep_current(self) -> bool:
        """Whether the reader may have it fetched anew; those of no vendor's list nobody can."""
        is_there = self.iso.volume.missing_since is None
        return is_there and bool(self.iso.published) and not self.replaced and self.can_create

    @property
    def badges(self) -> list[Badge]:
        iso, found = self.iso, []
        if iso.volume.missing_since:
            found.append(Badge(_("missing"), "stale", _("The file is not in its pool any more.")))
        if timezone.now() - iso.added_at < NEW_FOR:
            found.append(Badge(_("new"), "info"))
        if iso.kind != Iso.Kind.ISO:
            found.append(Badge(str(iso.get_kind_display()), "info"))
        elif iso.is_iso9660 is False:
            found.append(Badge(_("not an ISO"), "bad", _("It has no ISO 9660 header, so it installs nothing.")))
        if self.kept_current:
            found.append(Badge(_("kept current"), "ok", _("A newer image is fetched when its vendor publishes one.")))
        if self.replaced:
            found.append(Badge(_("replaced"), "stale", _("A newer image is here. This one goes when nothing uses it.")))
        if self.twins:
            text = ngettext("%(number)d more like it", "%(number)d more like it", self.twins) % {"number": self.twins}
            found.append(Badge(text, "info", _("The same content is in other places, too.")))
        if iso.checksum == Iso.Checksum.DIFFERS:
            found.append(Badge(_("does not match"), "bad", _("Its SHA-256 differs from the one that was given.")))
        elif iso.checksum == Iso.Checksum.UNVERIFIED:
            found.append(Badge(_("unverified"), "restart", _("Its SHA-256 was not compared with the one given yet.")))
        if iso.os_is_eol:
            found.append(Badge(_("end of life"), "restart", _("Its maker gives no updates any more.")))
        if self.would_be_emulated:
            found.append(Badge(_("emulated"), "emu", _("For another kind of processor: it would run, slowly.")))
        return found

    @property
    def would_be_emulated(self) -> bool:
        """Whether the image is for another processor than the host's; i686 runs on x86_64."""
        host_arch = self.iso.volume.pool.host.facts.get("arch", "")
        mine = self.iso.arch
        return bool(mine and host_arch and mine != host_arch and (mine, host_arch) != ("i686", "x86_64"))

    @property
    def boots_by(self) -> str:
        """In words; "" where nobody has looked."""
        by = (self.iso.boots_uefi, self.iso.boots_bios)
        words = {(True, True): _("UEFI, BIOS"), (True, False): _("UEFI only"), (False, True): _("BIOS only")}
        return "" if None in by else words.get((bool(by[0]), bool(by[1])), _("no boot"))


def iso_lines(user: User, isos: Iterable[Iso]) -> list[IsoLine]:
    shown = list(isos)
    jobs = jobs_on("iso", [iso.pk for iso in shown])
    common = common_to(user, [iso.volume for iso in shown])
    twins = _twins(user, shown)
    kept = set(KeptImage.objects.filter(iso__in=shown).values_list("iso", flat=True))
    replaced = set(FormerImage.objects.filter(iso__in=shown).values_list("iso", flat=True))
    return [
        IsoLine(
            iso=iso,
            job=jobs.get(iso.pk),
            twins=twins.get(iso.sha256, 1) - 1,
            kept_current=iso.pk in kept,
            replaced=iso.pk in replaced,
            **common(iso.volume),
        )
        for iso in shown
    ]


def _twins(user: User, isos: list[Iso]) -> dict[str, int]:
    """How many images there are of each content that is shown."""
    hashes = {iso.sha256 for iso in isos if iso.sha256}
    same = Iso.objects.permitted(user, "view").filter(sha256__in=hashes, volume__missing_since=None)
    counted = same.order_by().values_list("sha256").annotate(number=Count("pk"))
    return dict(counted.filter(number__gt=1))
