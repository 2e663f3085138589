"""What a guest's agent said, as REST shows it."""

from datetime import datetime

from ninja import Field, Schema


class AgentUserOut(Schema):
    name: str
    domain: str = Field(description="On Windows; else empty.")
    since: float | None = Field(description="A Unix time, by the guest's own clock.")


class AgentFilesystemOut(Schema):
    mountpoint: str
    type: str
    name: str
    total_bytes: int | None = Field(description="null where the agent does not tell, as with network filesystems.")
    used_bytes: int | None


class AgentInterfaceOut(Schema):
    name: str
    mac: str
    addresses: list[str] = Field(description="With their prefix: 10.0.0.5/24")


class AgentOut(Schema):
    """The guest's own words, cut short."""

    state: str = Field(description="answers, absent (it does not run), silent (it hangs); empty: not asked yet")
    state_since: datetime | None
    answered_at: datetime | None = Field(description="As of when the rest is; null: it never answered.")
    hostname: str
    os_id: str
    os_name: str
    os_version: str
    kernel: str
    timezone: str
    utc_offset_s: int | None
    users: list[AgentUserOut]
    filesystems: list[AgentFilesystemOut]
    interfaces: list[AgentInterfaceOut]
