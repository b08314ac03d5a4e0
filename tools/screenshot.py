"""Look at a page in headless Chromium: pictures as a phone, a desk and a printer show it.

``python tools/screenshot.py report.html picture.png --width 390 [--dark] [--full]`` writes a PNG file; a
name that ends in .pdf prints the page. Nothing but Chromium is needed: it is spoken to over a pair of
pipes, in the DevTools protocol.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


def find_chromium() -> str | None:
    """Give the path of Chromium, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """A headless Chromium with one page.

    Parameters
    ----------
    program : str
        Path of Chromium.
    patience : float
        Seconds to wait for any one answer.

    Attributes
    ----------
    complaints : list of str
        What came to the console as a warning or error, and every exception.
    requests : list of str
        The addresses of all that pages asked for.
    """

    def __init__(self, program: str, *, patience: float = 120.0):
        self.program, self.patience = program, patience
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._number, self._rest = 0, b""
        self._events: list[dict[str, Any]] = []

    def __enter__(self) -> Browser:
        self._home = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        # Chromium reads commands from descriptor 3 and answers on 4.
        words = [self.program, *_FLAGS, f"--user-data-dir={self._home.name}", "about:blank"]
        script = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "chromium", *words],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._session: str | None = None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for part in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{part}.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session = None
        try:
            self.send("Browser.close")
            self._process.wait(10)
        except (OSError, RuntimeError, TimeoutError, subprocess.TimeoutExpired):
            self._process.kill()
        finally:
            self._process.wait()
            os.close(self._to)
            os.close(self._from)
            self._home.cleanup()

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its result.

        Raises
        ------
        RuntimeError
            When Chromium refuses the command.
        TimeoutError
            When it does not answer.
        """
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + self.patience
        while True:
            answer = self._read(end)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error'].get('message')}")
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _read(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TimeoutError("Chromium does not answer")
            chunk = os.read(self._from, 1 << 20)
            if not chunk:
                raise RuntimeError("Chromium has ended")
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        method, found = event.get("method"), event.get("params") or {}
        self._events.append(event)
        if method == "Log.entryAdded" and found["entry"]["level"] in ("warning", "error"):
            self.complaints.append(found["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and found["type"] in ("warning", "error", "assert"):
            self.complaints.append(json.dumps(found["args"]))
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(found["exceptionDetails"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(found["request"]["url"])

    def open(
        self,
        page: str | Path,
        *,
        width: int = 390,
        height: int = 844,
        dark: bool = False,
        mobile: bool = True,
    ) -> None:
        """Open a file at a width in CSS pixels and wait until all of it is there."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if mobile else 1,
            mobile=mobile,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self._events.clear()
        problem = self.send("Page.navigate", url=Path(page).absolute().as_uri()).get("errorText")
        if problem:
            raise RuntimeError(f"{page}: {problem}")
        end = time.monotonic() + self.patience
        while not any(event.get("method") == "Page.loadEventFired" for event in self._events):
            self._note(self._read(end))

    def evaluate(self, expression: str) -> Any:
        """Compute something in the page and give it as plain values."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"].get("text", "the expression failed"))
        return found["result"].get("value")

    def screenshot(self, *, full: bool = False) -> bytes:
        """Take a picture (PNG) of the window, or of the whole page."""
        return base64.b64decode(self.send("Page.captureScreenshot", captureBeyondViewport=full)["data"])

    def pdf(self) -> bytes:
        """Print the page."""
        found = self.send(
            "Page.printToPDF",
            printBackground=False,
            preferCSSPageSize=True,
            paperWidth=8.27,
            paperHeight=11.69,
        )
        return base64.b64decode(found["data"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=390)
    parser.add_argument("--height", type=int, default=844)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--full", action="store_true", help="the whole page, not what fits into the window")
    options = parser.parse_args()
    program = find_chromium()
    if program is None:
        raise SystemExit("Chromium is not on PATH; Debian: apt-get install chromium")
    with Browser(program) as browser:
        mobile = options.width < 700
        browser.open(
            options.page, width=options.width, height=options.height, dark=options.dark, mobile=mobile
        )
        printed = options.out.suffix == ".pdf"
        options.out.write_bytes(browser.pdf() if printed else browser.screenshot(full=options.full))


if __name__ == "__main__":
    main()
