"""One choke point: what is not granted is not there."""

import pytest

from accounts.models import ApiToken, Grant
from accounts.permissions import ACTIONS, NotAllowed, may, require
from accounts.tokens import authenticate
from guests.models import Guest
from hosts.models import Host


@pytest.fixture
def two_hosts(db):
    hosts = [Host.objects.create(name=name, uri=f"test:///{name}") for name in ("a", "b")]
    for number, host in enumerate(hosts):
        Guest.objects.create(host=host, uuid=f"00000000-0000-4000-8000-00000000000{number}", name=f"guest-{host.name}")
    return hosts


def names(user, action="view"):
    return [guest.name for guest in Guest.objects.permitted(user, action)]


def test_without_a_grant_there_is_nothing(stranger, two_hosts):
    assert names(stranger) == []
    assert not Host.objects.permitted(stranger, "view").exists()


def test_roles_allow_what_they_say(viewer, operator, admin, two_hosts):
    everything = ["guest-a", "guest-b"]
    assert names(viewer) == names(operator) == names(admin) == everything
    assert names(viewer, "operate") == names(viewer, "console") == []
    assert names(operator, "operate") == everything
    assert names(operator, "administer") == []
    assert names(admin, "administer") == everything


def test_a_grant_on_a_host_reaches_its_guests_only(stranger, two_hosts):
    Grant.objects.create(user=stranger, role="operator", scope_kind="host", scope_id=two_hosts[1].pk)
    assert names(stranger, "operate") == ["guest-b"]
    assert [host.name for host in Host.objects.permitted(stranger, "view")] == ["b"]


def test_a_grant_on_a_guest_reaches_that_guest_only(stranger, two_hosts):
    guest = Guest.objects.get(name="guest-a")
    Grant.objects.create(user=stranger, role="viewer", scope_kind="guest", scope_id=guest.pk)
    assert names(stranger) == ["guest-a"]
    assert names(stranger, "operate") == []
    assert not Host.objects.permitted(stranger, "view").exists()


def test_a_disabled_user_may_nothing(admin, two_hosts):
    admin.is_active = False
    assert names(admin) == []
    assert not may(admin, "view")


def test_an_action_that_nobody_listed_is_refused_loudly(admin, two_hosts):
    for ask in (lambda: names(admin, "fly"), lambda: may(admin, "fly")):
        with pytest.raises(ValueError, match="fly"):
            ask()


def test_require_says_what_is_missing(viewer):
    require(viewer, "view")
    with pytest.raises(NotAllowed) as refused:
        require(viewer, "create")
    assert refused.value.status == 403


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [("read", {"view"}), ("operate", set(ACTIONS) - {"administer"}), ("administer", set(ACTIONS))],
)
def test_a_token_narrows_what_its_user_may(admin, two_hosts, scope, allowed):
    _token, secret = ApiToken.issue(admin, "ci", scope)
    user = authenticate(secret)
    assert user
    assert {action for action in ACTIONS if names(user, action)} == allowed
    assert {action for action in ACTIONS if may(user, action)} == allowed
