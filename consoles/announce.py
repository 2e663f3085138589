"""What may end an open console is announced in the channel layer: a logout, a grant or an API token taken away."""

from typing import Any

from django.contrib.auth.signals import user_logged_out
from django.db.models.signals import post_delete, post_save

from accounts.models import ApiToken, Grant, User
from jobs import live


def topic_of_user(user_id: int) -> str:
    """Where a user's logouts and grants are announced. Pages cannot follow it: no model is registered for it."""
    return f"user-{user_id}"


def connect() -> None:
    """Listen to the models; called once, when Django is ready."""
    user_logged_out.connect(_logged_out, dispatch_uid="consoles.logged_out")
    for model in (Grant, ApiToken):
        post_save.connect(_rights_changed, sender=model, dispatch_uid=f"consoles.saved.{model.__name__}")
        post_delete.connect(_rights_changed, sender=model, dispatch_uid=f"consoles.deleted.{model.__name__}")
    post_save.connect(_user_changed, sender=User, dispatch_uid="consoles.saved.User")


def _logged_out(sender: object, user: User | None, **kwargs: object) -> None:
    if user is not None:
        live.publish(topic_of_user(user.pk))


def _rights_changed(sender: object, instance: Any, **kwargs: object) -> None:
    live.publish(topic_of_user(instance.user_id))


def _user_changed(sender: object, instance: User, **kwargs: object) -> None:
    live.publish(topic_of_user(instance.pk))
