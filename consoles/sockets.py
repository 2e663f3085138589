async def console_socket(scope: dict[str, object], receive: object, send: object) -> None:
    raise NotImplementedError
