"""What guests need of the storage before the first one is made."""

from pathlib import PurePosixPath

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.models import Host
from hosts.preparation import step
from jobs.tasks import RunningJob
from storage.inventory import refresh_pool
from virt import pools as virt_pools
from virt.connection import Connection
from virt.types import PoolInfo


@step(gettext_lazy("Setting up the pools"), needed=True)
def pools(job: RunningJob, host: Host, conn: Connection) -> None:
    """The directories of ISO images and of disks, as pools of libvirt's."""
    for directory in (settings.ISO_DIR, settings.STORE_DIR):
        info = ensure_pool(conn, directory)
        refresh_pool(host, conn, info.uuid)
        job.log(_("Pool %(name)s: %(path)s") % {"name": info.name, "path": info.path})


def ensure_pool(conn: Connection, directory: str) -> PoolInfo:
    """The pool of a directory, active and started with the host. A pool that is there keeps its name and definition.

    A new one is named like the directory; where another pool has that name it becomes `<name>-2` and so on.
    Raises VirtError.
    """
    path = PurePosixPath(directory)
    known = virt_pools.list_pools(conn)
    name = next((info.name for info in known if info.type == "dir" and PurePosixPath(info.path) == path), "")
    if not name:
        taken = {info.name for info in known}
        name = next(candidate for candidate in _names(path.name) if candidate not in taken)
    return virt_pools.ensure_dir_pool(conn, name, str(path))


def _names(base: str) -> "list[str]":
    return [base, *(f"{base}-{number}" for number in range(2, 1000))]
