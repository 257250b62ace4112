"""The page of the contracts in a real browser, as the real service serves it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import collect
from tests.e2e.webcam import CHROMIUM, browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    if not CHROMIUM.exists():
        pytest.skip(f"needs a browser at {CHROMIUM} (Debian: apt-get install chromium)")
    with browser() as chromium:
        yield chromium


@pytest.fixture
def page(chromium, address: str) -> Iterator[Page]:
    """It must not have complained on the way out."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    complaints: list[str] = []
    collect(complaints, page)
    read(page, f"{address}/reference.html")
    yield page
    page.close()
    assert complaints == []


def read(page: Page, url: str) -> None:
    page.goto(url)
    page.locator("html[data-loaded=true]").wait_for(state="attached")


def test_every_call_message_and_type_can_be_linked_to(page: Page, address: str):
    rest = httpx.get(f"{address}/openapi.json").json()
    socket = httpx.get(f"{address}/asyncapi.json").json()
    calls = {f"call-{call['operationId']}" for path in rest["paths"].values() for call in path.values()}
    messages = {f"message-{name}" for name in socket["components"]["messages"]}
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((each) => each.id)")
    assert len(set(ids)) == len(ids)
    assert calls | messages | {f"type-{name}" for name in rest["components"]["schemas"]} <= set(ids)
    links = page.evaluate("[...document.querySelectorAll('a[href^=\"#\"]')].map((each) => each.hash.slice(1))")
    assert set(links) <= set(ids)
    headings = page.locator("main :is(h2, h3, h4) > a")
    assert headings.count() == page.locator("nav a").count() > len(calls | messages)


def test_a_message_says_its_fields_their_bounds_and_an_example(page: Page):
    start = page.locator("#message-start")
    aspect = start.locator("dt", has=page.get_by_text("aspect", exact=True))
    expect(aspect).to_contain_text("number ≥ 0.1, ≤ 10 default 1.3333")
    expect(start.locator("pre").first).to_have_text('{"type": "start"}')
    expect(start.get_by_role("link", name="ready")).to_have_attribute("href", "#message-ready")
    expect(page.locator("#message-binary tr", has_text="at_s")).to_contain_text("8–15")
    expect(page.locator("#close-codes dt", has_text="1013")).to_be_visible()


def test_a_call_says_what_it_takes_and_what_it_may_answer(page: Page):
    clip = page.locator("#call-post_clip")
    expect(clip.locator("h4")).to_have_text("POST /v1/clips")
    expect(clip).to_contain_text("multipart/form-data")
    problem = clip.locator("details", has_text="unsupported-media")
    expect(problem.locator("pre")).to_be_hidden()
    problem.locator("summary").click()
    expect(problem.locator("pre")).to_contain_text('"status": 415')


def test_a_link_into_the_page_shows_what_it_names(page: Page, address: str):
    page.goto("about:blank")  # else only the hash would change
    read(page, f"{address}/reference.html#message-event")
    expect(page.locator("#message-event h4")).to_be_in_viewport()
    page.locator("#message-event").get_by_role("link", name="event").click()
    assert page.url.endswith("#message-event")


def test_the_docs_and_the_page_lead_here(page: Page, address: str):
    read(page, f"{address}/docs")
    assert page.url == f"{address}/reference.html"
    page.goto(address)
    page.get_by_role("link", name="reference").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Reference")


def test_it_is_read_by_keyboard_on_a_narrow_screen(page: Page):
    page.set_viewport_size({"width": 400, "height": 800})
    page.reload()
    page.locator("html[data-loaded=true]").wait_for(state="attached")
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    inside = page.locator("nav a").first
    expect(inside).to_be_hidden()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip the contents")).to_be_focused()
    page.locator("#contents > summary").focus()
    page.keyboard.press("Enter")
    expect(inside).to_be_visible()
    page.keyboard.press("Tab")
    expect(inside).to_be_focused()


def test_without_a_contract_it_says_so(chromium, address: str):
    page = chromium.new_page()
    page.route("**/asyncapi.json", lambda route: route.fulfill(status=503, body=""))
    read(page, f"{address}/reference.html")
    expect(page.get_by_role("alert")).to_contain_text("The answer to asyncapi.json was HTTP 503")
    page.close()
