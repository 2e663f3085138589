"""SSH keys of hosts: asked for, named by fingerprint, compared with those that somebody confirmed."""

import base64
import binascii
import hashlib
import re

from hosts.commands import run_here
from virt.errors import Invalid

SCAN_TIMEOUT_S = 10
KINDS = "ed25519,ecdsa,rsa"
_LINE = re.compile(r"(ssh-ed25519|ecdsa-sha2-nistp\d+|ssh-rsa) ([A-Za-z0-9+/]+=*)", re.ASCII)


def scan(hostname: str, port: int) -> list[str]:
    """The keys that the machine shows, "ssh-ed25519 AAAA…" each; none when no SSH server answers. Raises HostTimeout.

    https://man.openbsd.org/ssh-keyscan
    """
    argv = ["ssh-keyscan", "-T", str(SCAN_TIMEOUT_S // 2), "-p", str(port), "-t", KINDS, "--", hostname]
    done = run_here(argv, timeout_s=SCAN_TIMEOUT_S)
    found = {match.group(0) for line in done.stdout.splitlines() if (match := _LINE.search(line))}
    return sorted(found, key=lambda line: (not line.startswith("ssh-ed25519"), line))


def fingerprint(key: str) -> str:
    """As ssh-keygen -l prints it: "SHA256:…". Raises Invalid."""
    try:
        raw = base64.b64decode(key.split()[1], validate=True)
    except (IndexError, binascii.Error) as error:
        raise Invalid("This is no SSH key.", field="host_key") from error
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")


def kind(key: str) -> str:
    """ED25519, ECDSA or RSA."""
    return key.split()[0].removeprefix("ssh-").split("-")[0].upper()


def described(keys: str) -> list[dict[str, str]]:
    """The keys of a text, one a line, for pages and REST."""
    return [{"kind": kind(key), "fingerprint": fingerprint(key)} for key in keys.splitlines() if key.strip()]


def is_known(offered: list[str], pinned: list[str]) -> bool:
    """Whether the machine that shows `offered` is the one whose keys were `pinned`.

    One key in common is enough, since a key kind may come or go with an upgrade; another key of a kind that was pinned
    is another machine, or somebody in between.
    """
    pinned_kinds = {kind(key): key for key in pinned}
    if any(kind(key) in pinned_kinds and pinned_kinds[kind(key)] != key for key in offered):
        return False
    return bool(set(offered) & set(pinned))
