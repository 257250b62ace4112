"""What a network is asked: which clips show it, how a training window is drawn, what is measured."""

from training.tasks.actions import Actions
from training.tasks.controls import Controls
from training.tasks.frames import Frames
from training.tasks.gesture import Gesture
from training.tasks.signing import Signing

__all__ = ["TASKS", "Actions", "Controls", "Frames", "Gesture", "Signing", "UnknownTask", "find_task"]

AnyTask = Signing | Gesture | Actions | Frames | Controls
AnyKind = type[Signing] | type[Gesture] | type[Actions] | type[Frames] | type[Controls]

TASKS: dict[str, AnyKind] = {
    "signing": Signing,
    "gesture": Gesture,
    "actions": Actions,
    "frames": Frames,
    "controls": Controls,
}
"""Task of a manifest -> how it is trained. Each is made from its section of the recipe and the window's shape."""


class UnknownTask(ValueError):
    """No task of that name."""


def find_task(name: str) -> AnyKind:
    """The task of that name; raises UnknownTask, which names those there are."""
    if name not in TASKS:
        raise UnknownTask(f"no task {name!r}; choose from {', '.join(sorted(TASKS))}")
    return TASKS[name]
