"""The dashboard in a real browser: seen, clicked, read by a screen reader's tree; light and dark, wide and narrow.

Set `CRAWLER_SCREENSHOTS` to a folder to keep the pictures and look at them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import crawler
from tests.service.browser import Browser, Page
from tests.service.conftest import Sluice

pytestmark = pytest.mark.needs_program("chromium")

TOKEN = "a-token-of-the-tests-0123456789"


@dataclass(slots=True)
class Dashboard:
    """A service in a process of its own, with one run of each kind."""

    url: str
    live: str
    failed: str

    def post(self, path: str, body: object) -> Any:
        """POST JSON."""
        return crawler.post(self.url + path, json=body, timeout=20, headers=_bearer()).json()

    def run_of(self, run_id: str) -> Any:
        """A run as the API tells it."""
        return crawler.get(f"{self.url}/v1/runs/{run_id}", timeout=20, headers=_bearer()).json()


def _bearer() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def gate() -> Iterator[Sluice]:
    """A server that holds runs in their middle."""
    sluice = Sluice()
    yield sluice
    sluice.close()


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory, gate: Sluice) -> Iterator[Dashboard]:
    """A job that is held in mid-run, one that fails in part, one whose file is broken; and the token."""
    folder = tmp_path_factory.mktemp("dashboard")
    (folder / "jobs").mkdir()
    jobs = {
        "held": gate.job(8, 8) + "contact: you@example.org\nschedule: {every: 12h}\nbody: {keep: file}\n",
        "spotty": f"description: Fails in part\nurls: ['{gate.url}/quick', 'http://127.0.0.1:9/']\n"
        "retry: {attempts: 1}\nbody: {keep: file}\n",
        "broken": "urls: [\n",
    }
    for name, text in jobs.items():
        (folder / "jobs" / f"{name}.yaml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "crawler.cli", "serve", "--port", "0", "--allow-network", "127.0.0.1"]
    process = subprocess.Popen(
        [*command, "--jobs", str(folder / "jobs"), "--state", str(folder / "state")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "CRAWLER_TOKEN": TOKEN},
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+(?=;)", process.stdout.readline())
        assert found is not None
        made = Dashboard(found[0], "", "")
        made.failed = made.post("/v1/runs", {"job": "spotty"})["id"]
        made.live = made.post("/v1/runs", {"job": "held"})["id"]
        yield made
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all."""
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def logged_in(browser: Browser, dashboard: Dashboard, path: str, **options: Any) -> Page:
    """A page behind the token, which is typed as a user types it."""
    page = browser.page(f"{dashboard.url}/", **options)
    page.run("document.getElementById('token').focus()")
    page.call("Input.insertText", text=TOKEN)
    page.key("Enter", 13)
    page.until("document.querySelector('h1')?.textContent === 'Overview'")
    if path != "/":
        page.open(dashboard.url + path)
    return page


def keep(page: Page, name: str) -> None:
    """Keep a picture for people."""
    if folder := os.environ.get("CRAWLER_SCREENSHOTS"):
        (Path(folder) / f"{name}.png").write_bytes(page.picture())


def test_the_token_is_asked_for_once(browser: Browser, dashboard: Dashboard) -> None:
    """A wrong one is refused, the right one opens every page, and nothing of it can be read by scripts."""
    page = browser.page(f"{dashboard.url}/runs/{dashboard.failed}")
    page.until("document.getElementById('token') === document.activeElement")
    page.call("Input.insertText", text="wrong")
    page.key("Enter", 13)
    page.until("document.querySelector('[role=alert]')?.textContent.includes('not the token')")
    keep(page, "login")
    page.close()

    page = logged_in(browser, dashboard, "/docs")
    assert page.run("document.querySelector('h1').textContent") == "API"
    assert page.run("document.cookie") == ""
    page.run("document.querySelector('header form button').click()")
    page.until("document.getElementById('token') !== null")
    page.close()


def test_a_run_is_started_watched_paused_and_cancelled(browser: Browser, dashboard: Dashboard, gate: Sluice) -> None:
    """With the keyboard alone, from the overview; the page follows what happens without being loaded anew."""
    page = logged_in(browser, dashboard, "/")
    page.run("window.isTheSamePage = true")
    page.until("document.querySelector('.card [data-figures]')?.textContent === '8 of 16'")
    assert page.run("document.querySelector('.card [data-in-flight]').textContent") == "4"
    assert "Kept out." in page.run("document.querySelector('#part-jobs').innerText")
    keep(page, "overview")

    press(page, "Pause held")
    page.until("document.querySelector('.card [data-state]').textContent === 'paused'")
    assert dashboard.run_of(dashboard.live)["state"] == "paused"
    page.until("[...document.querySelectorAll('button')].some(b => b.textContent === 'Resume held')")
    press(page, "Resume held")
    page.until("document.querySelector('.card [data-state]').textContent === 'running'")
    page.run("window.confirm = () => true")
    page.until("[...document.querySelectorAll('button')].some(b => b.textContent === 'Cancel held')")
    press(page, "Cancel held")
    page.until("document.querySelector('#part-history').innerText.includes('held')")
    page.until("document.getElementById('note').textContent.includes('held is stopped')")

    assert page.run("window.isTheSamePage") is True
    assert dashboard.run_of(dashboard.live)["state"] == "stopped"
    press(page, "Start spotty")
    page.until("location.pathname.startsWith('/runs/')")
    page.until("document.querySelector('[data-state]')?.textContent === 'finished, exit code 1'")
    page.until("document.querySelector('#part-errors').innerText.includes('connect')")
    assert page.complaints() == []
    page.close()


def press(page: Page, name: str) -> None:
    """Reach a button by Tab, as its name is read out, and press Enter."""
    page.run("document.getElementById('main').focus()")
    for _ in range(60):
        page.key("Tab", 9)
        if page.run("document.activeElement.textContent") == name:
            assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            page.key("Enter", 13)
            return
    raise AssertionError(f"Tab does not reach {name!r}")


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_every_page_can_be_read(browser: Browser, dashboard: Dashboard, width: int, scheme: Any) -> None:
    """Nothing sticks out, every text has contrast, everything has a name, and no script or style is kept out."""
    page = logged_in(browser, dashboard, "/", width=width, scheme=scheme)
    for path in ("/", "/jobs/spotty", "/jobs/broken", f"/runs/{dashboard.failed}", "/docs"):
        page.open(dashboard.url + path)
        if path.startswith("/runs/"):
            page.until("document.querySelector('[data-state]').textContent.startsWith('finished')")
        keep(page, f"{path.strip('/').replace('/', '-') or 'overview'}-{width}-{scheme}")
        assert page.run("document.documentElement.scrollWidth") == width, path
        assert page.run(_PALE) == [], path
        assert nameless(page) == [], path
        assert page.run("document.querySelectorAll('main, nav, header, h1').length") == 4, path
        assert page.run("getComputedStyle(document.body).backgroundColor") == (
            "rgb(13, 17, 23)" if scheme == "dark" else "rgb(255, 255, 255)"
        )
    assert page.complaints() == []
    page.close()


# Texts whose colour differs from the ground below them by less than WCAG 2.2 asks for (4.5 to 1).
_PALE = """(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (colour !== "rgba(0, 0, 0, 0)") return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const pale = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || parent.closest("script, style, option, .hidden, [hidden]")) continue;
    const [low, high] = [light(getComputedStyle(parent).color), light(ground(parent))].sort((a, b) => a - b);
    if ((high + 0.05) / (low + 0.05) < 4.5) pale.add(walker.currentNode.data.trim());
  }
  return [...pale];
})()"""


def nameless(page: Page) -> list[str]:
    """Things to use, and landmarks, that a screen reader has no name for."""
    roles = {"button", "link", "textbox", "combobox", "image", "Iframe", "progressbar", "region", "navigation"}
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    return [
        json.dumps(node["role"])
        for node in nodes
        if not node.get("ignored")
        and node["role"]["value"] in roles
        and not node.get("name", {}).get("value", "").strip()
    ]


def test_a_run_in_detail(browser: Browser, dashboard: Dashboard) -> None:
    """Report, records with their filter, links to files, log: all of it is there."""
    page = logged_in(browser, dashboard, f"/runs/{dashboard.failed}")
    page.until("document.querySelector('iframe') !== null")
    rows = "[...document.querySelectorAll('#part-records tbody tr')].map(row => row.innerText)"
    assert len(page.run(rows)) == 2
    page.run("document.querySelector('[name=outcome]').value = 'failed'")
    page.run("document.querySelector('.filter button').click()")
    page.until("location.search.includes('outcome=failed') && document.readyState === 'complete'")
    (only,) = page.run(rows)
    assert "http://127.0.0.1:9/" in only

    page.open(f"{dashboard.url}/runs/{dashboard.failed}?outcome=ok")
    link = page.run("document.querySelector('#part-records a[download]').getAttribute('href')")
    assert page.run(f"fetch({json.dumps(link)}).then(answer => answer.text())") == "ok"
    assert "begins" in page.run("document.querySelector('#part-log pre').textContent")
    page.open(f"{dashboard.url}/runs/{dashboard.failed}/report")
    assert "spotty" in page.run("document.body.innerText")
    page.close()
