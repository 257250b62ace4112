"""A running service, and pages in a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page

from bench.server import serving
from tests.e2e.webcam import CHROMIUM, Recording, browser, record


@pytest.fixture(scope="session")
def address(clips: Path) -> Iterator[str]:
    """Of the real service, started for this run, with the shipped models; `clips` first, to skip without them."""
    assert clips.is_dir()
    with serving() as url:
        yield url


@pytest.fixture(scope="session")
def signing_label(address: str) -> str:
    """What the signing model calls signing."""
    models = httpx.get(f"{address}/v1/models").json()["models"]
    model = next(model for model in models if model["task"] == "signing")
    return next(label for label in model["labels"] if label != model["background"])


def collect(complaints: list[str], page: Page) -> None:
    """All that the page will complain about: errors, lost requests, breaches of its security policy."""
    page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda lost: complaints.append(f"{lost.url}: {lost.failure}"))
    page.add_init_script(
        "addEventListener('securitypolicyviolation', (event) => "
        "console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`))"
    )


@dataclass
class Visit:
    """One page in a browser of its own, and all it complained about."""

    page: Page
    recording: Recording | None
    complaints: list[str] = field(default_factory=list)

    def wait_until(self, condition: str, value: object = None, seconds: float = 90) -> None:
        """Until a JavaScript expression of `page` (its data attributes) and `value` is true."""
        # A function, not an expression: the page's content security policy forbids to evaluate text.
        watched = f"(value) => {{ const page = document.getElementById('page').dataset; return {condition}; }}"
        self.page.wait_for_function(watched, arg=value, timeout=seconds * 1000)

    def start(self) -> None:
        """Press the button and wait for the stream."""
        self.page.get_by_role("button", name="Start camera").click()
        self.wait_until("page.state === 'live'")

    def state(self) -> dict[str, str]:
        """The page's data attributes."""
        return self.page.evaluate("() => ({ ...document.getElementById('page').dataset })")


@pytest.fixture
def visit(address: str, tmp_path: Path) -> Iterator[Callable[[Path | None], Visit]]:
    """Open the page with a clip before its webcam, or with no webcam. On the way out: it must not have complained.

    What the page looked like at the end lies in `tmp_path`, for who looks into a failure.
    """
    if not CHROMIUM.exists():
        pytest.skip(f"needs a browser at {CHROMIUM} (Debian: apt-get install chromium)")
    visits: list[Visit] = []
    with ExitStack() as stack:

        def open_page(clip: Path | None) -> Visit:
            recording = None if clip is None else record(clip, tmp_path / f"{clip.stem}.mjpeg")
            page = stack.enter_context(browser(recording)).new_page(viewport={"width": 1280, "height": 900})
            one = Visit(page, recording)
            collect(one.complaints, page)
            page.goto(address)
            page.locator("html[data-loaded=true]").wait_for(state="attached")
            visits.append(one)
            return one

        yield open_page
        for number, one in enumerate(visits):
            one.page.screenshot(path=tmp_path / f"page-{number}.png", full_page=True)
            (tmp_path / f"page-{number}.json").write_text(json.dumps(one.state()))
    assert [said for one in visits for said in one.complaints] == []
