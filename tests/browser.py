"""A browser that tests look at pages with: headless Chromium, asked over a pipe until the page shows what it should.

It waits by the wall clock. Chromium's own ``--virtual-time-budget`` lets a page's clock run on while a busy machine's
server still answers, so that what is seen then depends on the load.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe")
WHOLE = "document.readyState == 'complete' ? document.documentElement.outerHTML : ''"


def seen(url: str, folder: Path, texts: Sequence[str], patience_s: float = 150.0) -> str:
    """The page as soon as it holds all of these texts, or as it is when patience ends.

    Args:
        folder: where the browser may keep its profile.
    """
    with _browser(folder / "chromium") as pipe:
        target = pipe.ask("Target.createTarget", url=url)["targetId"]
        session = pipe.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        end, page = time.monotonic() + patience_s, ""
        while time.monotonic() < end and not (page and all(text in page for text in texts)):
            time.sleep(0.3)
            answer = pipe.ask("Runtime.evaluate", session, expression=WHOLE, returnByValue=True)
            page = answer.get("result", {}).get("value") or ""
        return page


class _Pipe:
    """Chromium's own protocol (Chrome DevTools), whose messages are JSON that ends in a zero byte."""

    def __init__(self, told: int, answers: int) -> None:
        self.told, self.answers, self.left, self.number = told, answers, b"", 0

    def ask(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """What the browser answers; what it says unasked is passed over."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.told, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self.number:
            pass
        assert "result" in answer, answer
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.left:
            assert select.select([self.answers], [], [], 60.0)[0], "the browser does not answer"
            data = os.read(self.answers, 1 << 16)
            assert data, "the browser ended"
            self.left += data
        whole, self.left = self.left.split(b"\0", 1)
        return json.loads(whole)


@contextlib.contextmanager
def _browser(profile: Path) -> Iterator[_Pipe]:
    its_in, told = os.pipe()
    answers, its_out = os.pipe()
    # The protocol wants its pipes as 3 and 4, whatever numbers they have here.
    command = ["bash", "-c", f'exec "$@" 3<&{its_in} 4>&{its_out}', "bash", CHROMIUM, *FLAGS]
    browser = subprocess.Popen(
        [*command, f"--user-data-dir={profile}", "about:blank"],
        pass_fds=(its_in, its_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(its_in)
    os.close(its_out)
    try:
        yield _Pipe(told, answers)
    finally:
        browser.kill()
        browser.wait()
        os.close(told)
        os.close(answers)
