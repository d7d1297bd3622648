"""What a person does with the staff's app, in words of the screen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.integration.laboratory import Laboratory

ROOT = Path(__file__).parents[2]
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}


def texts(language: str = "en") -> dict[str, str]:
    """The catalogue of a language: what is shown by key."""
    found = json.loads((ROOT / "web" / "locales" / f"{language}.json").read_text("utf-8"))
    return {key: text if isinstance(text, str) else text["text"] for key, text in found.items()}


SIDEWAYS = """
() => [document.documentElement, ...document.querySelectorAll(".scrolls")]
    .filter((box) => box.scrollWidth > box.clientWidth)
    .map((box) => box.textContent)
"""
FORGET = """
async ([kind, id, field]) => {
    const done = (request) => new Promise((yes, no) => {
        request.onsuccess = () => yes(request.result);
        request.onerror = () => no(request.error);
    });
    const [{ name }] = (await indexedDB.databases()).filter((one) => one.name.startsWith("nidan"));
    const database = await done(indexedDB.open(name));
    const table = (wanted, mode) => database.transaction(wanted, mode).objectStore(wanted);
    const isPulled = async () => (await done(table("meta").get("sync")))?.value.synced_at > performance.timeOrigin;
    while (!(await isPulled())) await new Promise((yes) => setTimeout(yes, 20));  // or it would be pulled once more
    const documents = table(kind, "readwrite");
    await done(documents.put({ ...(await done(documents.get(id))), [field]: null }));
    database.close();
}
"""


class Visit:
    """One browser of one person at the laboratory `code`, whose passwords lie in `secrets`. `page` is Playwright's."""

    def __init__(self, chromium: Browser, address: str, code: str, secrets: Path, **options: Any) -> None:
        self._chromium, self.address, self.code, self.secrets = chromium, address, code, secrets
        self.errors: list[str] = []
        self.page = self._open(**options)

    def _open(self, **options: Any) -> Page:
        context = self._chromium.new_context(**{"locale": "en-IN", "viewport": DESKTOP} | options)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self._said(said.type, said.text))
        return page

    def _said(self, kind: str, text: str) -> None:
        """Errors of the app and of its policy; what the browser says of a refused request is no error of ours."""
        if kind == "error" and not text.startswith("Failed to load resource"):
            self.errors.append(text)

    def again(self, **options: Any) -> None:
        """Another browser, with other options (`viewport`, `color_scheme`, `locale` …)."""
        self.page.context.close()
        self.page = self._open(**options)

    def close(self) -> None:
        self.page.context.close()

    def password(self, username: str) -> str:
        return (self.secrets / f"{username}.password").read_text().strip()

    def fill_in(self, username: str, password: str, organization: str | None = None) -> None:
        """The form of the sign-in screen, and its button."""
        self.page.goto(f"{self.address}/app/")
        self.page.locator("[name=organization]").fill(organization or self.code)
        self.page.locator("[name=username]").fill(username)
        self.page.locator("[name=password]").fill(password)
        self.page.locator("button[type=submit]").click()

    def sign_in(self, username: str, path: str = "/") -> Page:
        """As this member of staff (a name of `seeding.STAFF`), on the screen of this path."""
        self.fill_in(username, self.password(username))
        expect(self.page.get_by_role("navigation")).to_be_visible()
        if path != "/":
            self.page.goto(f"{self.address}/app{path}")
        expect(self.page.locator("main h1")).to_be_visible()
        return self.page

    def forget(self, kind: str, document_id: str, field: str) -> None:
        """A device that does not know this field of a document: what its screen would prevent, it now tries."""
        self.page.evaluate(FORGET, [kind, document_id, field])
        self.page.reload()
        expect(self.page.locator("main h1")).to_be_visible()

    def sideways(self) -> list[str]:
        """What is in boxes that have to be scrolled sideways to be read."""
        found: list[str] = self.page.evaluate(SIDEWAYS)
        return found

    def violations(self) -> list[str]:
        """What axe finds wrong with what is shown, one line each."""
        return self.violations_of(self.page)

    @staticmethod
    def violations_of(page: Page) -> list[str]:
        """The same of any page."""
        if page.evaluate("typeof window.axe") == "undefined":
            page.evaluate(AXE.read_text("utf-8"))  # not as an element: the app's policy would refuse it
        found = page.evaluate("rules => axe.run({runOnly: rules})", RULES)
        return [
            f"{one['id']}: {one['help']}: {node['target']} {node.get('failureSummary', '')}"
            for one in found["violations"]
            for node in one["nodes"]
        ]


class App(Visit):
    """The same at the tests' laboratory, which is there to be looked into."""

    def __init__(self, chromium: Browser, address: str, lab: Laboratory) -> None:
        super().__init__(chromium, address, lab.code, lab.secrets)
        self.lab = lab
