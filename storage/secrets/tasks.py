"""The jobs that bring secrets to hosts and take them away. A value is taken once from where it waits, sealed."""

from typing import Any

from django.utils.translation import gettext as _

from hosts.models import Host
from jobs.live import publish
from jobs.tasks import RunningJob, job_task
from storage.models import Volume
from virt import secrets
from virt.errors import SecretInUse
from virt.secret_xml import SecretXML, value_bytes

from .encrypted import UNDO, try_passphrase
from .inventory import sync_secrets
from .models import HostSecret, PassingValue


@job_task(soft_time_limit=120)
def create_secret(
    job: RunningJob,
    *,
    host_id: int,
    uuid: str,
    usage: str,
    usage_id: str,
    description: str,
    ephemeral: bool,
    value: str,
) -> dict[str, Any]:
    """Define a secret and give it its value; a job that fails leaves none."""
    host = Host.objects.get(pk=host_id)
    known = value_bytes(usage, PassingValue.take(value))
    wanted = SecretXML(uuid=uuid, usage=usage, usage_id=usage_id, description=description, is_ephemeral=ephemeral)
    with host.connect() as conn:
        job.step(_("Defining the secret %(name)s") % {"name": usage_id})
        job.undo(UNDO, host_id=host_id, uuid=uuid)
        secrets.define_secret(conn, wanted, known)
        sync_secrets(host, conn)
    return {"uuid": uuid, "secret_id": HostSecret.objects.get(host=host, uuid=uuid).pk}


@job_task(soft_time_limit=120)
def set_secret_value(job: RunningJob, *, secret_id: int, value: str) -> dict[str, Any]:
    """Give a secret another value."""
    row = HostSecret.objects.select_related("host").get(pk=secret_id)
    known = value_bytes(row.usage, PassingValue.take(value))
    with row.host.connect() as conn:
        job.step(_("Setting the value of the secret %(name)s") % {"name": row})
        secrets.set_value(conn, row.uuid, known)
        sync_secrets(row.host, conn)
    return {"secret_id": secret_id}


@job_task(soft_time_limit=120)
def delete_secret(job: RunningJob, *, secret_id: int) -> dict[str, Any] | None:
    """Have the host forget a secret that no guest asks for; gone already is not an error."""
    row = HostSecret.objects.select_related("host").get(pk=secret_id)
    with row.host.connect() as conn:
        job.step(_("Looking who uses the secret %(name)s") % {"name": row})
        info = next((info for info in secrets.list_secrets(conn) if info.uuid == str(row.uuid)), None)
        if info:
            # libvirt knows best: a guest may have taken it since our rows were written.
            if guests := secrets.guests_naming(conn, info):
                raise needed_by(str(row), [guest.name for guest in guests])
            job.step(_("Deleting the secret %(name)s") % {"name": row})
            secrets.delete_secret(conn, row.uuid)
        sync_secrets(row.host, conn)
    return None


@job_task(soft_time_limit=300)
def give_passphrase(job: RunningJob, *, volume_id: int, value: str, ephemeral: bool) -> dict[str, Any]:
    """Try a passphrase on an encrypted volume and, when it opens it, have the host keep it."""
    volume = Volume.objects.select_related("pool__host").get(pk=volume_id)
    host = volume.pool.host
    known = PassingValue.take(value).encode()
    with host.connect() as conn:
        try_passphrase(job, conn, volume, known)
        job.step(_("Giving %(host)s the passphrase of %(name)s") % {"host": host.name, "name": volume.name})
        there = secrets.find_secret(conn, "volume", volume.path)
        if there and there.is_ephemeral == ephemeral:
            secrets.set_value(conn, there.uuid, known)
        else:
            if there:  # whether it stays cannot be changed; its UUID can be kept
                secrets.delete_secret(conn, there.uuid)
            uuid = there.uuid if there else secrets.uuid_for_image(conn, volume.path)
            wanted = SecretXML(uuid=uuid, usage="volume", usage_id=volume.path, is_ephemeral=ephemeral)
            secrets.define_secret(conn, wanted, known)
        sync_secrets(host, conn)
        publish(f"volume-{volume.pk}")
    return {"volume_id": volume_id}


def needed_by(name: str, who: list[str]) -> SecretInUse:
    """The error that says who keeps a secret from being deleted."""
    sentence = _("The secret %(name)s is left as it is: %(who)s asks for it and would not start without it.")
    return SecretInUse(sentence % {"name": name, "who": ", ".join(sorted(who)[:5])})
