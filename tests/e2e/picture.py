"""`python -m tests.e2e.picture OUT.png`: the README's picture, taken of the page while it watches a real clip.

The people in the clips are from intel-iot-devkit/sample-videos, CC BY 4.0: say so beside the picture.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

from bench.server import serving
from tests.e2e.webcam import CLIPS, browser, record

_HEIGHT = 860
_WAIT_MS = 120_000
# Enough events for a list, one of them open, and both hands drawn: then there is something to look at.
_WORTH_A_PICTURE = """(events) => {
  const { state, events: total, signing, hands } = document.getElementById("page").dataset;
  return state === "live" && Number(total) >= events && signing === "true" && hands === "2";
}"""


def main(arguments: list[str] | None = None) -> int:
    """Start the service, play the clip to the page's webcam, wait for events, take the picture."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.picture", description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT.png")
    parser.add_argument(
        "--clip", type=Path, default=CLIPS / "asl_please.mkv", help="what the webcam sees (%(default)s)"
    )
    parser.add_argument("--scheme", choices=("light", "dark"), default="light")
    parser.add_argument("--events", type=int, default=5, help="how many events to wait for (%(default)s)")
    parser.add_argument("--width", type=int, default=1280, help="of the window; as high as the page (%(default)s)")
    parser.add_argument("--url", help="of a service that runs already; one is started otherwise")
    parser.add_argument("--upload", type=Path, help="post this file in the lower half as well")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="signstream-picture-") as folder:
        recording = record(given.clip, Path(folder) / "webcam.mjpeg")
        running = nullcontext(given.url) if given.url else serving()
        with running as url, browser(recording) as chromium:
            page = chromium.new_page(viewport={"width": given.width, "height": _HEIGHT}, color_scheme=given.scheme)
            page.goto(url)
            page.get_by_role("button", name="Start camera").click()
            page.wait_for_function(_WORTH_A_PICTURE, arg=given.events, timeout=_WAIT_MS)
            if given.upload:
                page.locator("#file").set_input_files(given.upload)
                page.locator("#result[data-state=shown]").wait_for(timeout=_WAIT_MS)
            page.screenshot(path=given.out, animations="disabled", full_page=True)
    sys.stdout.write(f"{given.out}: {given.clip.name}; people from intel-iot-devkit/sample-videos, CC BY 4.0\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
