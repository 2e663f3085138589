"""What can be done with secrets. The caller has asked `permitted`: an administrator of the host, but for the passphrase
of a volume, which whoever may configure the volume gives.
"""

from typing import Any
from uuid import uuid4

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from hosts.models import Host
from hosts.services import require_enabled
from jobs.models import Job, Ref
from storage.checks import check_present, host_ref, volume_ref
from storage.models import Volume
from virt.errors import SecretExists, WrongState
from virt.secret_xml import check_description, check_usage, value_bytes

from . import tasks
from .encrypted import check_given
from .models import HostSecret, PassingValue
from .using import Users, users_of


def create_secret(
    host: Host,
    usage: str,
    usage_id: str,
    value: str,
    *,
    by: User,
    description: str = "",
    keep: bool = True,
) -> Job:
    """Define a private secret and give it its value. `usage` is volume, ceph, iscsi or tls; without `keep` it is gone
    when libvirt is restarted.

    Raises Invalid (field "usage", "usage_id", "description" or "value"), SecretExists or HostDisabled.
    """
    require_enabled(host)
    usage_id = check_usage(usage, usage_id.strip())
    description = check_description(description.strip())
    value_bytes(usage, value)
    if HostSecret.objects.filter(host=host, usage=usage, usage_id=usage_id).exists():
        sentence = _("%(host)s has a secret for %(name)s already. Give that one another value.")
        raise SecretExists(sentence % {"host": host.name, "name": usage_id}, field="usage_id")
    with transaction.atomic():
        return Job.start(
            tasks.create_secret,
            title=_("Define the secret %(name)s") % {"name": usage_id},
            by=by,
            objects=[Ref("host", host.pk, host.name)],
            host_id=host.pk,
            uuid=str(uuid4()),
            usage=usage,
            usage_id=usage_id,
            description=description,
            ephemeral=not keep,
            value=PassingValue.give(value),
        )


def set_value(secret: HostSecret, value: str, *, by: User) -> Job:
    """Give a secret another value; what runs keeps the one that it started with. Raises Invalid ("value") or Busy."""
    require_enabled(secret.host)
    value_bytes(secret.usage, value)
    with transaction.atomic():
        title = _("Set the value of the secret %(name)s")
        return _job(tasks.set_secret_value, secret, title, by, value=PassingValue.give(value))


def delete_secret(secret: HostSecret, *, by: User) -> Job:
    """Have the host forget a secret and its value, which nobody gets back. Raises SecretInUse or Busy."""
    require_enabled(secret.host)
    check_deletable(secret)
    return _job(tasks.delete_secret, secret, _("Delete the secret %(name)s"), by)


def check_deletable(secret: HostSecret) -> Users:
    """Raise SecretInUse, naming who, when a guest or a pool asks for it. Returns what it opens."""
    users = users_of(secret.host, [secret])[secret.pk]
    for volume in Volume.objects.filter(pool__host=secret.host, missing_since=None, path=secret.usage_id):
        guests = [disk.guest.name for disk in volume.used_by.filter(guest__missing_since=None).select_related("guest")]
        if secret.usage == "volume" and guests:
            raise tasks.needed_by(str(secret), guests)
    if users.askers:
        raise tasks.needed_by(str(secret), [user.name for user in users.askers])
    return users


def give_passphrase(volume: Volume, passphrase: str, *, by: User, keep: bool = True) -> Job:
    """Give the volume's host its passphrase (again), once it was tried. Raises Invalid, WrongState or Busy."""
    require_enabled(volume.pool.host)
    check_can_give(volume)
    check_given(passphrase)
    with transaction.atomic():
        return Job.start(
            tasks.give_passphrase,
            title=_("Give the passphrase of %(name)s") % {"name": volume.name},
            by=by,
            objects=[volume_ref(volume), host_ref(volume.pool)],
            volume_id=volume.pk,
            value=PassingValue.give(passphrase),
            ephemeral=not keep,
        )


def check_can_give(volume: Volume) -> None:
    """Raise WrongState when the volume is not encrypted or not there."""
    check_present(volume)
    if volume.encryption != "luks":
        raise WrongState(_("%(name)s is not encrypted with LUKS.") % {"name": volume.name})


def _job(task: Any, secret: HostSecret, title: str, by: User, **arguments: Any) -> Job:
    host = secret.host
    held = [Ref("secret", secret.pk, str(secret), exclusive=True), Ref("host", host.pk, host.name)]
    return Job.start(task, title=title % {"name": secret}, by=by, objects=held, secret_id=secret.pk, **arguments)
