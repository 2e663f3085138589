"""Making, changing and deleting pools: what is asked before the job starts. The jobs are in `pool_tasks`.

A pool opens a directory or a device of its host to everybody who may use its volumes. So making one, changing its
definition and deleting it take an administrator of the host.
"""

from dataclasses import asdict
from typing import Any
from uuid import uuid4

from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import User
from hosts.models import Host
from hosts.services import require_enabled
from jobs.live import publish
from jobs.models import Job, Ref
from virt.errors import Invalid, NotSupported, PoolExists, PoolNotFound, VolumeInUse, WrongState
from virt.pool_types import DISCOVERABLE, NOBODY
from virt.pool_xml import FIELDS, PoolSpec, check_edited

from . import pool_tasks
from .checks import host_ref
from .models import Pool, StorageSheet, Volume
from .rules import DELETING_POOLS, unused

BUILDS = ("none", "build", "overwrite")
DELETES = ("nothing", "volumes")


def kinds_of(host: Host) -> list[dict[str, Any]]:
    """The types of pools that the host can have: dicts of virt.pool_types.PoolKind. All that we know where libvirt has
    not told.
    """
    sheet = StorageSheet.objects.filter(host=host).first()
    return sheet.kinds if sheet else [{"type": kind, "formats": [], "default_format": ""} for kind in FIELDS]


def create_pool(
    host: Host, spec: PoolSpec, *, by: User, build: str = "none", start: bool = True, autostart: bool = True
) -> Job:
    """Define a pool, and as asked build what it lies on, start it and start it with the host.

    `build` "build" makes its directory, file system, volume group or partition table where nothing is yet, "overwrite"
    also where something is. Raises Invalid with a field, PoolExists or Busy.
    """
    require_enabled(host)
    if build not in BUILDS:
        raise Invalid(_("Building must be one of: %(choices)s.") % {"choices": ", ".join(BUILDS)}, field="build")
    if spec.type not in {kind["type"] for kind in kinds_of(host)}:
        words = {"host": host.name, "type": spec.type}
        raise Invalid(_("The libvirt of %(host)s has no pools of type %(type)s.") % words, field="type")
    spec.to_xml()
    pools = Pool.objects.filter(host=host, missing_since=None)
    if pools.filter(name=spec.name).exists():
        sentence = _("%(host)s has a pool named %(name)s already. Choose another name.")
        raise PoolExists(sentence % {"host": host.name, "name": spec.name}, field="name")
    twin = pools.filter(type=spec.type, target_path=spec.path).first() if spec.path else None
    if twin:
        sentence = _("%(path)s is the pool %(name)s already.")
        raise PoolExists(sentence % {"path": spec.path, "name": twin.name}, field="path")
    return Job.start(
        pool_tasks.create_pool,
        title=_("Create the pool %(pool)s") % {"pool": spec.name},
        by=by,
        objects=[Ref("host", host.pk, host.name)],
        host_id=host.pk,
        spec={**asdict(spec), "uuid": spec.uuid or str(uuid4())},
        build=build,
        start=start,
        autostart=autostart,
    )


def find_sources(host: Host, pool_type: str, *, by: User, server: str = "", initiator: str = "") -> Job:
    """Look for what a pool of that type could be made of; the job's result has `sources`. Raises Invalid."""
    require_enabled(host)
    if pool_type not in DISCOVERABLE:
        raise Invalid(_("Nothing can be looked for with pools of that type."), field="type")
    if pool_type in ("netfs", "iscsi", "iscsi-direct") and not server:
        raise Invalid(_("Say on which machine to look."), field="host")
    optional = {"initiator": initiator or NOBODY} if pool_type in ("iscsi", "iscsi-direct") else {}
    # What is given is checked as for a pool.
    probe = {"netfs": {"directory": "/", "path": "/mnt"}, "iscsi": {"target": "x"}, "iscsi-direct": {"target": "x"}}
    if pool_type in probe:
        PoolSpec(name="x", type=pool_type, host=server, **probe[pool_type], **optional).to_xml()
    return Job.start(
        pool_tasks.find_sources,
        title=_("Look for %(type)s sources from %(host)s") % {"type": pool_type, "host": host.name},
        by=by,
        objects=[Ref("host", host.pk, host.name)],
        host_id=host.pk,
        pool_type=pool_type,
        server=server,
        initiator=initiator,
    )


def edit_xml(pool: Pool, xml: str, *, by: User) -> Job:
    """Give the pool another definition, with its name and UUID; it counts from its next start on. Raises Invalid."""
    _check_there(pool)
    check_edited(xml, name=pool.name, uuid=str(pool.uuid))
    return _job(pool_tasks.edit_pool, pool, _("Change the definition of the pool %(pool)s"), by, xml=xml)


def delete_pool(pool: Pool, *, by: User, data: str = "nothing") -> Job:
    """Stop the pool and forget it; with `data` "volumes" delete what is in it first. Of a missing one the row goes.

    Raises VolumeInUse when a guest or a volume elsewhere needs something in it, NotSupported, WrongState or Busy.
    """
    if data not in DELETES:
        raise Invalid(_("What to delete must be one of: %(choices)s.") % {"choices": ", ".join(DELETES)}, field="data")
    if pool.missing_since is None:
        if data == "volumes" and pool.type not in DELETING_POOLS:
            sentence = _("The volumes of the pool %(pool)s are made and deleted by the storage itself. Keep them.")
            raise NotSupported(sentence % {"pool": pool.name}, field="data")
        if data == "volumes" and not pool.is_active:
            sentence = _("The pool %(pool)s is stopped. Start it, so that what is in it can be deleted.")
            raise WrongState(sentence % {"pool": pool.name})
        check_nobody_needs(pool)
    return _job(pool_tasks.delete_pool, pool, _("Delete the pool %(pool)s"), by, data=data)


def check_nobody_needs(pool: Pool) -> None:
    """Raise VolumeInUse, naming one, when guests or overlays have volumes of the pool."""
    needed = pool.volumes.filter(missing_since=None).exclude(unused())
    for volume in needed[:1]:
        guests = volume.used_by.filter(guest__missing_since=None).select_related("guest")
        who = next((disk.guest.name for disk in guests), None)
        words = {"pool": pool.name, "name": volume.name, "guest": who}
        if who:
            raise VolumeInUse(_("The pool %(pool)s was left as it is: %(guest)s has its volume %(name)s.") % words)
        inside = Volume.objects.filter(backing_path=volume.path, missing_since=None, pool=pool).exists()
        if not inside:
            raise VolumeInUse(_("The pool %(pool)s was left as it is: another volume lies on its %(name)s.") % words)


def let_qemu_in(pool: Pool, *, by: User) -> Job:
    """Let QEMU's user enter the directories on the way to the pool. Raises WrongState or Busy."""
    _check_there(pool)
    return _job(pool_tasks.let_qemu_in, pool, _("Let QEMU into the pool %(pool)s"), by)


def set_warning(pool: Pool, percent: int, *, by: User) -> None:
    """From which share on people are told that the pool is filling up; 0: never. Raises Invalid."""
    if not 0 <= percent <= 100:
        raise Invalid(_("Give a share from 1 to 100 percent, or 0 for never."), field="warn_percent")
    pool.warn_percent = percent
    pool.save(update_fields=["warn_percent"])
    audit.record(by, "set_pool_warning", kind="pool", object_id=pool.pk, name=pool.name, detail=str(percent))
    publish(f"pool-{pool.pk}", "pools")


def _check_there(pool: Pool) -> None:
    if pool.missing_since:
        words = {"pool": pool.name, "host": pool.host.name}
        raise PoolNotFound(_("The pool %(pool)s is not on %(host)s any more.") % words)


def _job(task: Any, pool: Pool, title: str, by: User, **arguments: Any) -> Job:
    held = [Ref("pool", pool.pk, pool.name, exclusive=True), host_ref(pool)]
    job = Job.start(task, title=title % {"pool": pool.name}, by=by, objects=held, pool_id=pool.pk, **arguments)
    publish("pools")
    return job
