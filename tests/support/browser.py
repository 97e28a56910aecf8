"""Debian's headless Chromium, driven by Selenium: nothing is downloaded."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from selenium import webdriver
from selenium.common.exceptions import SessionNotCreatedException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
DRIVER = shutil.which("chromedriver")
FLAGS = ("headless", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars")
KEYS = {"Tab": Keys.TAB, "Enter": Keys.ENTER, "ArrowRight": Keys.ARROW_RIGHT}
TIMEOUT_S = 600
needs_chromium = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="no Chromium or no driver of it: apt-get install chromium chromium-driver",
)


class Browser:
    """One page of one browser."""

    def __init__(self, driver: webdriver.Chrome):
        self.driver = driver

    def call(self, method: str, **parameters) -> dict:
        """The result of a command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(method, parameters)

    def open(self, url: str, until: str = "true") -> None:
        """Go to an address and wait until an expression holds."""
        self.driver.get(url)
        self.wait(until)

    def run(self, expression: str):
        """The value of a JavaScript expression, promises awaited; raises what it throws.

        Selenium's `execute_script` takes function bodies only, and the policy of the pages forbids
        `eval`.
        """
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails'].get('exception')}")
        return answer["result"].get("value")

    def wait(self, expression: str) -> None:
        """Until an expression holds."""
        holds = f"Boolean({expression})"
        WebDriverWait(self, TIMEOUT_S, 0.02).until(lambda page: page.run(holds), expression)

    def key(self, name: str) -> None:
        """Press a key, such as Tab or Enter."""
        ActionChains(self.driver, duration=0).send_keys(KEYS[name]).perform()

    def look(self, width: int, height: int, *, dark: bool = False) -> None:
        """Size of the window and colours."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def requested(self) -> set[str]:
        """Addresses asked for since the last call, without the page's own data: and fragments."""
        logged = [json.loads(entry["message"]) for entry in self.driver.get_log("performance")]
        urls = [
            entry["message"]["params"]["request"]["url"]
            for entry in logged
            if entry["message"]["method"] == "Network.requestWillBeSent"
        ]
        return {url.partition("#")[0] for url in urls if not url.startswith("data:")}

    def console(self) -> list[str]:
        """Lines of the console since the last call: what scripts wrote and threw, and what the
        browser complains of."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@contextmanager
def opened(
    url: str, until: str = "document.readyState === 'complete'", within: str | None = None
) -> Iterator[Browser]:
    """A page in a browser.

    In the end nothing else may have been asked for (but what begins with `within`), nothing may
    stand in the console, and nobody may have called `hit`, as the hostile names of the tests try
    to.
    """
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in FLAGS:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    try:
        driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    except SessionNotCreatedException as error:
        pytest.skip(f"{DRIVER} does not drive {CHROMIUM}: {error.msg}")
    try:
        page = Browser(driver)
        page.look(1280, 900)
        script = "window.hits = 0; window.hit = () => { hits += 1 }"
        page.call("Page.addScriptToEvaluateOnNewDocument", source=script)
        page.open(url, until)
        yield page
        requested = page.requested() - {url, "about:blank"}
        assert {other for other in requested if not (within and other.startswith(within))} == set()
        assert page.console() == []
        assert page.run("hits") == 0
    finally:
        driver.quit()
