"""The search page, which needs no script, and the list inside the palette."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.rest import actor

from .commands import commands
from .objects import KINDS, LONGEST, MOST_OF_A_KIND, find


@require_GET
def search(request: HttpRequest) -> HttpResponse:
    """All that matches `?q=`; with `kind` more of that one."""
    query, kind = request.GET.get("q", "").strip()[:LONGEST], request.GET.get("kind", "")
    kinds = [known.name for known in KINDS if known.name == kind]
    groups = find(actor(request), query, at_most=MOST_OF_A_KIND if kinds else 10, kinds=kinds)
    context = {
        "query": query,
        "groups": groups,
        "kind": kinds[0] if kinds else "",
        "commands": commands(actor(request), query)[:10] if query and not kinds else [],
    }
    return render(request, "finding/search.html", context)


@require_GET
def palette(request: HttpRequest) -> HttpResponse:
    """What the palette shows for what is typed so far."""
    query = request.GET.get("q", "").strip()[:LONGEST]
    found = find(actor(request), query, at_most=5)
    known = commands(actor(request), query)[: 8 if query else 30]
    return render(request, "finding/_palette_list.html", {"query": query, "groups": found, "commands": known})
