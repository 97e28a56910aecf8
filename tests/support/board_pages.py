"""The page of a board in a real browser."""

import json
from contextlib import contextmanager

from bimotion.leaderboard import site
from tests.support import browser

ROW = "#ranking tbody tr:not(.line)"
ROWS = f"document.querySelectorAll('{ROW}')"
WIDE = (1280, 900)


@contextmanager
def opened(board, folder):
    """A browser on the page of a board, made anew, in which nothing may go wrong."""
    url = site.build(board, folder / "site").as_uri()
    with browser.opened(url, f"{ROWS}.length") as page:
        yield BoardPage(page.driver, url)


class BoardPage(browser.Browser):
    """The page of a board, and what a reader does with it."""

    def __init__(self, driver, url):
        super().__init__(driver)
        self.url = url

    def go(self, address, until):
        """Go to an address of the page, such as `#/run/...`."""
        self.open(self.url + address, until)

    def fresh(self):
        """The page as it opens, with what is not ranked."""
        self.look(*WIDE)
        self.run("location.hash = '#/'; dispatchEvent(new HashChangeEvent('hashchange'))")
        self.choose("below", True)
        self.wait("!document.querySelector('#overview').hidden")

    def first(self, selector, what):
        """An expression of the first element."""
        return self.run(f"document.querySelector({json.dumps(selector)}).{what}")

    def each(self, selector, what):
        """An expression of every element, `node`."""
        nodes = f"[...document.querySelectorAll({json.dumps(selector)})]"
        return self.run(f"{nodes}.map(node => {what})")

    def text(self, selector):
        return self.first(selector, "innerText")

    def models(self):
        return self.each(ROW, "node.querySelector('th').firstChild.textContent")

    def column(self, name):
        columns = self.each("#ranking thead th", "node.dataset.column")
        return self.each(ROW, f"node.children[{columns.index(name)}].innerText")

    def choose(self, name, value):
        """Set a filter."""
        kind = "checked" if isinstance(value, bool) else "value"
        event = "field.dispatchEvent(new Event('input', {bubbles: true}))"
        field = f"document.querySelector('#filters').elements['{name}']"
        self.run(f"(field => {{ field.{kind} = {json.dumps(value)}; {event} }})({field})")

    def open_model(self, name=None):
        """Press the link of a model, or of the first, and wait for its details."""
        links = "[...document.querySelectorAll('#ranking tbody a')]"
        chosen = "true" if name is None else f"one.textContent === {json.dumps(name)}"
        self.run(f"{links}.find(one => {chosen}).click()")
        self.wait("!document.querySelector('#detail').hidden")

    def back(self):
        self.run("history.back()")
        self.wait("!document.querySelector('#overview').hidden")
