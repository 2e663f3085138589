"""Images that newer ones have taken the place of: which of them may go."""

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from hosts.models import Host
from jobs.models import Job, JobObject
from storage.models import ImageCopy, Volume
from storage.rules import unused

from .models import FormerImage


def removable(*, but: int = 0) -> QuerySet[FormerImage]:
    """Those that nothing uses: no guest, no volume that lies on them, no published tree, no copy of their own, no job
    except the one with the number `but`. What came after them must be there, too.
    """
    about = JobObject.objects.filter(job__status__in=Job.ACTIVE).exclude(job=but)
    about = about.filter(Q(kind="iso", object_id=OuterRef("iso")) | Q(kind="volume", object_id=OuterRef("iso__volume")))
    arrived = ImageCopy.objects.filter(iso=OuterRef("kept__iso"), pool=OuterRef("iso__volume__pool"))
    arrived = arrived.filter(made_from=OuterRef("kept__iso__sha256"))
    return FormerImage.objects.filter(
        Q(iso__volume__pool=F("kept__pool")) | Exists(arrived),
        ~Exists(about),
        iso__volume__in=Volume.objects.filter(unused()),
        iso__volume__missing_since=None,
        iso__volume__pool__is_active=True,
        iso__volume__pool__host__state=Host.State.CONNECTED,
        iso__tree=None,
        iso__copies=None,
        iso__kept=None,
        kept__iso__volume__missing_since=None,
    )
