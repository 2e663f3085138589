"""Stands before the rich of the tests' tools: structlog would load it, 6 MiB in every process, and users have none."""

raise ImportError("rich is not installed where kvmweb is")
