"""Whether a list of checksums is signed by a key: gpgv says so. Workers only.

https://www.gnupg.org/documentation/manuals/gnupg/gpgv.html, https://github.com/gpg/gnupg/blob/master/doc/DETAILS
"""

import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from django.utils.translation import gettext as _

from storage.fetching.download import fetch_bytes
from storage.fetching.errors import FileMissing
from virt.errors import NotSupported, UserError

from .models import SignerKey

BESIDE = (".gpg", ".sign", ".asc", ".sig")  # how vendors call the signature beside a list
TIMEOUT_S = 60
_CLEAR = b"-----BEGIN PGP SIGNED MESSAGE-----"
# It reads what strangers wrote: half a GiB of addresses, 20 s of processor time, files of 16 MiB.
_LIMITS = ("prlimit", "--as=536870912", "--cpu=20", "--fsize=16777216", "--core=0")


class SignatureWrong(UserError):
    """The list is not signed by whom it should be."""

    code, status = "signature_wrong", 409


def read_list(url: str, signer: SignerKey | None, check: Callable[[], None] = lambda: None) -> tuple[str, str]:
    """The list of checksums at `url`, and by whose key it is signed: its fingerprint, "" where no signer is named.

    With a signer only what that key has signed is returned: in the list itself, or in a file beside it. Raises
    SignatureWrong, NotSupported (gpgv is not installed) and what a download raises.
    """
    content = fetch_bytes(url, check)
    if signer is None:
        return content.decode("utf-8", "replace"), ""
    signature = None
    if _CLEAR not in content:
        signature = _beside(url, check)
        if signature is None:
            sentence = _("The list at %(url)s is not signed, and it should be by %(signer)s. Nothing was fetched.")
            raise SignatureWrong(sentence % {"url": url, "signer": signer})
    signed = signed_content(content, signature, signer)
    if signed is None:
        sentence = _(
            "The list at %(url)s is not signed by %(signer)s (%(fingerprint)s), or was changed since. Nothing was"
            " fetched."
        )
        raise SignatureWrong(sentence % {"url": url, "signer": signer, "fingerprint": signer.spaced})
    return signed.decode("utf-8", "replace"), signer.fingerprint


def signed_content(content: bytes, signature: bytes | None, signer: SignerKey) -> bytes | None:
    """What `signer` has signed of `content`, None when that is nothing; `signature` None: it is in the content."""
    with tempfile.TemporaryDirectory(prefix="kvmweb-gpgv-") as made:
        place = Path(made)
        (place / "keys.gpg").write_bytes(bytes(signer.data))
        (place / "list").write_bytes(content)
        files = [str(place / "list")]
        if signature is None:
            files = ["--output", str(place / "signed"), *files]
        else:
            (place / "signature").write_bytes(signature)
            files.insert(0, str(place / "signature"))
        command = ["gpgv", "--homedir", made, "--keyring", str(place / "keys.gpg"), "--weak-digest", "SHA1"]
        try:
            done = subprocess.run(
                [*_LIMITS, *command, "--status-fd", "1", *files],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None
        if done.returncode in (126, 127):
            sentence = _("Signatures are verified by gpgv, which this machine does not have. Install its package gpgv.")
            raise NotSupported(sentence, details=done.stderr.decode(errors="replace"))
        if not _is_by(done.stdout.decode(errors="replace"), signer.fingerprint):
            return None
        return content if signature is not None else (place / "signed").read_bytes()


def _beside(url: str, check: Callable[[], None]) -> bytes | None:
    for suffix in BESIDE:
        with suppress(FileMissing):
            return fetch_bytes(url + suffix, check)
    return None


def _is_by(status: str, fingerprint: str) -> bool:
    """A list may carry signatures of several keys: one good one is enough, a bad one never."""
    is_good, found = False, False
    for line in status.splitlines():
        words = line.split()[1:]
        match words[:1]:
            case ["NEWSIG"]:
                is_good = False
            case ["GOODSIG"]:  # else EXPKEYSIG, REVKEYSIG, EXPSIG
                is_good = True
            case ["BADSIG"]:
                return False
            case ["VALIDSIG"]:
                found = found or (is_good and words[-1].upper() == fingerprint)
    return found
