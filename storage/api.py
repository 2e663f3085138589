from ninja import Router

pools_router = Router(tags=["pools"])
volumes_router = Router(tags=["volumes"])
isos_router = Router(tags=["isos"])
