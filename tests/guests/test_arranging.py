"""Tags, folders and saved views: what they narrow, who may change them, and that a change can be taken back."""

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from accounts.models import Grant
from guests import arranging, saved_views
from guests.models import Folder, Guest, ListChange, SavedView, Tag
from guests.search import chips, search
from virt.errors import Invalid

from .rows import make_guest, make_guests, make_host
from .test_list import names

EVIL = "<script>alert(1)</script>'&"


def tags_of(guest: Guest) -> list[str]:
    return sorted(guest.tags.values_list("name", flat=True))


def found(query: str) -> list[str]:
    result = search(Guest.objects.all(), query)
    assert not result.problem
    return sorted(result.guests.values_list("name", flat=True))


@pytest.fixture
def guests(db) -> dict[str, Guest]:
    host = make_host()
    return {name: make_guest(host, name) for name in ("db", "mail", "web-1", "web-2")}


def some(*picked: str):
    return Guest.objects.filter(name__in=picked)


def test_tags_are_made_by_typing_them_and_narrow_the_list(operator, guests):
    arranging.tag(some("web-1", "web-2"), by=operator, add=["Prod", "données"])
    arranging.tag(some("db"), by=operator, add=["prod", "数据库"])
    assert Tag.objects.count() == 3  # case makes no other tag
    assert found("tag:PROD") == ["db", "web-1", "web-2"]
    assert found("tag:prod tag:données") == ["web-1", "web-2"]
    assert found("tag:数据库,données") == ["db", "web-1", "web-2"]
    assert found("tag:don*") == ["web-1", "web-2"]
    assert found("tag:none") == ["mail"]
    assert found("数据") == ["db"]  # free words look into tags, too
    assert found("tag:nothing-like-it") == []


@pytest.mark.parametrize("name", ["", "   ", "x" * 41, "a,b", 'a"b', "a\x00b", "a\u202eb", "\ud800"])
def test_names_of_tags_that_make_no_sense_are_refused(operator, guests, name):
    with pytest.raises(Invalid) as refused:
        arranging.tag(some("db"), by=operator, add=[name])
    assert refused.value.field == "tags"
    assert not Tag.objects.exists()


def test_a_guest_has_a_limited_number_of_tags(operator, guests):
    arranging.tag(some("db"), by=operator, add=[f"t{n}" for n in range(20)])
    with pytest.raises(Invalid):
        arranging.tag(some("db", "mail"), by=operator, add=["one more"])
    assert tags_of(guests["mail"]) == []  # all or nothing


def test_folders_are_a_tree_and_narrow_with_all_below(operator, guests):
    arranging.move(some("web-1"), "Production / Web", by=operator)
    arranging.move(some("db"), "production", by=operator)
    assert list(Folder.objects.values_list("path", flat=True)) == ["Production", "Production/Web"]
    assert found("folder:PRODUCTION") == ["db", "web-1"]
    assert found('folder:"production/web"') == ["web-1"]
    assert found("folder:prod") == []
    assert found("folder:none") == ["mail", "web-2"]


def test_a_folder_takes_those_below_along_and_leaves_guests_behind(admin, guests):
    arranging.move(some("web-1"), "a/b/c", by=admin)
    arranging.rename_folder(Folder.objects.get(path="a/b"), "x/y", by=admin)
    assert found("folder:x/y/c") == ["web-1"]
    with pytest.raises(Invalid):
        arranging.rename_folder(Folder.objects.get(path="x"), "x/z", by=admin)
    with pytest.raises(Invalid):
        arranging.rename_folder(Folder.objects.get(path="x/y"), "a", by=admin)
    arranging.delete_folder(Folder.objects.get(path="x/y"), by=admin)
    guests["web-1"].refresh_from_db()
    assert guests["web-1"].folder.path == "x"


def test_a_change_is_taken_back_but_not_what_came_after_it(operator, guests):
    arranging.tag(some("db"), by=operator, add=["old"])
    change = arranging.tag(some("db", "mail"), by=operator, add=["new"], remove=["old"])
    arranging.undo(change, by=operator)
    assert (tags_of(guests["db"]), tags_of(guests["mail"])) == (["old"], [])
    with pytest.raises(arranging.AlreadyUndone):
        arranging.undo(change, by=operator)
    moved = arranging.move(some("db", "mail"), "one", by=operator)
    arranging.move(some("mail"), "two", by=operator)
    arranging.undo(moved, by=operator)
    assert (found("folder:none"), found("folder:two")) == (["db", "web-1", "web-2"], ["mail"])


def test_only_the_last_changes_are_kept(operator, guests):
    for number in range(arranging.KEPT_CHANGES + 3):
        arranging.move(some("db"), f"f{number}", by=operator)
    assert ListChange.objects.filter(by=operator).count() == arranging.KEPT_CHANGES


def test_many_are_tagged_from_the_bar_and_taken_back(client, operator, guests):
    client.force_login(operator)
    ids = [guests["db"].pk, guests["mail"].pk]
    asked = client.post("/guests/bulk/", {"do": "tags", "id": ids}).content.decode()
    assert "Tags of 2 guests" in asked
    answer = client.post(
        "/guests/bulk/",
        {"do": "tags", "confirmed": "yes", "id": ids, "add": "prod, 北京"},
        headers={"HX-Request": "true"},
    )
    assert answer.status_code == 204
    assert "undo" in answer.headers["HX-Trigger"]
    assert found("tag:北京") == ["db", "mail"]
    refused = client.post("/guests/bulk/", {"do": "tags", "confirmed": "yes", "id": ids, "add": "x" * 50})
    assert refused.status_code == 422
    change = ListChange.objects.get()
    assert client.post(f"/guests/undo/{change.pk}/").status_code == 302
    assert found("tag:北京") == []


def test_all_that_match_are_chosen_without_naming_them(client, operator, guests):
    client.force_login(operator)
    form = {"do": "folder", "all": "yes", "match": "q=web", "id": [guests["db"].pk]}
    assert "Move 2 guests to a folder" in client.post("/guests/bulk/", form).content.decode()
    confirmed = form | {"confirmed": "yes", "number": "2", "folder": "Web"}
    make_guest(guests["db"].host, "web-3")  # the list changed while the question was open
    assert client.post("/guests/bulk/", confirmed).status_code == 409
    assert client.post("/guests/bulk/", confirmed | {"number": "3"}).status_code == 302
    assert found("folder:web") == ["web-1", "web-2", "web-3"]


def test_who_may_not_change_a_guest_cannot_tag_it(client, viewer, guests, django_user_model):
    db = guests["db"]
    client.force_login(viewer)
    assert client.get(f"/guests/{db.pk}/tags/").status_code == 404
    client.post("/guests/bulk/", {"do": "tags", "confirmed": "yes", "id": [db.pk], "add": "x"})
    assert not Tag.objects.exists()
    someone = django_user_model.objects.create_user("of-db", password="x")
    Grant.objects.create(user=someone, role="operator", scope_kind="guest", scope_id=db.pk)
    arranging.tag(some("mail"), by=viewer, add=["secret project"])
    arranging.move(some("mail"), "secret folder", by=viewer)
    client.force_login(someone)
    assert client.post(f"/guests/{db.pk}/tags/", {"tags": "mine", "folder": "here"}).status_code == 302
    for page in ("/guests/tags/", "/guests/filters/", "/guests/", f"/guests/{db.pk}/tags/"):
        text = client.get(page).content.decode()
        assert "secret" not in text, page
    assert client.post(f"/guests/tags/{Tag.objects.get(name='mine').pk}/", {"name": "x"}).status_code == 403


def test_tags_folders_and_views_are_shown_as_text(client, operator, guests):
    arranging.tag(some("db"), by=operator, add=[EVIL])
    arranging.move(some("db"), EVIL.replace("/", "|"), by=operator)
    saved_views.set_columns(operator, ["tags", "folder", "title", "uuid"])
    view = saved_views.save_view(by=operator, name=EVIL, query=f"tag:{EVIL}", is_shared=True)
    client.force_login(operator)
    db = guests["db"].pk
    paths = ["", f"?saved={view.pk}", "tags/", "views/", "filters/", "undo/", f"{db}/tags/", f"{db}/row/", "columns/"]
    for path in paths:
        response = client.get(f"/guests/{path}")
        assert response.status_code == 200, path
        assert b"<script>alert" not in response.content, path
    assert "&lt;script&gt;" in client.get("/guests/").content.decode()


def test_a_view_is_a_name_for_a_search(client, operator, viewer, guests):
    client.force_login(operator)
    form = {"name": "Web only", "is_shared": "on", "is_default": "on"}
    assert client.post("/guests/views/new/?q=web&sort=-name", form).status_code == 302
    view = SavedView.objects.get()
    assert names(client.get("/guests/")) == ["web-2", "web-1"]  # it opens with it
    assert names(client.get("/guests/?view=all&sort=name")) == ["db", "mail", "web-1", "web-2"]
    assert names(client.get(f"/guests/?saved={view.pk}&q=db")) == ["db"]
    client.force_login(viewer)
    assert names(client.get(f"/guests/?saved={view.pk}")) == ["web-2", "web-1"]
    assert client.post(f"/guests/views/{view.pk}/", {"do": "rename", "name": "mine"}).status_code == 403
    saved_views.change_view(view, by=operator, is_shared=False)
    assert "not there any more" in client.get(f"/guests/?saved={view.pk}").content.decode()
    assert client.post(f"/guests/views/{view.pk}/", {"do": "delete"}).status_code == 404


def test_columns_are_chosen_moved_and_kept(client, operator, guests):
    client.force_login(operator)
    form = {"column": ["os", "tags", "uuid"], "density": "dense"}
    moved = client.post("/guests/columns/", form | {"up": "uuid"}).content.decode()
    assert moved.index('value="os"') < moved.index('value="uuid"') < moved.index('value="tags"')
    assert client.post("/guests/columns/", form).status_code == 302
    page = client.get("/guests/").content.decode()
    heads = [page.index(f">{name}") for name in ("System", "Tags", "UUID")]
    assert heads == sorted(heads)
    assert "tbl-dense" in page
    assert "CPU now" not in page
    assert str(guests["db"].uuid) in client.get(f"/guests/{guests['db'].pk}/row/").content.decode()


def test_chips_are_the_words_with_a_key():
    assert [(chip.text, chip.query) for chip in chips('web tag:prod folder:"a b"')] == [
        ("tag:prod", 'web folder:"a b"'),
        ('folder:"a b"', "web tag:prod"),
    ]


@pytest.mark.parametrize("sort", ["", "folder", "-cpu", "os", "-since", "disk_io", "-net_io", "title", "autostart"])
def test_filters_and_sorting_cost_the_same_for_ten_and_for_ten_thousand(client, operator, sort):
    def cost(query: str) -> int:
        with CaptureQueriesContext(database) as queries:
            assert client.get("/guests/", {"q": query, "sort": sort}).status_code == 200
        return len(queries)

    words = "tag:prod folder:a stale:no net:default pool:store os:x"
    client.force_login(operator)
    make_guests(10)
    arranging.tag(Guest.objects.all(), by=operator, add=["prod"])
    cost(words)
    few = cost(words), cost("")
    make_more = Guest.objects.order_by("pk").first()
    Guest.objects.bulk_create(
        Guest(host=make_more.host, uuid=f"{n:032x}", name=f"more-{n}", xml="<domain/>") for n in range(100_000, 101_000)
    )
    assert (cost(words), cost("")) == few


def test_rest_does_what_pages_do(client, operator, guests):
    client.force_login(operator)

    def post(path: str, body: object):
        return client.post(f"/api/v1{path}", body, content_type="application/json")

    tagged = post("/guests/tags", {"search": "web", "add": ["prod"]})
    assert (tagged.status_code, tagged.json()["title"]) == (200, "Tagged 2 guests: prod")
    moved = post("/guests/move", {"guests": [guests["db"].pk], "folder": "a/b"})
    assert moved.status_code == 200
    both = post("/guests/tags", {"guests": [1], "search": "x", "add": ["y"]})
    assert (both.status_code, both.json()["field"]) == (422, "search")

    def listed(**filters: str) -> list[str]:
        answer = client.get("/api/v1/guests", filters)
        assert answer.status_code == 200, answer.content
        return [guest["name"] for guest in answer.json()["items"]]

    assert listed(tag="prod", ordering="-name") == ["web-2", "web-1"]
    assert listed(folder="a") == ["db"]
    assert listed(tag="none", folder="none") == ["mail"]
    assert listed(needs_restart="true") == []
    assert listed(stale="false", search="we") == ["web-1", "web-2"]
    assert client.get("/api/v1/tags").json()[0] | {"id": 0, "hue": 0} == {
        "id": 0,
        "name": "prod",
        "hue": 0,
        "guests": 2,
    }
    assert [folder["path"] for folder in client.get("/api/v1/folders").json()] == ["a", "a/b"]
    assert client.get(f"/api/v1/guests/{guests['db'].pk}").json()["folder"] == "a/b"
    assert client.post(f"/api/v1/guests/changes/{moved.json()['id']}/undo").status_code == 204
    assert listed(folder="a") == []
    view = post("/guest-views", {"name": "Prod", "query": "tag:prod", "is_shared": True})
    assert view.status_code == 201
    assert post("/guest-views", {"name": "Prod"}).status_code == 422
    changed = client.patch(
        f"/api/v1/guest-views/{view.json()['id']}", {"name": "P"}, content_type="application/json"
    ).json()
    assert (changed["name"], changed["query"], changed["is_shared"]) == ("P", "tag:prod", True)


def test_a_tag_is_taken_off_all_and_put_back(client, admin, guests):
    arranging.tag(some("db", "mail"), by=admin, add=["prod"])
    client.force_login(admin)
    tag = Tag.objects.get()
    assert client.post(f"/guests/tags/{tag.pk}/", {"name": "PRODUCTION", "hue": "3"}).status_code == 302
    assert found("tag:production") == ["db", "mail"]
    change = client.delete(f"/api/v1/tags/{tag.pk}").json()
    assert (found("tag:production"), client.get("/api/v1/tags").json()) == ([], [])
    client.post(f"/api/v1/guests/changes/{change['id']}/undo")
    assert [(row["name"], row["hue"], row["guests"]) for row in client.get("/api/v1/tags").json()] == [
        ("PRODUCTION", 3, 2)
    ]


def test_the_tags_and_the_folder_of_one_guest_are_typed_at_once(client, operator, guests):
    client.force_login(operator)
    db = guests["db"]
    url = f"/guests/{db.pk}/tags/"
    assert client.post(url, {"tags": "prod, db", "folder": "Production"}).status_code == 302
    assert client.post(url, {"tags": "PROD, new", "folder": ""}).status_code == 302
    assert tags_of(db) == ["new", "prod"]
    assert found("folder:none") == ["db", "mail", "web-1", "web-2"]
    assert ">prod<" in client.get(f"/guests/{db.pk}/").content.decode()
    refused = client.post(url, {"tags": "prod", "folder": "a//b"})
    assert (refused.status_code, tags_of(db)) == (422, ["new", "prod"])
