"""What can go wrong with an upload, as sentences and HTTP statuses."""

from django.utils.translation import gettext as _

from storage.helper.parts import PartError
from virt.errors import UserError


class UploadError(UserError):
    """Base of what this package raises."""


class BadRequest(UploadError):
    """A header is missing or cannot be read."""

    code, status = "bad_request", 400


class NotAuthenticated(UploadError):
    """Neither a session nor a valid token."""

    code, status = "not_authenticated", 401


class ForeignOrigin(UploadError):
    """A page of another site asked."""

    code, status = "foreign_origin", 403


class NotFound(UploadError):
    """No such upload or pool, or not this user's."""

    code, status = "not_found", 404


class MethodNotAllowed(UploadError):
    """The method means nothing at this address."""

    code, status = "method_not_allowed", 405


class Stalled(UploadError):
    """The body broke off; nobody may be there to read this."""

    code, status = "upload_stalled", 408


class NameTaken(UploadError):
    """The pool holds a file with that name."""

    code, status = "name_exists", 409


class UploadInProgress(UploadError):
    """Another upload is bringing a file with that name."""

    code, status = "upload_in_progress", 409


class WrongOffset(UploadError):
    """The client wants to go on from somewhere else than where the file ends."""

    code, status = "wrong_offset", 409


class AlreadyComplete(UploadError):
    """The upload is done; its file is a volume now."""

    code, status = "already_complete", 409


class Ended(UploadError):
    """The upload was cancelled or failed and cannot go on."""

    code, status = "upload_ended", 410


class WrongVersion(UploadError):
    """The client does not speak tus 1.0.0."""

    code, status = "wrong_tus_version", 412


class TooMuch(UploadError):
    """More bytes than the upload was created for, or than any file can have."""

    code, status = "too_much", 413


class WrongContentType(UploadError):
    """The body of a PATCH is not application/offset+octet-stream."""

    code, status = "wrong_content_type", 415


class Locked(UploadError):
    """Another request is writing to this upload."""

    code, status = "upload_locked", 423


class ChecksumMismatch(UploadError):
    """What arrived is not what was sent."""

    code, status = "checksum_mismatch", 460


class NotSupportedHere(UploadError):
    """The pool cannot take an upload."""

    code, status = "not_supported", 501


class StorageFailed(UploadError):
    """The file system or the helper said no."""

    code, status = "storage_failed", 502


class HelperUnreachable(UploadError):
    """The root helper does not run."""

    code, status = "helper_unreachable", 503


class NoSpace(UploadError):
    """The file system has too little room."""

    code, status = "no_space", 507


def from_part_error(error: PartError, *, name: str, pool: str) -> UploadError:
    """The error for the user that says what the helper's `error` means for the file `name` in `pool`."""
    words = {"name": name, "pool": pool}
    if error.code == "exists":
        message = _("%(name)s exists already in pool %(pool)s. Rename your file, or delete the one there first.")
        return NameTaken(message % words, field="name")
    if error.code == "no_space":
        return no_space(name, pool, details=str(error))
    if error.code == "missing":
        return Ended(_("The upload of %(name)s was cancelled or removed. Start it again.") % words, details=str(error))
    if error.code == "unreachable":
        message = _("kvmweb's helper for files does not answer. Start it again with script/server, then go on.")
        return HelperUnreachable(message, details=str(error))
    if error.code in ("not_served", "no_directory"):
        message = _("Pool %(pool)s does not take uploads: its directory is not there, or not one of those for uploads.")
        return NotSupportedHere(message % words, details=str(error))
    message = _("%(name)s could not be written to pool %(pool)s. The details say what the system answered.")
    return StorageFailed(message % words, details=str(error))


def no_space(name: str, pool: str, *, details: str = "") -> NoSpace:
    """The pool's file system is full."""
    message = _("Pool %(pool)s has too little room for %(name)s. Free some space there and try again.")
    return NoSpace(message % {"name": name, "pool": pool}, details=details)
