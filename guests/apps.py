from django.apps import AppConfig


class GuestsConfig(AppConfig):
    name = "guests"

    def ready(self) -> None:
        from jobs import live

        from .models import Guest

        live.register("guest", Guest)
