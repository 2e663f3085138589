"""The web's door as production runs it, but for what is behind a ticket: the measurement's peer."""

from kvmweb.asgi import django_application  # isort: skip - sets Django up

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import re_path

from accounts.origin import OwnOriginOnly
from consoles.sockets import ConsoleSocket

from .console_peer import open_peer

console = re_path(r"^ws/console/(?P<ticket>[A-Za-z0-9_-]{20,100})/$", ConsoleSocket(open_peer))
websocket = OwnOriginOnly(AuthMiddlewareStack(URLRouter([console])))
application = ProtocolTypeRouter({"http": django_application, "websocket": websocket})
