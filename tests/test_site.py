"""The site as a browser shows it."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.chromium import CHROMIUM, Chromium

ROOT = Path(__file__).parents[1]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of the built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def shared_browser(tmp_path_factory):
    browser = Chromium(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def browser(shared_browser):
    """A browser, whose console must show no error."""
    shared_browser.resize(1280)
    shared_browser.errors.clear()
    yield shared_browser
    assert shared_browser.errors == []


SECTIONS = ["Home", "Start", "How to", "Coming from", "Reference", "Explanation", "Extend"]


def test_the_navigation_leads_from_the_home_page_to_every_part(site, browser):
    browser.open(f"{site}/")
    tabs = browser.evaluate("[...document.querySelectorAll('.md-tabs__link')].map(a => [a.textContent.trim(), a.href])")
    assert [title for title, _ in tabs] == SECTIONS
    for _, url in tabs:
        browser.open(url)
        assert browser.evaluate("document.querySelector('article h1').textContent.length") > 3
        current = browser.evaluate("document.querySelectorAll('.md-sidebar--primary .md-nav__link--active').length")
        assert current > 0


@pytest.mark.parametrize(
    ("words", "page"),
    [("resume a search", "resume/"), ("imbalanced", "imbalance/"), ("kubernetes", "executors/kubernetes/")],
)
def test_the_search_finds_a_page(site, browser, words, page):
    browser.open(f"{site}/install/")
    browser.evaluate(
        "document.querySelector('label[for=__search]').click();"
        "const field = document.querySelector('.md-search__input'); field.focus();"
        f"field.value = {words!r}; field.dispatchEvent(new KeyboardEvent('keyup', {{bubbles: true}}))"
    )
    links = "[...document.querySelectorAll('.md-search-result__link')].slice(0, 3).map(a => new URL(a.href).pathname)"
    browser.wait_for(f"{links}.length")
    assert f"/{page}" in browser.evaluate(links)


@pytest.mark.parametrize("page", ["", "install/", "tutorial/", "executors/ssh/", "comparison/", "api/classifier/"])
def test_a_page_fits_on_a_phone(site, browser, page):
    browser.resize(400)
    browser.open(f"{site}/{page}")
    assert browser.evaluate("document.documentElement.scrollWidth") <= 400
    assert browser.evaluate("parseFloat(getComputedStyle(document.querySelector('article p')).fontSize)") >= 14


BOX = """(() => {
    let box = document.querySelector('article table');
    while (getComputedStyle(box).overflowX != 'auto' && !box.matches('article')) box = box.parentElement;
    return box;
})()"""


@pytest.mark.parametrize("width", [400, 1280])
def test_the_table_of_peers_can_be_read(site, browser, width):
    browser.resize(width)
    browser.open(f"{site}/comparison/")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    browser.evaluate(f"(box => box.scrollLeft = box.scrollWidth)({BOX})")
    first, last = (
        browser.evaluate(
            f"(r => [r.left, r.right, r.width])(document.querySelector({selector!r}).getBoundingClientRect())"
        )
        for selector in (
            "article table tbody tr:nth-child(3) td:first-child",
            "article table tbody tr:nth-child(3) td:last-child",
        )
    )
    assert first[0] >= 0
    assert first[2] >= 90
    assert first[1] <= last[0] + 1  # the row's name and its last cell are seen at once
    assert last[1] <= width
