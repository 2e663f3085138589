"""Pages that copy images to other hosts, and what the page of an image shows of its copies."""

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from accounts.models import User
from accounts.rest import actor
from storage.models import ImageCopy, Iso
from virt.errors import UserError

from . import services
from .forms import CopyImageForm


@require_http_methods(["GET", "POST"])
def copy(request: HttpRequest, pk: int) -> HttpResponse:
    user = actor(request)
    permitted = Iso.objects.permitted(user, "view").select_related("volume__pool__host")
    found: Iso = get_object_or_404(permitted, pk=pk)
    form = CopyImageForm(request.POST or None, user=user, iso=found)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            services.copy_image(found, data["pools"], by=user, keep_in_step=data["keep_in_step"])
        except UserError as error:
            form.refuse(error)
        else:
            return redirect(found)
    context = {"iso": found, "form": form, "choices": form.fields["pools"].queryset.exists()}  # type: ignore[attr-defined]
    return render(request, "storage/iso_copy.html", context, status=422 if form.errors else 200)


def same_elsewhere(user: User, iso: Iso) -> QuerySet[Iso]:
    """Images in other places that have the same content, as far as `user` may see them."""
    if not iso.sha256:
        return Iso.objects.none()
    same = Iso.objects.permitted(user, "view").filter(sha256=iso.sha256, volume__missing_since=None)
    return same.exclude(pk=iso.pk).select_related("volume__pool__host").order_by("volume__pool__host__name")


def kept_copies(iso: Iso) -> QuerySet[ImageCopy]:
    """The pools in which the image is kept in step."""
    return ImageCopy.objects.filter(iso=iso, keep_in_step=True).select_related("pool__host")
