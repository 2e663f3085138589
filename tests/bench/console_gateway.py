"""The gateway as production runs it, but for what is behind a ticket: the measurement's peer."""

import django

from .console_peer import open_peer


def main() -> None:
    django.setup()
    from django.conf import settings

    from consoles.gateway import Viewer, serve

    class PeerViewer(Viewer):
        open_target = staticmethod(open_peer)

    serve("127.0.0.1", settings.GATEWAY_PORT, viewer=PeerViewer)


if __name__ == "__main__":
    main()
