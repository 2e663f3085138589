"""Which addresses may be asked for a file.

A server that fetches what people name can be led to its own services, to a cloud's metadata address or into the network
behind it. So a name is resolved once, every address that it has must be public (or in a network that the administrator
allows), and the connection goes to that very address: a name that resolves differently a moment later gains nothing.
"""

import ipaddress
import socket
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from virt.errors import Invalid

from .errors import AddressRefused, FetchFailed

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MAX_URL = 2000
_PORTS = {"http": 80, "https": 443}
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # NAT64: the last 32 bits are an IPv4 address


class Target(NamedTuple):
    """Where a request goes: `address` is what is connected to, the rest is what is asked for."""

    scheme: str
    host: str
    port: int
    path: str
    address: str


def parse_url(url: str, *, field: str = "url") -> SplitResult:
    """The parts of an http or https URL. Raises Invalid for another one, or one with a password in it."""
    url = url.strip()
    if len(url) > MAX_URL or any(ord(c) <= 32 or ord(c) == 127 for c in url):
        raise Invalid(_("This is not an address: it is too long, or has blanks in it."), field=field)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Invalid(_("This is not an address. It looks like https://example.org/file.iso."), field=field) from None
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise Invalid(_("Give an address that starts with https:// or http:// and names a server."), field=field)
    if parts.username or parts.password:
        raise Invalid(_("Addresses with a user name or password in them are not fetched."), field=field)
    literal = _literal(parts.hostname)
    if literal is not None:
        _check(literal, parts.hostname, field)
    return parts


def resolve(parts: SplitResult) -> Target:
    """Look the name up. Raises AddressRefused when any of its addresses is not one to ask, FetchFailed without one."""
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        sentence = _("There is no server called %(host)s, or the name service does not answer. Check the address.")
        raise FetchFailed(sentence % {"host": host}, details=str(error), field="url") from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        _check(ipaddress.ip_address(address.partition("%")[0]), host, "url")
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    return Target(parts.scheme, host, port, f"{path}?{query}" if query else path, addresses[0])


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Whether a file may be fetched from `address`: a public one, or one of the networks in `allowed`."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_allowed(inner, allowed)
    if any(address.version == network.version and address in network for network in allowed):
        return True
    if address.is_reserved or (address.version == 6 and address.is_site_local):  # ::127.0.0.1 counts as global, too
        return False
    return address.is_global and not address.is_multicast


def _check(address: Address, host: str, field: str) -> None:
    allowed = [ipaddress.ip_network(text, strict=False) for text in settings.FETCH_NETWORKS]
    if not is_allowed(address, allowed):
        sentence = _(
            "%(host)s is %(address)s, an address of this machine or of a private network, and nothing is fetched from"
            " there. If it is meant, the administrator can add its network to KVMWEB_FETCH_NETWORKS."
        )
        raise AddressRefused(sentence % {"host": host, "address": address}, field=field)


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
