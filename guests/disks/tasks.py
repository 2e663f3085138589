"""The job that gives a disk to another guest, and how it is taken back."""

import time
from contextlib import suppress
from typing import Any

from django.utils.translation import gettext as _

from guests.inventory import refresh_guest
from guests.models import Guest
from hosts.models import Host
from jobs.runner import RunningJob
from jobs.tasks import job_task
from jobs.undo import undo
from virt import devices, domains, image_check, volumes
from virt.connection import Connection
from virt.domain_xml import DomainXML
from virt.errors import GuestNotFound, VirtError, WrongState

LET_GO_S, POLL_S = 30.0, 0.25


@job_task(soft_time_limit=600)
def reassign_disk(job: RunningJob, *, guest_id: int, target: str, to_id: int) -> dict[str, Any]:
    """Out of one guest and into another; when either refuses, the disk is where it was."""
    guest = Guest.objects.select_related("host").get(pk=guest_id)
    to = Guest.objects.get(pk=to_id)
    host = guest.host
    with host.connect() as conn:
        before = DomainXML(domains.domain_xml(conn, guest.uuid, secure=True))
        given = before.disk_for_another(target, DomainXML(domains.domain_xml(conn, to.uuid)).disk_targets)
        _look_at(conn, before, target)
        try:
            words = {"target": target, "name": guest.name}
            job.step(_("Taking disk %(target)s out of %(name)s") % words, done=0, total=2)
            same = before.disk_xml(target)
            job.undo("guests.put_disk_back", host_id=host.pk, uuid=str(guest.uuid), target=target, xml=same)
            take_out(conn, str(guest.uuid), target)
            words = {"target": given.target, "name": to.name}
            job.step(_("Putting it into %(name)s as %(target)s") % words, done=1, total=2)
            made = {"host_id": host.pk, "uuid": str(to.uuid), "target": given.target, "source": given.source}
            job.undo("guests.take_disk_out", **made)
            put_in(conn, str(to.uuid), given.target, given.xml)
        finally:
            _refresh(host, conn, guest, to)
    return {"guest_id": to_id, "target": given.target}


def take_out(conn: Connection, uuid: str, target: str) -> None:
    """Unplug a disk and wait until the guest has let go of it. Raises WrongState when it does not."""
    info = domains.domain_info(conn, uuid)
    live = DomainXML(info.live_xml) if info.live_xml else None
    if live and target in live.disk_targets:
        devices.detach_device(conn, uuid, live.disk_xml(target), live=True)
        end = time.monotonic() + LET_GO_S
        while target in DomainXML(domains.domain_xml(conn, uuid, live=True)).disk_targets:
            if time.monotonic() > end:
                sentence = _("%(name)s does not let go of its disk %(target)s. Unmount it there, or shut it down.")
                raise WrongState(sentence % {"name": info.name, "target": target})
            time.sleep(POLL_S)
    if info.is_persistent:
        document = DomainXML(domains.domain_xml(conn, uuid, secure=True))
        if target in document.disk_targets:
            document.remove_disk(target)
            domains.define(conn, document.to_xml())


def put_in(conn: Connection, uuid: str, target: str, xml: str) -> None:
    """Plug a disk in, now and for later starts, where it is not there yet."""
    info = domains.domain_info(conn, uuid)
    if info.live_xml and target not in DomainXML(info.live_xml).disk_targets:
        devices.attach_device(conn, uuid, xml, live=True)
    if info.is_persistent:
        document = DomainXML(domains.domain_xml(conn, uuid, secure=True))
        if target not in document.disk_targets:
            document.put_disk(xml)
            domains.define(conn, document.to_xml())


@undo("guests.put_disk_back")
def put_disk_back(*, host_id: int, uuid: str, target: str, xml: str) -> None:
    """Of a disk that was taken out of its guest."""
    host = Host.objects.get(pk=host_id)
    with host.connect() as conn, suppress(GuestNotFound):
        put_in(conn, uuid, target, xml)
        refresh_guest(host, conn, uuid)


@undo("guests.take_disk_out")
def take_disk_out(*, host_id: int, uuid: str, target: str, source: str) -> None:
    """Of a disk that was put into another guest."""
    host = Host.objects.get(pk=host_id)
    with host.connect() as conn, suppress(GuestNotFound):
        info = domains.domain_info(conn, uuid)
        for xml in filter(None, (info.xml, info.live_xml)):
            if DomainXML(xml).disk_source(target) == source:
                take_out(conn, uuid, target)
                break
        refresh_guest(host, conn, uuid)


def _look_at(conn: Connection, document: DomainXML, target: str) -> None:
    """An image that points at other files of the host must not reach another guest."""
    if found := volumes.volume_by_path(conn, document.disk_source(target)):
        image_check.check_image(conn, found.pool, found.name)


def _refresh(host: Host, conn: Connection, *guests: Guest) -> None:
    for guest in guests:
        with suppress(VirtError):
            refresh_guest(host, conn, guest.uuid)
