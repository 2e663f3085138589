"""The networks for which a tree is published."""

import ipaddress
from collections.abc import Iterable

from django.utils.translation import gettext as _

from virt.errors import Invalid

MAX_NETWORKS = 50
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_networks(text: str) -> list[str]:
    """Networks in CIDR notation out of a list with commas or line breaks. Raises Invalid (field "networks")."""
    found = []
    for word in text.replace(",", " ").split():
        try:
            found.append(str(ipaddress.ip_network(word, strict=False)))
        except ValueError:
            sentence = _("%(word)s is not a network. A network looks like 192.168.122.0/24.")
            raise Invalid(sentence % {"word": word[:60]}, field="networks") from None
    if not found:
        sentence = _("Name at least one network whose machines may read the files, such as 192.168.122.0/24.")
        raise Invalid(sentence, field="networks")
    if len(found) > MAX_NETWORKS:
        raise Invalid(_("At most %(number)d networks.") % {"number": MAX_NETWORKS}, field="networks")
    return list(dict.fromkeys(found))


def is_within(address: Address, networks: Iterable[str]) -> bool:
    """Whether an address is in one of the networks; an IPv4 address that comes as IPv6 counts as what it is."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in map(ipaddress.ip_network, networks))
