"""The gateway as production runs it, but for what is behind a ticket: the measurement's peer."""

import django

django.setup()

from django.conf import settings

from consoles.gateway import Viewer, serve

from .console_peer import open_peer


class PeerViewer(Viewer):
    open_target = staticmethod(open_peer)


if __name__ == "__main__":
    serve("127.0.0.1", settings.GATEWAY_PORT, viewer=PeerViewer)
