from tests.stack import Stack


def token_of(stack: Stack) -> str:
    """A token of the administrator of a running stack."""
    return stack.manage("create_token", "--user", "admin", "--name", "bench").split()[-1]
