def register_local_host(uri: str) -> None:
    raise NotImplementedError
