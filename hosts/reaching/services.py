"""What can be done about the way to a host. Whoever calls has asked `permitted` or `require` already."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import User
from hosts.mixins import OnHost
from hosts.models import Host
from jobs.live import publish
from jobs.models import Job, Ref
from virt.errors import Invalid

from . import keys, saving, tasks
from .address import Address, Transport
from .journey import refuse_same_address
from .models import LOGIN_FIELDS, Attempt, Credentials

MOST_TAGS = 20
LONGEST_PEM = 64 * 1024
LONGEST_NAME = 255
KEPT_ATTEMPTS = 200


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How somebody wants to reach a host. Of what is None, the host's own stays; `host_key` is a fingerprint."""

    address: Address
    name: str = ""
    tags: tuple[str, ...] = ()
    username: str | None = None
    password: str | None = None
    tls_ca: str | None = None
    tls_certificate: str | None = None
    tls_key: str | None = None
    host_key: str = ""
    allows_twin: bool = False


def try_host(wanted: Wanted, *, by: User, host: Host | None = None, saves: bool = True) -> Attempt:
    """Start trying to reach a host, and with `saves` to add it, or to change how `host` is reached, when that works.

    Raises Invalid, Busy, or a Stop when another host has that address.
    """
    refuse_same_address(wanted.address, host)
    attempt = Attempt(host=host, uri=wanted.address.uri, saves=saves, created_by=by, allows_twin=wanted.allows_twin)
    attempt.name = _name(wanted.name, host)
    attempt.tags = clean_tags(wanted.tags)
    if host is not None:
        known = Credentials.objects.filter(host=host).first()
        for name in LOGIN_FIELDS if known else ():
            setattr(attempt, name, getattr(known, name))
    _fill_login(attempt, wanted)
    return _start(attempt, by=by, confirmed=wanted.host_key)


def try_again(attempt: Attempt, *, by: User, host_keys: Iterable[str] = (), allows_twin: bool = False) -> Attempt:
    """Try once more, after something was mended on the host; `host_keys` are fingerprints, of those that the host
    showed last, that somebody confirmed. Raises Invalid (not one of them) or Busy.
    """
    wanted = set(host_keys)
    if wanted:
        offered = {keys.fingerprint(key): key for key in attempt.offered_keys.splitlines()}
        if not wanted <= set(offered):
            raise Invalid(_("The host does not show this key any more. Try again."), field="host_key")
        attempt.host_keys = "\n".join(key for print_, key in offered.items() if print_ in wanted)
        audit.record(
            by, "confirm_host_key", kind="host", object_id=attempt.host_id or "", name=str(attempt),
            detail=", ".join(sorted(wanted)),
        )  # fmt: skip
    attempt.allows_twin = attempt.allows_twin or allows_twin
    return _start(attempt, by=by)


def remove_host(host: Host, *, by: User) -> Job:
    """Forget how to reach the host. Its rows stay, marked, with their history; nothing on the machine is touched.

    Raises Busy while a job changes it.
    """
    with transaction.atomic():
        job = Job.start(
            tasks.remove_host,
            title=_("Remove %(host)s from kvmweb") % {"host": host.name},
            by=by,
            objects=[Ref("host", host.pk, host.name, exclusive=True)],
            host_id=host.pk,
        )
        now = timezone.now()
        Host.objects.filter(pk=host.pk).update(
            state=Host.State.DISABLED, state_since=now, removed_at=now, error="", error_details=""
        )
        for relation in Host._meta.related_objects:
            model = relation.related_model
            if isinstance(model, type) and issubclass(model, OnHost):
                model._default_manager.filter(host=host, missing_since=None).update(**model.when_lost(now))
        publish("hosts", f"host-{host.pk}", "guests", "pools", "networks", "bridges")
    return job


def set_tags(host: Host, names: Iterable[str], *, by: User) -> None:
    """Give the host these tags in place of those that it has. Raises Invalid."""
    wanted = clean_tags(names)
    with transaction.atomic():
        saving.set_tags(host, wanted)
        audit.record(by, "tag_host", kind="host", object_id=host.pk, name=host.name, detail=", ".join(wanted))
        publish("hosts", f"host-{host.pk}")


def clean_tags(names: Iterable[str]) -> list[str]:
    """Tags without blanks around them, each once, in order. Raises Invalid."""
    found = sorted({" ".join(name.split()) for name in names} - {""})
    if len(found) > MOST_TAGS:
        raise Invalid(_("A host has at most %(most)d tags.") % {"most": MOST_TAGS}, field="tags")
    if any(len(name) > saving.LONGEST_TAG or not name.isprintable() or "," in name for name in found):
        raise Invalid(_("A tag has 1 to %(most)d printable characters.") % {"most": saving.LONGEST_TAG}, field="tags")
    return found


def _start(attempt: Attempt, *, by: User, confirmed: str = "") -> Attempt:
    with transaction.atomic():
        attempt.steps = []
        attempt.save()
        host = attempt.host
        where = host.name if host else attempt.name or attempt.address.hostname or attempt.uri
        title = _("Add the host %(name)s") if host is None else _("Connect %(name)s")
        if not attempt.saves:
            title = _("Try to reach %(name)s")
        objects = [Ref("host", host.pk, host.name, exclusive=attempt.saves)] if host else []
        attempt.job = Job.start(
            tasks.try_host,
            title=title % {"name": where},
            by=by,
            objects=objects,
            attempt_id=attempt.pk,
            host_key=confirmed,
        )
        attempt.save(update_fields=["job"])
        kept = Attempt.objects.order_by("-pk").values("pk")[:KEPT_ATTEMPTS]
        Attempt.objects.exclude(pk__in=list(kept.values_list("pk", flat=True))).delete()
    return attempt


def _name(name: str, host: Host | None) -> str:
    wanted = " ".join(name.split())
    if len(wanted) > LONGEST_NAME or not wanted.isprintable():
        raise Invalid(_("A host's name has 1 to %(most)d printable characters.") % {"most": LONGEST_NAME}, field="name")
    if wanted and host is None and Host.objects.present().filter(name=wanted).exists():
        raise Invalid(_("There is a host %(name)s already. Choose another name.") % {"name": wanted}, field="name")
    return wanted


def _fill_login(attempt: Attempt, wanted: Wanted) -> None:
    """Take over what was given, as far as the transport has a use for it. Raises Invalid."""
    transport = wanted.address.transport
    has_password = transport in (Transport.TCP, Transport.TLS)
    username, password = (wanted.username, wanted.password) if has_password else ("", "")
    if username is not None:
        attempt.username = username.strip()
    if password is not None:
        attempt.password = password
    if transport != Transport.TLS:
        attempt.tls_ca = attempt.tls_certificate = attempt.sealed_tls_key = ""
        return
    if wanted.tls_ca is not None:
        attempt.tls_ca = _certificate(wanted.tls_ca, "tls_ca")
    if wanted.tls_certificate is not None:
        attempt.tls_certificate = _certificate(wanted.tls_certificate, "tls_certificate")
    if wanted.tls_key is not None:
        attempt.tls_key = wanted.tls_key.strip()
    given = [attempt.tls_ca, attempt.tls_certificate, attempt.sealed_tls_key]
    if any(given) and not all(given):
        raise Invalid(_("Give all three: the CA, the client certificate and its key."), field="tls_certificate")
    if all(given):
        _require_pair(attempt)


def _certificate(pem: str, field: str) -> str:
    from cryptography import x509

    text = pem.strip()
    if not text:
        return ""
    try:
        if len(text) > LONGEST_PEM:
            raise ValueError("too long")
        x509.load_pem_x509_certificates(text.encode())
    except ValueError as error:
        raise Invalid(
            _("This is no certificate in PEM form. It begins with -----BEGIN CERTIFICATE-----."), field=field
        ) from error
    return text + "\n"


def _require_pair(attempt: Attempt) -> None:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(attempt.tls_key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Invalid(
            _("This is no private key in PEM form without a password. It begins with -----BEGIN PRIVATE KEY-----."),
            field="tls_key",
        ) from error
    certificate = x509.load_pem_x509_certificates(attempt.tls_certificate.encode())[0]
    if key.public_key() != certificate.public_key():
        raise Invalid(_("This key does not belong to the client certificate."), field="tls_key")
