"""What the upload part of a page has to know."""

from django import template
from django.template import Context

from accounts.models import User
from storage.models import Pool
from storage.uploads import creation

register = template.Library()


@register.simple_tag(takes_context=True)
def upload_pools(context: Context) -> list[Pool]:
    """The pools into which the user of this page may upload."""
    user = context["request"].user
    return creation.upload_pools(user) if isinstance(user, User) else []
