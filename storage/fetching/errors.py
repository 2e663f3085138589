"""What can go wrong with a fetch, as sentences and HTTP statuses."""

from virt.errors import UserError


class AddressRefused(UserError):
    """The address leads into a network that kvmweb does not ask, such as this machine itself."""

    code, status = "address_refused", 422


class FetchFailed(UserError):
    """The other server does not answer, or not with the file."""

    code, status = "fetch_failed", 502


class FileMissing(FetchFailed):
    """The server is there and says that it has no such file."""


class NotUnpacked(UserError):
    """What came is compressed and cannot be unpacked: damaged, or far larger than any image."""

    code, status = "not_unpacked", 422
