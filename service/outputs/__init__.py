"""Other ways out for events than the socket: all off until a setting says where to."""

from __future__ import annotations

from service.metrics import Metrics
from service.outputs.outlet import Outlet
from service.settings import Settings


def outlets(settings: Settings, metrics: Metrics) -> list[Outlet]:
    """Those that the settings ask for, not yet started. What no setting asks for is not even imported."""
    asked: list[Outlet] = []
    if settings.webhook_url is not None:
        from service.outputs.webhook import Webhook

        asked.append(Webhook(settings, metrics))
    if settings.mqtt_url is not None:
        from service.outputs.mqtt import Mqtt

        asked.append(Mqtt(settings, metrics))
    return asked
