"""The same change typed by hand: "show me the command" at the foot of questions and forms."""

import shlex


def virsh(*words: str) -> tuple[str, str]:
    """A command for templates/_command_foot.html, quoted for a shell."""
    return "virsh", shlex.join(["virsh", *words])
