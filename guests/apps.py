from django.apps import AppConfig


class GuestsConfig(AppConfig):
    name = "guests"

    def ready(self) -> None:
        from jobs import live
        from storage import followers

        from .inventory import refresh_guest
        from .models import Guest

        live.register("guest", Guest)
        followers.register(refresh_guest)  # a disk was moved
