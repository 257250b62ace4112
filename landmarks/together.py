"""What several threads ask of one network, answered in one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]
Answers = Sequence[NDArray[np.float32]]
Run = Callable[[Pictures], Answers]
"""(B, H, W, 3) pictures to answers, each (B, ...)."""


class _Question:
    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures
        self.answers: Answers | None = None
        self.error: Exception | None = None

    @property
    def done(self) -> bool:
        return self.answers is not None or self.error is not None


class Together:
    """One network, one run at a time: while it runs, questions gather, and the next run answers them all.

    Nobody waits for a question that has not come: a lone stream is answered at once.
    most: pictures in one run; a single question may have more.
    """

    def __init__(self, run: Run, most: int = 64) -> None:
        self._run, self._most = run, most
        self._waiting: list[_Question] = []
        self._gathering, self._running = Lock(), Lock()

    def __call__(self, pictures: Pictures) -> Answers:
        """The answers for some pictures, from any thread. Raises what the run of which they were part raised."""
        question = _Question(pictures)
        with self._gathering:
            self._waiting.append(question)
        with self._running:
            while not question.done:
                self._answer(self._take())
        if question.error is not None:
            raise question.error
        assert question.answers is not None
        return question.answers

    def _take(self) -> list[_Question]:
        with self._gathering:
            count = total = 0
            for question in self._waiting:
                total += len(question.pictures)
                if count and total > self._most:
                    break
                count += 1
            taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken

    def _answer(self, questions: list[_Question]) -> None:
        try:
            answers = self._run(np.concatenate([question.pictures for question in questions]))
        except Exception as error:  # whatever the run raises, every thread that waits for it is told
            for question in questions:
                question.error = error
            return
        start = 0
        for question in questions:
            end = start + len(question.pictures)
            question.answers = [answer[start:end] for answer in answers]
            start = end
