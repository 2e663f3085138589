"""Publishing an image as an install tree. The caller has asked `permitted` for the image ("configure")."""

from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import User
from jobs.models import Job, Ref
from storage.images import tell
from storage.models import Iso, Tree
from virt.errors import WrongState

from . import tasks
from .networks import parse_networks


def publish_tree(iso: Iso, networks: str, *, by: User) -> Job:
    """Let machines in `networks` (CIDR notation, commas between them) read the files of the image over HTTP.

    Published already: with these networks from now on. The job looks for kernel, initrd and packages. Raises Invalid
    (field "networks"), WrongState or Busy.
    """
    found = parse_networks(networks)
    if iso.volume.missing_since or not iso.volume.pool.is_active:
        raise WrongState(_("%(name)s is not in its pool now, so it cannot be published.") % {"name": iso.name})
    return Job.start(
        tasks.publish_tree,
        title=_("Publish the files of %(name)s") % {"name": iso.name},
        by=by,
        objects=[Ref("iso", iso.pk, iso.name, exclusive=True)],
        iso_id=iso.pk,
        networks=found,
    )


def withdraw_tree(iso: Iso, *, by: User) -> None:
    """Publish it no longer, from this moment. Not published is not an error."""
    if Tree.objects.filter(iso=iso).delete()[0]:
        audit.record(by, "withdraw_tree", kind="iso", object_id=iso.pk, name=iso.name)
        tell(iso)
