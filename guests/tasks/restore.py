"""Put an older definition of a guest back."""

import os
from pathlib import PurePosixPath
from typing import Any

from django.utils.translation import gettext as _

from guests.definitions.history import find_version
from guests.definitions.models import digest_of
from guests.definitions.restore import changed_meanwhile, disk_missing
from guests.models import Guest
from hosts.models import Host
from jobs.runner import RunningJob
from jobs.tasks import job_task
from jobs.undo import undo
from virt import domains, pools, volumes
from virt.connection import Connection
from virt.definition_restore import restored_xml
from virt.domain_summary import parse_domain
from virt.errors import GuestNotFound, PoolNotFound, VolumeNotFound
from virt.types import DiskSummary

from .common import on_host, say


@job_task(soft_time_limit=300)
def restore_definition(
    job: RunningJob, *, guest_id: int, number: int, shown: str, empty_drives: list[str]
) -> dict[str, Any]:
    """Define the guest as it was in version `number`, if its definition is still the one with the digest `shown`."""
    with on_host(guest_id) as (guest, conn):
        _version, older = find_version(guest, number)
        uuid = str(guest.uuid)
        job.step(_("Looking for the disks of definition %(number)d") % {"number": number}, done=0, total=2)
        for disk in parse_domain(older).disks:
            if disk.source and disk.target not in empty_drives:
                _check_there(job, guest, conn, disk)
        current = domains.domain_xml(conn, uuid)
        if digest_of(current) != shown:
            raise changed_meanwhile(guest.name)
        xml = restored_xml(older, domains.domain_xml(conn, uuid, secure=True), without_discs=empty_drives)
        job.step(_("Defining %(name)s as it was") % {"name": guest.name}, done=1, total=2)
        job.undo("guests.define_back", host_id=guest.host_id, uuid=uuid, xml=current)
        domains.define(conn, xml)
        runs = domains.domain_state(conn, uuid).state.is_active
        if runs:
            say(job, _("It takes effect when %(name)s is next shut down and started.") % {"name": guest.name})
        return {"guest_id": guest_id, "number": number, "at_next_start": runs}


@undo("guests.define_back")
def define_back(*, host_id: int, uuid: str, xml: str) -> None:
    """Of a definition: the one before it, with the passwords that the guest has now, which no journal keeps."""
    host = Host.objects.get(pk=host_id)
    with host.connect() as conn:
        try:
            if domains.domain_xml(conn, uuid) == xml:
                return
            domains.define(conn, restored_xml(xml, domains.domain_xml(conn, uuid, secure=True)))
        except GuestNotFound:
            return


def _check_there(job: RunningJob, guest: Guest, conn: Connection, disk: DiskSummary) -> None:
    """Raise DiskMissing when the host does not have it. What lies in no pool can be asked of the local host only."""
    there = _in_pools(conn, disk)
    if there is None and guest.host.is_local and disk.source.startswith("/"):
        there = _in_files(disk.source)
    if there is False:
        raise disk_missing(guest.name, disk)
    if there is None:
        job.log(_("Whether %(source)s is there could not be asked: it lies in no pool.") % {"source": disk.source})


def _in_pools(conn: Connection, disk: DiskSummary) -> bool | None:
    if disk.pool and disk.volume:
        try:
            volumes.volume_info(conn, disk.pool, disk.volume)
        except (VolumeNotFound, PoolNotFound):
            return False
        return True
    if not disk.source.startswith("/"):
        return None
    if volumes.volume_by_path(conn, disk.source):
        return True
    parent = PurePosixPath(disk.source).parent
    around = [pool for pool in pools.list_pools(conn) if pool.is_active and PurePosixPath(pool.path or "/") == parent]
    for pool in around:
        pools.refresh_pool(conn, pool.name)
    if around:
        return volumes.volume_by_path(conn, disk.source) is not None
    return None


def _in_files(path: str) -> bool | None:
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    except OSError:  # a directory that we may not look into
        return None
    return True
