"""A host as REST shows it inside of other objects."""

from ninja import Schema


class HostRef(Schema):
    id: int
    name: str
