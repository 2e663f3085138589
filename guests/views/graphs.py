"""What a guest used, as graphs."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from guests.usage import sizing
from guests.usage.measure import measure
from guests.usage.models import Usage
from history.graphs import graphs
from history.series import GUEST

from .detail import frame, row_or_404


@require_GET
def guest_graphs(request: HttpRequest, pk: int) -> HttpResponse:
    row = row_or_404(request, pk)
    address = reverse("api:guest_history", args=[row.guest.pk])
    shown = graphs(GUEST, row.guest.pk, request.GET.get("range", ""), address)
    usage = measure(row.guest, Usage.Period.FORTNIGHT)
    context = {"graphs": shown, "hints": sizing.hints(usage), "why_unknown": sizing.why_unknown(usage)}
    return render(request, "guests/graphs.html", {**frame(request, row, "graphs"), **context})
