"""Disks and machines of other hypervisors: inspected first, then converted into volumes."""
