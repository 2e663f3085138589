"""Guests that kvmweb starts after their host, one after the other: libvirt's own autostart knows no order."""
