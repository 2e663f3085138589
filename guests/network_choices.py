"""The networks that a new guest can be on."""

from typing import NamedTuple

from django.db.models import Count, Q
from django.utils.translation import gettext as _

from accounts.models import User
from hosts.models import Host
from networking.models import Bridge, Network


class NetworkChoice(NamedTuple):
    """One of the networks that a guest can be on. `value` is "network:3", "bridge:5" or "none"."""

    value: str
    title: str
    text: str
    guests: int | None
    is_active: bool


def networks_of(user: User, host: Host | None) -> list[NetworkChoice]:
    """The networks and bridges of a host, in words."""
    used = Count("nics", filter=Q(nics__guest__missing_since=None))
    networks = Network.objects.permitted(user, "view").filter(host=host, missing_since=None).annotate(used=used)
    bridges = Bridge.objects.permitted(user, "view").filter(host=host, missing_since=None).annotate(used=used)
    return [
        *(
            NetworkChoice(
                f"network:{row.pk}",
                _("Network %(name)s") % {"name": row.name},
                _network_text(row),
                row.used,
                row.is_active,
            )
            for row in networks
        ),
        *(
            NetworkChoice(
                f"bridge:{row.pk}",
                _("Bridge %(name)s") % {"name": row.name},
                _("The guest sits on the network of the host itself, and others reach it directly."),
                row.used,
                row.is_active,
            )
            for row in bridges
        ),
        NetworkChoice("none", _("No network card"), _("One can be added later."), None, True),
    ]


def _network_text(network: Network) -> str:
    if not network.is_active:
        return _("It is stopped: a guest on it does not start.")
    texts = {
        "nat": _("The guest gets out through the host; nobody gets in without a port forward."),
        "route": _("The guest is reached by routes to the host."),
        "open": _("The guest is reached by routes to the host, and no firewall rules are made."),
        "bridge": _("The guest sits on a network of the host, and others reach it directly."),
        "isolated": _("Guests of this network and the host only."),
    }
    return texts.get(network.forward, "")
