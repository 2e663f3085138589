"""The first start of a guest that installs from a tree: kernel and initrd come, the guest boots them once, they go."""

from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from hosts.models import Host
from jobs.runner import RunningJob
from storage.inventory import refresh_pool
from storage.models import Iso, Pool
from storage.rules import gone
from storage.trees import boot_files
from virt import power, volumes
from virt.connection import Connection
from virt.errors import WrongState
from virt.tree_boot import boot_arguments, first_start_xml


class Boot(NamedTuple):
    """What the first start boots: volumes of a pool."""

    pool: Pool
    kernel: str
    initrd: str
    arguments: str


def put_files(job: RunningJob, host: Host, conn: Connection, tree: dict[str, Any]) -> Boot:
    """Put kernel and initrd of a `guests.plan_tree.NewTree` into their pool; they go again if the job fails."""
    pool = refresh_pool(host, conn, tree["pool"], rescan=True)
    if pool is None:
        raise gone(tree["pool"], host.name)
    names = (tree["kernel"], tree["initrd"])
    if tree["iso_id"] is None:
        facts = boot_files.put_from_address(job, conn, pool, tree["url"], names)
        image = ""
    else:
        iso = Iso.objects.filter(tree__isnull=False).select_related("tree", "volume__pool__host")
        found = iso.filter(pk=tree["iso_id"]).first()
        if found is None:
            raise WrongState(_("The tree is not published any more. Publish it again, or choose another."))
        facts, image = boot_files.put_published(job, conn, pool, found, names), f"{tree['url']}.iso"
    words = boot_arguments(facts, tree["url"], image=image)
    if not words:
        job.log(_("It is not known how this installer is told where its packages are; it may ask."))
    return Boot(pool, *names, " ".join([*words, tree["extra"]]).strip())


def start(job: RunningJob, conn: Connection, xml: str, boot: Boot) -> None:
    """Start the defined guest `xml` once with that kernel, and delete the files, which QEMU has read by then."""
    paths = [volumes.volume_info(conn, boot.pool.name, name).path for name in (boot.kernel, boot.initrd)]
    job.log(_("Its kernel is told: %(arguments)s") % {"arguments": boot.arguments or "—"})
    once = first_start_xml(xml, kernel=paths[0], initrd=paths[1], arguments=boot.arguments)
    power.start_once(conn, once)
    boot_files.remove(job, conn, boot.pool, (boot.kernel, boot.initrd))
    job.log(_("When the installer restarts the guest, it goes off. Start it then: it boots from its disk."))
