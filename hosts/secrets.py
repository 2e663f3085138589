"""Passwords and keys in the database are encrypted with a key that lies beside it, not in it.

So a copy of the database alone, a backup or a dump, opens no host. https://cryptography.io/en/latest/fernet/

`cryptography` takes 10 MiB of each process that imports it: it is imported by those that use it, when they do.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.translation import gettext as _

from virt.errors import UserError

from .files import make_once

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


class SecretLost(UserError):
    """A stored secret cannot be read any more."""

    code, status = "secret_lost", 409


def key_file() -> Path:
    return Path(settings.VAR) / "credentials-key"


def seal(secret: str) -> str:
    """`secret` as it may be stored; "" stays ""."""
    return _fernet().encrypt(secret.encode()).decode() if secret else ""


def unseal(sealed: str) -> str:
    """What `seal` was given. Raises SecretLost when it was sealed with another key."""
    from cryptography.fernet import InvalidToken

    if not sealed:
        return ""
    try:
        return _fernet().decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise SecretLost(
            _(
                "The stored password or key of the host cannot be read, since %(path)s is another file than it was. "
                "Put the old one back, or enter the password or key again in the connection of the host."
            )
            % {"path": key_file()}
        ) from error


def _fernet() -> "Fernet":
    from cryptography.fernet import Fernet

    path = key_file()
    if not path.exists():
        make_once(path, Fernet.generate_key())
    return Fernet(path.read_bytes().strip())
