"""The report in a real browser: the system's Chromium, without a network.

Needs playwright from requirements-oracles.txt, and a Chromium where Debian puts it, or where CHROMIUM says.
"""

import os
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.evidence.sample_days import Organization

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")

CONTRAST = """
() => {
  const parsed = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((one) => {
      const share = one / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parsed(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const weak = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || ["SCRIPT", "STYLE", "DESC", "TITLE"].includes(element.tagName.toUpperCase())) continue;
    const style = getComputedStyle(element);
    const svg = element.namespaceURI.endsWith("svg");
    const [a, b] = [luminance(parsed(svg ? style.fill : style.color)), luminance(background(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) weak.push([node.data.trim().slice(0, 40), ratio]);
  }
  return weak;
}
"""
"""Every text whose contrast to what is behind it is below WCAG's 4.5 to 1."""

BROKEN = """
() => [...document.querySelectorAll("th, td.id")].flatMap((cell) => {
  const broken = [];
  const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (const word of node.data.matchAll(cell.matches("td") ? /\\S+/g : /[^\\s-]+/g)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      if (range.getClientRects().length > 1) broken.push(word[0]);
    }
  }
  return broken;
})
"""
"""Words of headings, and account ids, instance ids, regions and days, that go on in another line."""

A4_WIDTH = 680
"""In CSS pixels, between the margins."""

NAMELESS = """
() => [...document.querySelectorAll("a, button, input, summary, [role=region], [role=img], nav, section")]
  .filter((one) => !(one.getAttribute("aria-label") || one.textContent.trim()
    || (one.labels && one.labels.length) || document.getElementById(one.getAttribute("aria-labelledby"))))
  .map((one) => one.outerHTML.slice(0, 80))
"""
"""What a screen reader could not name."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a seventh day's report."""
    organization = Organization(tmp_path_factory.mktemp("week"), date(2026, 3, 1), instances=36)
    for number in range(7):
        organization.package(number)
    return (organization.folder / "packages" / "2026-03-07" / "report.html").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, as it can run in a container."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which nothing may go wrong: no request but for the file, no error, no message."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    requests: list[str] = []
    said: list[str] = []
    opened.on("request", lambda request: requests.append(request.url))
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    yield opened
    context.close()
    assert said == []
    assert len(requests) == 1
    assert requests[0].startswith("file:")


def first_cells(page: Page, table: str, column: int) -> list[str]:
    """The visible texts of a column."""
    cells = page.locator(f"[data-table={table}] tbody tr:not([hidden]) > :nth-child({column})")
    return [text.strip() for text in cells.all_inner_texts()]


def test_the_page_comes_alive_without_a_network(page: Page, report: str) -> None:
    """Its script runs under its own policy, and is the only one that may."""
    page.goto(report)
    assert page.locator("html").get_attribute("data-ready") == "true"
    # Injected, another script would be refused; the refusal is a message, so it is asked of the policy, not tried.
    policy = page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert policy
    assert policy.startswith("default-src 'none'")


def test_a_table_sorts_by_a_click_and_by_the_keyboard(page: Page, report: str) -> None:
    """Numbers as numbers, ascending then descending; the heading says which."""
    page.goto(report)
    heading = page.locator("[data-table=scopes] thead th", has_text="Population")
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    populations = [int(text) for text in first_cells(page, "scopes", 3)]
    assert populations == sorted(populations)
    assert len(set(populations)) > 1
    heading.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert [int(text) for text in first_cells(page, "scopes", 3)] == sorted(populations, reverse=True)
    account = page.locator("[data-table=scopes] thead th", has_text="Account")
    account.get_by_role("button").click()
    assert (account.get_attribute("aria-sort"), heading.get_attribute("aria-sort")) == ("ascending", "none")
    assert first_cells(page, "scopes", 1) == sorted(first_cells(page, "scopes", 1))


def test_days_left_sort_as_numbers_and_what_is_missing_comes_last(page: Page, report: str) -> None:
    """8 comes before 12, whichever way a text would sort."""
    page.goto(report)
    heading = page.locator("[data-table=exemptions] thead th", has_text="Days left")
    heading.get_by_role("button").click()
    left = [int(text) for text in first_cells(page, "exemptions", 9)]
    assert left == sorted(left)
    assert [str(one) for one in left] != sorted(str(one) for one in left)
    approved = page.locator("[data-table=exemptions] thead th", has_text="Approved by")
    approved.get_by_role("button").click()
    names = first_cells(page, "exemptions", 5)
    assert names[0] == "Ada Roe"
    assert names[-1] == "\N{EN DASH}"


def test_a_filter_hides_what_does_not_match_and_says_how_many_do(page: Page, report: str) -> None:
    """Any part of a row, whatever its case; emptied, all rows are back."""
    page.goto(report)
    everything = first_cells(page, "exemptions", 1)
    field = page.locator("[data-table=exemptions]").get_by_label("Filter")
    field.fill("ADA roe")
    matching = first_cells(page, "exemptions", 5)
    assert set(matching) == {"Ada Roe"}
    status = page.locator("[data-table=exemptions] [role=status]")
    assert status.inner_text() == f"{len(matching)} of {len(everything)} rows match"
    field.fill("no such thing")
    assert first_cells(page, "exemptions", 1) == []
    field.fill("")
    assert first_cells(page, "exemptions", 1) == everything
    assert status.inner_text() == ""


def test_a_hostile_tag_is_only_text(page: Page, report: str) -> None:
    """Its markup is shown, not obeyed."""
    page.goto(report)
    assert page.get_by_text('=HYPERLINK("http://evil.example","<b>free</b>")', exact=True).count() == 1
    assert page.locator("td b").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_everything_is_readable(page: Page, report: str, scheme: str, width: int) -> None:
    """In light and dark, wide and narrow: contrast, and nothing that makes the page scroll sideways."""
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(report)
    red, green, blue = (
        int(one) for one in page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3)")
    )
    assert (red + green + blue > 600) is (scheme == "light")
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    sizes = page.evaluate(
        "[...document.querySelectorAll('figure svg')].map((one) => one.getBoundingClientRect().height)"
    )
    assert len(sizes) == 3
    assert all(height > 100 for height in sizes)


def test_charts_keep_inside_their_frame(page: Page, report: str) -> None:
    """No label and no legend is cut off."""
    page.goto(report)
    outside = page.evaluate(
        """() => [...document.querySelectorAll("figure svg")].flatMap((svg) => {
          const frame = svg.getBoundingClientRect();
          return [...svg.querySelectorAll("text")].filter((text) => {
            const box = text.getBoundingClientRect();
            return box.width && (box.left < frame.left - 1 || box.right > frame.right + 1
              || box.top < frame.top - 1 || box.bottom > frame.bottom + 1);
          }).map((text) => text.textContent);
        })"""
    )
    assert outside == []


def test_printed_it_has_no_controls_and_is_on_white(page: Page, report: str) -> None:
    """Also when the screen is dark."""
    page.emulate_media(media="print", color_scheme="dark")
    page.goto(report)
    for hidden in ("nav", ".controls", ".skip"):
        assert not any(one.is_visible() for one in page.locator(hidden).all())
    assert page.locator("table").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    arrow = "getComputedStyle(document.querySelector('th button'), '::after').content"
    assert page.evaluate(arrow) == "none"
    assert len(page.pdf(format="A4")) > 10_000


def test_printed_no_heading_and_no_id_is_broken(page: Page, report: str) -> None:
    """On a sheet of A4, and everything is on it."""
    page.emulate_media(media="print")
    page.set_viewport_size({"width": A4_WIDTH, "height": 1000})
    page.goto(report)
    assert page.evaluate(BROKEN) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_is_closed_is_printed(page: Page, report: str) -> None:
    """The figures of the chart: on paper nobody can open them. Afterwards they are closed again."""
    page.goto(report)
    figures = page.locator("details table")
    assert not figures.is_visible()
    page.emulate_media(media="print")
    assert figures.is_visible()
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details[open]").count() == 1
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0


@pytest.mark.parametrize(("width", "told"), [(390, True), (1280, False)])
def test_a_chart_that_is_cut_says_how_to_see_the_rest(page: Page, report: str, width: int, *, told: bool) -> None:
    """Where it is wider than the screen, and only there."""
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(report)
    cut, hint = page.evaluate(
        """() => {
          const charts = [...document.querySelectorAll(".chart")];
          const hints = charts.map((one) => getComputedStyle(one, "::before").content.startsWith('"Scroll sideways'));
          return [charts.map((one) => one.scrollWidth > one.clientWidth), hints];
        }"""
    )
    assert (cut, hint) == ([told] * 3, [told] * 3)


def test_it_can_be_read_without_seeing_it(page: Page, report: str) -> None:
    """Landmarks, one main heading, no level left out, names for all controls, captions and scopes for all tables."""
    page.goto(report)
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        assert page.get_by_role(landmark).count() == 1, landmark
    assert page.locator("html").get_attribute("lang") == "en"
    levels = [
        int(tag[1]) for tag in page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((h) => h.tagName)")
    ]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.evaluate(NAMELESS) == []
    tables = page.locator("table").count()
    assert page.locator("table > caption").count() == tables
    assert page.locator("th:not([scope])").count() == 0
    assert page.locator("tbody tr:not(:has(> th[scope=row]))").count() == 0
    assert page.locator("[data-table] thead th:not([aria-sort])").count() == 0


def test_the_keyboard_comes_to_the_figures_first(page: Page, report: str) -> None:
    """The first stop is a link that skips the navigation; whatever has the focus shows it."""
    page.goto(report)
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    assert focused.inner_text() == "Skip to the figures"
    box = focused.bounding_box()
    assert box
    assert box["x"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator("th button").first.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_links_lead_to_their_sections(page: Page, report: str) -> None:
    """Each of the navigation's."""
    page.goto(report)
    for link in page.get_by_role("navigation").get_by_role("link").all():
        link.click()
        target = (link.get_attribute("href") or "")[1:]
        assert page.locator(f"#{target}").is_visible()


def test_it_is_a_file_that_can_be_moved(page: Page, report: str, tmp_path: Path) -> None:
    """Alone in another folder, it is the same page."""
    alone = tmp_path / "alone.html"
    alone.write_bytes(Path(report.removeprefix("file://")).read_bytes())
    page.goto(alone.as_uri())
    assert page.locator("figure svg").count() == 3
    assert page.locator("html").get_attribute("data-ready") == "true"
