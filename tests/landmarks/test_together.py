from threading import Barrier, Event, Thread

import numpy as np

from landmarks.together import Together


class Network:
    """Answers with each picture's sum; its first run is held back until `released`."""

    def __init__(self, error=None):
        self.runs, self.started, self.released, self.error = [], Event(), Event(), error

    def __call__(self, pictures):
        self.runs.append(len(pictures))
        self.started.set()
        assert self.released.wait(20)
        if self.error:
            raise self.error
        return [pictures.sum(axis=(1, 2, 3)).astype(np.float32)]


def pictures(seed, count=1):
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)


def ask_together(together, network, questions):
    """Asks the first question, and while it runs the others; gives every answer or error."""
    found, waiting = [None] * len(questions), Barrier(len(questions))

    def ask(i):
        if i:
            waiting.wait(20)
        try:
            found[i] = together(questions[i])
        except ValueError as error:
            found[i] = error

    threads = [Thread(target=ask, args=(i,)) for i in range(len(questions))]
    for thread in threads:
        thread.start()
    assert network.started.wait(20)
    waiting.wait(20)
    while len(together._waiting) < len(questions) - 1:
        pass
    network.released.set()
    for thread in threads:
        thread.join(20)
    return found


def test_what_is_asked_meanwhile_is_answered_in_one_run_and_everybody_gets_their_own():
    network = Network()
    questions = [pictures(seed, count=1 + seed % 2) for seed in range(6)]
    found = ask_together(Together(network), network, questions)
    for question, (answer,) in zip(questions, found, strict=True):
        np.testing.assert_array_equal(answer, question.sum(axis=(1, 2, 3)))
    assert network.runs == [1, 8]


def test_a_run_is_no_larger_than_said():
    network = Network()
    found = ask_together(Together(network, most=3), network, [pictures(seed, 2) for seed in range(4)])
    assert [len(answer) for (answer,) in found] == [2] * 4
    assert network.runs == [2] * 4


def test_an_error_reaches_everybody_who_was_part_of_the_run_and_nobody_after():
    network = Network(error=ValueError("no memory"))
    together = Together(network)
    found = ask_together(together, network, [pictures(seed) for seed in range(3)])
    assert [str(error) for error in found] == ["no memory"] * 3
    network.error = None
    assert together(pictures(9))[0].shape == (1,)


def test_a_lone_question_is_answered_at_once():
    network = Network()
    network.released.set()
    (answer,) = Together(network)(pictures(0, 3))
    np.testing.assert_array_equal(answer, pictures(0, 3).sum(axis=(1, 2, 3)))
