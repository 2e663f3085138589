"""Steps on the way to a libvirtd that listens by itself: on a port, with or without TLS, or on a socket here."""

import ssl
from pathlib import Path

from django.utils.translation import gettext as _

from virt.access import offered_logins

from . import probes
from .address import Scope
from .trip import SOCKETS, Found, Stop, Trip, no_connection


def connect_tcp(trip: Trip) -> Found:
    """For TCP and TLS: only that the port takes a connection."""
    port = trip.address.actual_port
    try:
        probes.connect(trip.address.hostname, port).close()
    except OSError as error:
        kind = trip.address.transport
        no_connection(error, port, f"systemctl stop libvirtd && systemctl enable --now libvirtd-{kind}.socket")
    return Found(_("Port %(port)d takes connections.") % {"port": port})


def certificates(trip: Trip) -> Found:
    pki = trip.access.pki_path
    ours = probes.Certificates.below(Path(pki)) if pki else probes.Certificates()
    if not ours.exist:
        raise Stop(
            "own_certificates_missing",
            _("No client certificate was given, and there is none in /etc/pki of the machine that kvmweb runs on."),
            todo=_("Paste the CA, the client certificate and its key into the connection."),
        )
    name, port = trip.address.hostname, trip.address.actual_port
    try:
        peer = probes.tls_peer(name, port, ours)
    except ssl.SSLCertVerificationError as error:
        raise Stop(
            "host_certificate_refused",
            _("The certificate of the host does not hold: %(why)s.") % {"why": error.verify_message},
            todo=_(
                "It must be signed by the CA that was given, be valid today (compare the clocks), and name %(name)s as "
                "dns_name or ip_address."
            )
            % {"name": name},
            command="certtool -i --infile /etc/pki/libvirt/servercert.pem; date",
            details=str(error),
        ) from error
    except probes.Silent as error:
        no_connection(error, port, "")
    except ssl.SSLError as error:
        raise Stop(
            "own_certificate_refused",
            _("The host does not accept the client certificate that was given."),
            todo=_("It must be signed by the CA in /etc/pki/CA/cacert.pem of the host, and be in tls_allowed_dn_list."),
            command="grep -E '^ *(tls_|ca_file)' /etc/libvirt/libvirtd.conf",
            details=str(error),
        ) from error
    except OSError as error:
        no_connection(error, port, "")
    return Found(_("The host is %(peer)s, and both certificates hold.") % {"peer": peer or name})


def libvirt_answers(trip: Trip) -> Found:
    name, port = trip.address.hostname, trip.address.actual_port
    try:
        kinds = offered_logins(name, port, probes.ANSWER_TIMEOUT_S)
    except TimeoutError as error:
        no_connection(probes.Silent(str(error)), port, "")
    except OSError as error:
        no_connection(error, port, "")
    if not kinds:
        raise Stop(
            "host_not_libvirt",
            _("Something answers on port %(port)d, but it is not libvirt.") % {"port": port},
            todo=_("Give the port on which libvirtd of the host listens."),
        )
    if "none" in kinds:
        return Found(
            _("libvirtd answers."),
            warning=_(
                "It asks nobody for a password: whoever reaches this port rules the host. Use SSH or TLS instead."
            ),
        )
    return Found(_("libvirtd answers, and asks for a password."))


def libvirt_here(trip: Trip) -> Found:
    wanted = [trip.address.socket] if trip.address.socket else list(SOCKETS)
    found = next((path for path in wanted if Path(path).is_socket()), "")
    if not found and trip.address.scope == Scope.SYSTEM:
        raise Stop(
            "libvirt_stopped",
            _("libvirt does not run on this machine: there is no %(socket)s.") % {"socket": wanted[0]},
            todo=_("Start it."),
            command="systemctl enable --now libvirtd",
        )
    return Found(_("libvirtd listens on %(socket)s.") % {"socket": found} if found else _("libvirt is there."))
