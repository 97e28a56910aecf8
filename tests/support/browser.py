"""Headless Chromium, driven by the DevTools protocol over a pipe with the standard library alone.

Tests load this file by its path (their imports are by file).
"""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
# the browser reads commands from descriptor 3 and answers on 4
STARTER = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 50) for end in sys.argv[1:3]]
os.dup2(ends[0], 3), os.dup2(ends[1], 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""
TIMEOUT_S = 600


def executable() -> str | None:
    """Path of a Chromium on this machine; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page of one browser; a context manager. `events`: all that the page and its network
    said."""

    def __init__(self, folder: Path):
        self.folder, self.events, self._numbers, self._buffer = folder, [], itertools.count(1), b""

    def __enter__(self):
        command_reader, self._writer = os.pipe()
        self._reader, answer_writer = os.pipe()
        ends = (command_reader, answer_writer)
        command = [
            sys.executable,
            "-c",
            STARTER,
            *map(str, ends),
            executable(),
            *FLAGS,
            f"--user-data-dir={self.folder}",
        ]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen([*command, "about:blank"], pass_fds=ends, **quiet)
        for end in ends:
            os.close(end)
        self._session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(TIMEOUT_S)
        os.close(self._writer)
        os.close(self._reader)

    def call(self, method: str, **parameters) -> dict:
        """The result of a command."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writer, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def _message(self) -> dict:
        while b"\0" not in self._buffer:
            if not select.select([self._reader], [], [], TIMEOUT_S)[0]:
                raise TimeoutError("the browser says nothing")
            piece = os.read(self._reader, 1 << 20)
            if not piece:
                raise RuntimeError("the browser ended")
            self._buffer += piece
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def open(self, url: str, until: str = "true") -> None:
        """Go to an address and wait until an expression holds."""
        self.call("Page.navigate", url=url)
        self.wait(until)

    def run(self, expression: str):
        """The value of a JavaScript expression, promises awaited; raises what it throws."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(
                f"{expression}: "
                f"{answer['exceptionDetails'].get('exception', {}).get('description')}"
            )
        return answer["result"].get("value")

    def wait(self, expression: str) -> None:
        """Until an expression holds."""
        ends = time.monotonic() + TIMEOUT_S
        while not self.run(f"Boolean({expression})"):
            if time.monotonic() > ends:
                raise TimeoutError(expression)
            time.sleep(0.02)

    def key(self, name: str) -> None:
        """Press a key, such as Tab or Enter."""
        code = {"Tab": 9, "Enter": 13, "Space": 32}[name]
        text = {"text": "\r"} if name == "Enter" else {"text": " "} if name == "Space" else {}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=name,
                code=name,
                windowsVirtualKeyCode=code,
                **text,
            )

    def look(self, width: int, height: int, *, dark: bool = False) -> None:
        """Size of the window and colours."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """A PNG of the window, or of the whole page."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def said(self, *methods: str) -> list[dict]:
        """Events of some kinds so far."""
        return [event for event in self.events if event.get("method") in methods]
