"""The addresses of kvmweb, and the pages of these tests."""

from itertools import count

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path

from jobs.models import Job
from kvmweb.urls import handler403, handler404, handler500, urlpatterns
from virt.errors import UserError

__all__ = ["handler403", "handler404", "handler500", "urlpatterns"]
draws = count(1)


class Held(UserError):
    code, status = "held", 409


def page(request: HttpRequest) -> HttpResponse:
    template = "ui_rows.html" if request.headers.get("HX-Request") else "ui_page.html"
    return render(request, template, {"draw": next(draws), "rows": range(1, 7)})


def act(request: HttpRequest) -> HttpResponse:
    return redirect("jobs:list")


def question(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        if request.POST.get("confirm_name") == "web-01":
            return redirect("jobs:list")
        raise Held("web-01 is being backed up.", details="libvirt: domain is locked")
    context = {"confirm_title": "Delete web-01", "confirm_button": "Delete web-01", "cancel_url": "/ui/"}
    return render(request, "confirm.html", context | {"confirm_name": request.GET.get("name", "")})


def follow(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "ui_follow.html", {"job": Job.objects.get(pk=pk)})


urlpatterns = [
    path("ui/", page),
    path("ui/act/", act),
    path("ui/question/", question),
    path("ui/follow/<int:pk>/", follow),
    *urlpatterns,
]
