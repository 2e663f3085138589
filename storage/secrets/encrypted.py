"""What encrypted volumes need of secrets, as steps of jobs, and what cannot be done with such volumes."""

from typing import Any

from django.utils.translation import gettext as _

from hosts.models import Host
from jobs.tasks import RunningJob
from jobs.undo import undo
from storage.models import Pool, Volume
from virt import secrets
from virt.connection import Connection
from virt.errors import Invalid, NotSupported, VirtError
from virt.secret_xml import SecretXML, check_passphrase

from .inventory import sync_secrets
from .models import PassingValue

UNDO = "storage.delete_secret"
POOLS = frozenset({"dir", "fs", "netfs", "vstorage"})  # where the path of a volume is known before it is made
FORMATS = {"luks": "raw", "qcow2": "qcow2", "raw": "raw"}  # what is asked for, and the format beneath the encryption


def check_encryptable(pool: Pool, passphrase: str, *, has_backing: bool) -> None:
    """Raise Invalid unless an encrypted volume can be made in the pool with that passphrase."""
    if pool.type not in POOLS:
        sentence = _("Volumes of the pool %(pool)s cannot be encrypted here: only those of pools that are directories.")
        raise Invalid(sentence % {"pool": pool.name}, field="format")
    if has_backing:
        raise Invalid(_("An overlay is not encrypted here. Make the volume without one below it."), field="format")
    check_passphrase(passphrase)


def check_plain(volume: Volume, sentence: str) -> None:
    """Raise NotSupported with the sentence, which has %(name)s in it, when the volume is encrypted."""
    if volume.encryption:
        raise NotSupported(sentence % {"name": volume.name})


def secret_for_new(
    job: RunningJob, host: Host, conn: Connection, path: str, uuid: str, value: bytes, *, ephemeral: bool
) -> None:
    """Give the host the passphrase of the volume that is about to be made at `path`; taken back with the job.

    A secret of an earlier volume at that path, which is no more, is put away.
    """
    if stale := secrets.find_secret(conn, "volume", path):
        secrets.delete_secret(conn, stale.uuid)
    job.undo(UNDO, host_id=host.pk, uuid=uuid)
    secrets.define_secret(conn, SecretXML(uuid=uuid, usage="volume", usage_id=path, is_ephemeral=ephemeral), value)


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
    """For the job that makes an encrypted volume: JSON without the passphrase."""
    return {"uuid": uuid, "value": PassingValue.give(passphrase), "ephemeral": not keep}
