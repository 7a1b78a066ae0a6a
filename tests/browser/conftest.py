"""The audit site of the tiny paper in a real browser: Debian's Chromium, without a network."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sorafenib_rfa.audit.build import build_audit_site

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)


@dataclass
class View:
    """A page of the site, and everything it complained about or asked for."""

    page: object
    folder: Path
    complaints: list = field(default_factory=list)
    requests: list = field(default_factory=list)

    def open(self, target=""):
        """Open the site at a hash, from disk, as a reader with the address would."""
        self.page.goto("about:blank")
        self.page.goto(f"file://{self.folder}/index.html{target}")
        self.page.wait_for_selector("html.ready")
        return self.page

    def panel(self, target):
        """Wait until the panel shows a target; return it."""
        self.page.wait_for_function("target => document.body.dataset.shown === target", arg=target)
        return self.page.locator("#panel")


@pytest.fixture(scope="session")
def chromium():
    """One browser for all tests."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def built(tiny, tmp_path_factory):
    """A finished tiny repository and its audit site."""
    folder = tmp_path_factory.mktemp("site") / "audit"
    build_audit_site(tiny.folder, "synthetic", folder)
    return tiny.folder, folder


@pytest.fixture
def site(built):
    """The folder of the audit site."""
    return built[1]


@pytest.fixture
def repository(built):
    """The repository in which the paper was built."""
    return built[0]


@pytest.fixture
def look(chromium, site):
    """Return a function that opens the site in a window of its own; no complaint and no request may come of it."""
    opened = []

    def view(folder=site, **options):
        context = chromium.new_context(**{"viewport": {"width": 1400, "height": 900}, **options})
        seen = View(context.new_page(), folder)
        seen.page.on("console", lambda said: said.type in ("error", "warning") and seen.complaints.append(said.text))
        seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        opened.append((context, seen))
        return seen

    yield view
    for context, _ in opened:
        context.close()
    for _, seen in opened:
        assert seen.complaints == []
        assert [url for url in seen.requests if not url.startswith((f"file://{seen.folder}/", "data:", "about:"))] == []
