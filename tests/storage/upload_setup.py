"""Makes the rows of the upload tests and prints what they need to know, as JSON. Run by `upload_site.prepared`."""

import json
import uuid

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402

from accounts.models import ApiToken, Grant, User  # noqa: E402
from hosts.models import Host  # noqa: E402
from storage.models import Iso, Pool, Volume  # noqa: E402

call_command("migrate", verbosity=0)
host = Host.objects.create(name="local", uri="qemu:///system", state="connected")
far = Host.objects.create(name="far", uri="qemu+ssh://far.example/system", state="unreachable")


def pool(name: str, path: str, on: Host = host, kind: str = "dir", active: bool = True) -> int:
    return Pool.objects.create(host=on, uuid=uuid.uuid4(), name=name, type=kind, target_path=path, is_active=active).pk


facts: dict[str, object] = {
    "pools": {
        "iso": pool("iso", "set by the test"),
        "small": pool("small", "set by the test"),
        "far": pool("iso", "/srv/iso", on=far),
        "lvm": pool("lvm", "/dev/vg0", kind="logical"),
        "stopped": pool("stopped", "/srv/stopped", active=False),
        "gone": pool("gone", "/nowhere/at/all"),
    }
}


def image(name: str, in_pool: str) -> int:
    """An image of five bytes, as the watcher would have written it down."""
    pools = facts["pools"]
    assert isinstance(pools, dict)
    volume = Volume.objects.create(pool_id=pools[in_pool], name=name, format="iso", capacity_bytes=5)
    return Iso.objects.create(volume=volume).pk


facts["images"] = {"here.iso": image("here.iso", "iso")} | {
    name: image(name, "small") for name in ("a.iso", "b.iso", "c.iso")
}
tokens, cookies = {}, {}
roles = {"ann": "operator", "bob": "operator", "eve": "operator", "vic": "viewer", "root": "administrator", "nil": ""}
for name, role in roles.items():
    user = User.objects.create_user(name, password="correct horse battery")
    if role:
        Grant.objects.create(user=user, role=role)
    tokens[name] = ApiToken.issue(user, "tests", ApiToken.Scope.ADMINISTER)[1]
    browser = Client()
    browser.force_login(user)
    cookies[name] = {key: morsel.value for key, morsel in browser.cookies.items()}
facts["tokens"] = tokens
facts["read_token"] = ApiToken.issue(User.objects.get(username="ann"), "read", ApiToken.Scope.READ)[1]
facts["cookies"] = cookies
print(json.dumps(facts))
