"""What encrypted volumes need of secrets, as steps of jobs, and what cannot be done with such volumes."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

from django.db.models import Q
from django.utils.translation import gettext as _

from hosts.models import Host
from jobs.models import Job
from jobs.tasks import RunningJob
from jobs.undo import undo
from storage.inventory import refresh_pool
from storage.making import exists_already
from storage.models import Pool, Volume
from storage.rules import FORMATS as IMAGE_FORMATS
from storage.rules import check_active, gone
from virt import disk_copy, disk_users, secrets, volumes
from virt.connection import Connection
from virt.disk_copy import Image
from virt.errors import Invalid, NotSupported, VirtError, VolumeInUse, WrongPassphrase
from virt.secret_xml import SecretXML, check_passphrase, value_bytes
from virt.types import VolumeInfo

from .inventory import sync_secrets
from .models import PassingValue

UNDO = "storage.delete_secret"
POOLS = frozenset({"dir", "fs", "netfs", "vstorage"})  # where the path of a volume is known before it is made
FORMATS = {"luks": "raw", "qcow2": "qcow2", "raw": "raw"}  # what is asked for, and the format beneath the encryption


def check_encryptable(pool: Pool, passphrase: str, *, has_backing: bool) -> None:
    """Raise Invalid unless an encrypted volume can be made in the pool with that passphrase."""
    check_pool_encrypts(pool, field="format")
    if has_backing:
        raise Invalid(_("An overlay is not encrypted here. Make the volume without one below it."), field="format")
    check_passphrase(passphrase)


def check_pool_encrypts(pool: Pool, *, field: str) -> None:
    """Raise Invalid unless encrypted volumes can be made in the pool."""
    if pool.type not in POOLS:
        sentence = _("Volumes of the pool %(pool)s cannot be encrypted here: only those of pools that are directories.")
        raise Invalid(sentence % {"pool": pool.name}, field=field)


def check_plain(volume: Volume, sentence: str) -> None:
    """Raise NotSupported with the sentence, which has %(name)s in it, when the volume is encrypted."""
    if volume.encryption:
        raise NotSupported(sentence % {"name": volume.name})


def check_copyable(volume: Volume, *, may_run: bool = False) -> None:
    """Raise NotSupported for an encrypted volume that is not a whole file, VolumeInUse when a running guest writes to
    it, unless it `may_run`.
    """
    if not volume.encryption:
        return
    words = {"name": volume.name}
    if volume.encryption != "luks":
        check_plain(volume, _("%(name)s is encrypted in a way that QEMU has given up, and is not copied or moved."))
    if volume.pool.type not in POOLS or volume.backing_path:
        sentence = _(
            "%(name)s is encrypted, and is copied or moved only where it is a file that lies on no other image. Make "
            "another encrypted volume and copy what is in it from inside a guest that has both."
        )
        raise NotSupported(sentence % words)
    if not may_run and (running := writing_guest(volume)):
        raise open_in(volume.name, running.name)


def writing_guest(volume: Volume) -> Any:
    """The running guest, a row of the room above, that writes to the volume as far as is known; None: there is none."""
    disks = volume.used_by.filter(guest__missing_since=None, is_readonly=False).select_related("guest")
    return next((disk.guest for disk in disks if disk.guest.is_on), None)


def open_in(name: str, guest: str) -> VolumeInUse:
    """The error for an encrypted volume that a running guest writes to: nobody else can read it meanwhile."""
    sentence = _(
        "%(name)s is encrypted, and the running guest %(guest)s writes to it. Shut %(guest)s down first: such a volume "
        "is copied byte for byte while nobody writes."
    )
    return VolumeInUse(sentence % {"name": name, "guest": guest})


def check_copy(volume: Volume, pool: Pool, image_format: str, preallocation: str, passphrase: str) -> None:
    """Raise Invalid unless the encrypted volume can be copied like that: with its header, byte for byte."""
    words = {"name": volume.name, "pool": pool.name}
    if pool.type not in POOLS:
        sentence = _("%(name)s is encrypted and goes into pools that are directories only, not into %(pool)s.")
        raise Invalid(sentence % words, field="pool")
    if image_format != volume.format:
        sentence = _("%(name)s is encrypted and is not opened on the way, so it keeps its format.")
        raise Invalid(sentence % words, field="format")
    if preallocation == "metadata" or (preallocation == "full" and volume.format != "raw"):
        sentence = _("%(name)s is encrypted: the space that its copy takes is that of its file.")
        raise Invalid(sentence % words, field="preallocation")
    if passphrase:
        check_given(passphrase)


def check_given(passphrase: str) -> None:
    """Raise Invalid (field "passphrase") when that cannot be the passphrase of any disk."""
    try:
        value_bytes("volume", passphrase)
    except Invalid as error:
        raise Invalid(str(error), field="passphrase") from error


def as_bytes(conn: Connection, info: VolumeInfo) -> VolumeInfo:
    """An encrypted volume as the bytes of its file, which are copied as they are.

    Raises VolumeInUse while a running guest writes to it.
    """
    check_unwritten(conn, info)
    size, _version = volumes.content_version(conn, info.pool, info.name)
    return replace(info, format="raw", capacity_bytes=size)


def check_unwritten(conn: Connection, info: VolumeInfo) -> None:
    """Raise VolumeInUse while a running guest writes to the encrypted volume."""
    if writer := disk_users.only_writer(conn, info.path, info.name, may_share=True):
        raise open_in(info.name, writer.guest)


def try_passphrase(job: RunningJob, conn: Connection, volume: Volume, value: bytes) -> None:
    """Open the volume with it, in a QEMU of our own that does nothing. Raises WrongPassphrase."""
    if disk_users.only_writer(conn, volume.path, volume.name):
        job.log(_("A running guest has it open, so the passphrase could not be tried."))
        return
    job.step(_("Trying the passphrase on %(name)s") % {"name": volume.name})
    uuid = str(uuid4())
    job.undo(UNDO, host_id=volume.pool.host_id, uuid=uuid)
    image_format = volume.format if volume.format in IMAGE_FORMATS else "raw"
    try:
        with (
            secrets.for_a_moment(conn, uuid, value) as secret,
            disk_copy.at_rest(conn, Image(path=volume.path, format=image_format, luks_secret=secret)),
        ):
            job.check_cancelled()
    except WrongPassphrase as error:
        sentence = _("This passphrase does not open %(name)s. Nothing was changed; try another one.")
        raise WrongPassphrase(sentence % {"name": volume.name}, details=error.details) from error


def secret_for_copy(
    job: RunningJob, pool: Pool, conn: Connection, made: VolumeInfo, luks: dict[str, Any], value: bytes
) -> None:
    """Give the host of a copy its passphrase, which was tried on the original; without one the copy waits for it."""
    host, words = pool.host, {"host": pool.host.name, "name": made.name}
    if value:
        job.step(_("Giving %(host)s the passphrase of %(name)s") % words)
        _define(job, host, conn, made.path, luks, value)
    else:
        if stale := secrets.find_secret(conn, "volume", made.path):
            secrets.delete_secret(conn, stale.uuid)
        job.log(_("%(host)s does not have the passphrase of %(name)s: give it on its page.") % words)
    sync_secrets(host, conn)


def secret_for_new(
    job: RunningJob, pool: Pool, conn: Connection, name: str, luks: dict[str, Any], value: bytes
) -> None:
    """Give the host the passphrase of the volume that is about to be made; taken back with the job. Nothing is touched
    when its name is taken, or is about to be by a job that was there first: its passphrase is at the host for the same
    path.
    """
    host = pool.host
    job.step(_("Giving %(host)s the passphrase of %(name)s") % {"host": host.name, "name": name})
    row = refresh_pool(host, conn, pool.name, rescan=True)
    if row is None:
        raise gone(pool.name, host.name)
    check_active(row)
    with_disk = Q(kind="create_guest", arguments__disk__pool=pool.name, arguments__disk__name=name)
    same = Q(kind="create_volume", arguments__pool_id=pool.pk, arguments__name=name) | with_disk
    is_taken = row.volumes.filter(name=name, missing_since=None).exists()
    if is_taken or Job.objects.active().filter(same, pk__lt=job.pk).exists():
        raise exists_already(name, pool.name)
    _define(job, host, conn, f"{row.target_path.rstrip('/')}/{name}", luks, value)


def _define(job: RunningJob, host: Host, conn: Connection, path: str, luks: dict[str, Any], value: bytes) -> None:
    """A secret of an earlier volume at that path, which is no more, is put away."""
    if stale := secrets.find_secret(conn, "volume", path):
        secrets.delete_secret(conn, stale.uuid)
    job.undo(UNDO, host_id=host.pk, uuid=luks["uuid"])
    wanted = SecretXML(uuid=luks["uuid"], usage="volume", usage_id=path, is_ephemeral=luks["ephemeral"])
    secrets.define_secret(conn, wanted, value)


def forget_passphrase(host: Host, conn: Connection, path: str) -> str:
    """After the volume at `path` is gone: its secret goes too, unless a guest still asks for it.

    Returns a sentence for the job's log; "" when the host had none. It raises nothing: the volume is gone already.
    """
    try:
        return _forget(host, conn, path)
    except VirtError as error:
        words = {"path": path, "error": error}
        return _("The passphrase of %(path)s could not be removed from the host: %(error)s") % words


def _forget(host: Host, conn: Connection, path: str) -> str:
    found = secrets.find_secret(conn, "volume", path)
    if found is None:
        return ""
    if guests := secrets.guests_naming(conn, found):
        words = {"path": path, "guests": ", ".join(sorted(info.name for info in guests))}
        return _("The passphrase of %(path)s stays on the host: these guests ask for it: %(guests)s.") % words
    secrets.delete_secret(conn, found.uuid)
    sync_secrets(host, conn)
    return _("The passphrase of %(path)s was removed from the host.") % {"path": path}


@undo(UNDO)
def delete_secret(*, host_id: int, uuid: str) -> None:
    """Of a secret that a job defined or was about to define. No such secret or host: there is nothing to do."""
    host = Host.objects.filter(pk=host_id).first()
    if host is None:
        return
    with host.connect() as conn:
        secrets.delete_secret(conn, uuid)
        sync_secrets(host, conn)


def has_passphrase(volume: Volume) -> bool:
    """Whether the volume's host has a secret for it, as last seen."""
    return bool(volume.pool.host.secrets.filter(usage="volume", usage_id=volume.path).exists())


def luks_arguments(uuid: str, passphrase: str, *, keep: bool) -> dict[str, Any]:
    """For the job that makes or copies an encrypted volume: JSON without the passphrase, which a copy may lack."""
    return {"uuid": uuid, "value": PassingValue.give(passphrase) if passphrase else "", "ephemeral": not keep}


def taken(luks: dict[str, Any] | None) -> bytes:
    """The passphrase that a job was given by `luks_arguments`, once; empty when there was none. Raises ValueGone."""
    return PassingValue.take(luks["value"]).encode() if luks and luks["value"] else b""
