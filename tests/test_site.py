"""What belongs to no single room: login, users, jobs and the audit log on pages, the API, metrics, language."""

import json

import pytest
from ninja import Schema

from accounts.models import ApiToken, AuditEntry, User
from jobs.models import Job

pytestmark = pytest.mark.django_db


def test_every_page_wants_a_login(client):
    for path in ("/", "/guests/", "/hosts/", "/isos/", "/jobs/", "/audit/", "/settings/users/"):
        answer = client.get(path)
        assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/accounts/login/"), path


def test_nobody_signs_up(client):
    client.post("/accounts/signup/", {"username": "eve", "password1": "correct horse battery"})
    assert not User.objects.filter(username="eve").exists()


def test_an_administrator_adds_a_user_who_can_log_in(client, admin):
    client.force_login(admin)
    new = {"username": "lin.wei", "password": "correct horse battery", "role": "viewer"}
    assert client.post("/settings/users/", new).status_code == 302
    user = User.objects.get(username="lin.wei")
    assert user.role == "viewer"
    client.logout()
    client.post("/accounts/login/", {"login": "lin.wei", "password": "correct horse battery"})
    assert client.get("/").status_code == 200
    assert client.get("/settings/users/").status_code == 403
    client.force_login(admin)
    client.post(f"/settings/users/{user.pk}/", {"active": "0"})
    assert not User.objects.get(pk=user.pk).is_active


@pytest.mark.parametrize(
    "wrong",
    [
        {"username": "", "password": "correct horse battery", "role": "viewer"},
        {"username": "bob", "password": "short", "role": "viewer"},
        {"username": "bob", "password": "correct horse battery", "role": "emperor"},
        {"username": "b/o b", "password": "correct horse battery", "role": "viewer"},
    ],
)
def test_a_user_that_makes_no_sense_is_refused_with_a_sentence(client, admin, wrong):
    client.force_login(admin)
    answer = client.post("/settings/users/", wrong)
    assert answer.status_code == 422
    assert User.objects.count() == 1


def test_the_last_administrator_stays(client, admin, bearer):
    refused = client.patch(f"/api/v1/users/{admin.pk}", {"role": "viewer"}, content_type="application/json", **bearer)
    assert (refused.status_code, refused.json()["code"]) == (409, "last_administrator")
    assert User.objects.get(pk=admin.pk).role == "administrator"


def test_guessing_a_password_is_slowed_down(client, admin, settings):
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "3/5m/key"}
    for _attempt in range(3):
        client.post("/accounts/login/", {"login": admin.username, "password": "wrong"})
    right = {"login": admin.username, "password": "correct horse battery"}
    answer = client.post("/accounts/login/", right)
    assert answer.status_code in (200, 403, 429)
    assert client.get("/").status_code == 302


def test_jobs_can_be_searched(client, admin):
    for title in ("Create web-01", "Delete mail-01"):
        Job.objects.create(kind="k", task="t", title=title, created_by=admin, status="succeeded")
    client.force_login(admin)
    page = client.get("/jobs/?search=mail").content.decode()
    assert "Delete mail-01" in page
    assert "Create web-01" not in page


def test_a_stranger_sees_no_job_of_others(client, admin, stranger):
    job = Job.objects.create(kind="k", task="t", title="Create web-01", created_by=admin)
    client.force_login(stranger)
    assert client.get(f"/jobs/{job.pk}/").status_code == 404
    assert "web-01" not in client.get("/jobs/tray/").content.decode()


def test_the_audit_log_is_for_administrators(client, admin, operator):
    AuditEntry.objects.create(actor="admin", action="create_guest", object_name="web-01", result="succeeded")
    client.force_login(operator)
    assert client.get("/audit/").status_code == 403
    client.force_login(admin)
    assert "web-01" in client.get("/audit/?search=web").content.decode()


def test_no_two_schemas_have_one_name(client):
    """The OpenAPI document has one of each name, and would describe the others by it."""

    client.get("/api/v1/openapi.json")  # loads them all

    def below(schema: type[Schema]) -> list[type[Schema]]:
        return [each for found in schema.__subclasses__() for each in (found, *below(found))]

    ours = [schema for schema in below(Schema) if not schema.__module__.startswith("ninja")]
    places = {(schema.__name__, schema.__module__) for schema in ours}
    assert len({name for name, _module in places}) == len(places), sorted(places)


def test_the_api_describes_itself(client):
    described = client.get("/api/v1/openapi.json").json()
    assert described["openapi"].startswith("3.")
    paths = described["paths"]
    for path in (
        "/hosts",
        "/pools",
        "/volumes",
        "/isos",
        "/isos/known",
        "/networks",
        "/bridges",
        "/guests",
        "/jobs",
        "/tokens",
        "/uploads",
    ):
        assert f"/api/v1{path}" in paths, path
    assert "202" in paths["/api/v1/guests/{guest_id}/start"]["post"]["responses"]
    assert "sha256" in [parameter["name"] for parameter in paths["/api/v1/isos"]["get"]["parameters"]]
    docs = client.get("/api/docs").content.decode()
    assert "swagger-ui-bundle" in docs
    assert "cdn" not in docs


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/api/v1/nowhere", 404),
        ("get", "/api/v1/guests/999999", 404),
        ("get", "/api/v1/guests/0x1", 404),
        ("get", "/api/v1/jobs/1?wait=1e9", 422),
        ("put", "/api/v1/guests", 405),
    ],
)
def test_what_is_wrong_has_one_shape(client, bearer, method, path, status):
    answer = getattr(client, method)(path, **bearer)
    assert answer.status_code == status
    if status != 405:
        assert set(answer.json()) == {"code", "message", "details", "field"}


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"name": 5}', '{"name": "\\u0000"}', "\xff"])
def test_a_body_that_is_no_json_is_no_500(client, bearer, body):
    answer = client.post("/api/v1/guests", body.encode("latin-1"), content_type="application/json", **bearer)
    assert answer.status_code in (400, 422)
    assert set(json.loads(answer.content)) == {"code", "message", "details", "field"}


def test_metrics_are_for_those_who_may_see_everything(client, admin, stranger, local_host):
    assert client.get("/metrics").status_code == 401
    client.force_login(stranger)
    assert client.get("/metrics").status_code == 401
    client.logout()
    _token, secret = ApiToken.issue(admin, "prometheus", ApiToken.Scope.READ)
    text = client.get("/metrics", HTTP_AUTHORIZATION=f"Bearer {secret}").content.decode()
    assert f'kvmweb_host_up{{host="{local_host.name}"}} 1.0' in text


def test_pages_speak_chinese(client, admin):
    client.force_login(admin)
    client.post("/i18n/setlang/", {"language": "zh-hans", "next": "/guests/"})
    page = client.get("/guests/").content.decode()
    assert '<html lang="zh-hans"' in page
    assert "虚拟机" in page


def test_a_page_of_another_site_changes_nothing(admin):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin)
    for path in ("/settings/theme/", "/settings/tokens/", "/jobs/1/cancel/"):
        assert strict.post(path, HTTP_ORIGIN="https://evil.example").status_code == 403
    assert strict.post("/api/v1/tokens", {"name": "x"}, content_type="application/json").status_code in (401, 403)
    assert not ApiToken.objects.exists()
