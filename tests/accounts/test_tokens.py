"""API tokens: only a hash is kept, and what is wrong with one is not told apart."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts import services
from accounts.models import ApiToken, AuditEntry
from accounts.tokens import authenticate
from virt.errors import Invalid


def test_a_secret_is_not_in_the_database(admin):
    token, secret = ApiToken.issue(admin, "ci")
    assert secret.startswith("kvmweb_")
    assert secret not in str(ApiToken.objects.filter(pk=token.pk).values().get())
    assert authenticate(secret) == admin


@pytest.mark.parametrize(
    "damage", [lambda s: s[:-1], lambda s: s + "x", lambda s: s.replace("_", "-"), lambda s: "", str.upper]
)
def test_a_damaged_secret_is_worth_nothing(admin, damage):
    _token, secret = ApiToken.issue(admin, "ci")
    assert authenticate(damage(secret)) is None


def test_an_expired_token_and_a_disabled_users_token_are_worth_nothing(admin):
    token, secret = ApiToken.issue(admin, "ci", lifetime=timedelta(days=1))
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert authenticate(secret) is None
    _token, secret = ApiToken.issue(admin, "ci")
    admin.is_active = False
    admin.save()
    assert authenticate(secret) is None


def test_rest_wants_a_token_and_tells_who_it_is(client, admin, bearer):
    refused = client.get("/api/v1/users/me")
    assert (refused.status_code, refused.json()["code"]) == (401, "not_authenticated")
    assert client.get("/api/v1/users/me", **bearer).json()["username"] == admin.username


def test_a_token_over_rest_is_shown_once_and_can_be_revoked(client, bearer):
    made = client.post("/api/v1/tokens", {"name": "backup", "scope": "read"}, content_type="application/json", **bearer)
    assert made.status_code == 201
    listed = client.get("/api/v1/tokens", **bearer).json()
    assert made.json()["secret"] not in str(listed)
    assert client.delete(f"/api/v1/tokens/{made.json()['id']}", **bearer).status_code == 204
    assert authenticate(made.json()["secret"]) is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a", "scope": "root"}, "scope"),
        ({"name": "a", "days": 0}, "days"),
    ],
)
def test_a_token_that_makes_no_sense_is_refused_with_the_field(client, bearer, body, field):
    answer = client.post("/api/v1/tokens", body, content_type="application/json", **bearer)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_a_token_cannot_make_one_that_may_more(admin):
    _token, secret = ApiToken.issue(admin, "ci", "read")
    user = authenticate(secret)
    assert user
    with pytest.raises(Invalid):
        services.issue_token(by=user, name="more", scope="administer")


def test_the_command_prints_a_secret_that_works(admin, capsys):
    call_command("create_token", user=admin.username, name="ci")
    assert authenticate(capsys.readouterr().out.strip()) == admin
    assert AuditEntry.objects.filter(action="create_token").exists()
