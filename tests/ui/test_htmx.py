"""A redirect answers a fragment's request with an order to the browser, not with a page inside the fragment."""

from django.http import HttpResponse, HttpResponseRedirect
from django.test import RequestFactory

from kvmweb.htmx import HtmxRedirectMiddleware


def _redirect(_request: object) -> HttpResponse:
    response = HttpResponseRedirect("/jobs/7/")
    response.set_cookie("messages", "saved")
    return response


def test_htmx_gets_hx_redirect_and_the_cookies():
    response = HtmxRedirectMiddleware(_redirect)(RequestFactory().post("/x/", headers={"HX-Request": "true"}))
    assert response.status_code == 204
    assert response["HX-Redirect"] == "/jobs/7/"
    assert response.cookies["messages"].value == "saved"


def test_a_browser_without_script_gets_the_redirect_itself():
    response = HtmxRedirectMiddleware(_redirect)(RequestFactory().post("/x/"))
    assert (response.status_code, response["Location"]) == (302, "/jobs/7/")


def test_other_answers_pass_untouched():
    answer = HttpResponse("fine")
    assert (
        HtmxRedirectMiddleware(lambda _: answer)(RequestFactory().get("/x/", headers={"HX-Request": "true"})) is answer
    )
