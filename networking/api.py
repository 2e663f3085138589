from ninja import Router

networks_router = Router(tags=["networks"])
bridges_router = Router(tags=["bridges"])
