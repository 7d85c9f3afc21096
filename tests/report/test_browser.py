"""The page in a browser: silent, offline, sortable, interactive, accessible."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium")
if not CHROMIUM:
    pytest.skip("no chromium: apt-get install chromium", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def report(report_folder: Path) -> Path:
    return report_folder / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def look(browser, report: Path) -> Iterator:
    """Open the report; at the end: nothing was said, nothing was fetched."""
    said: list[str] = []
    contexts = []

    def opened(width: int = 1280, **options):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console",
            lambda m: said.append(m.text) if m.type in ("error", "warning") else None,
        )
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on(
            "request",
            lambda r: (
                None if r.url.startswith(("file:", "data:")) else said.append(r.url)
            ),
        )
        page.goto(report.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []


def see_all(page) -> int:
    """Scroll through the page so that every chart is drawn; returns how many are."""
    for chart in page.query_selector_all("figure:has([data-chart])"):
        chart.scroll_into_view_if_needed()
    charts = page.locator("[data-chart]").count()
    page.wait_for_function(
        "n => document.querySelectorAll('[data-state=drawn]').length === n", arg=charts
    )
    return charts


def test_charts_are_drawn_in_place_of_the_still_figures(look):
    page = look()
    assert see_all(page) >= 5
    for chart in page.query_selector_all("[data-chart]"):
        assert chart.query_selector("svg").bounding_box()["width"] > 400
        assert chart.evaluate("c => c.previousElementSibling.hidden")


def test_the_legend_filters(look):
    page = look()
    see_all(page)
    chart = page.locator("[data-chart=curves]")
    faint = "g => [...g.querySelectorAll('.mark-line path')].filter(p => +getComputedStyle(p).opacity < .2).length"
    assert chart.evaluate(faint) == 0
    chart.locator(".role-legend-symbol path").first.click(force=True)
    page.wait_for_timeout(300)
    assert chart.evaluate(faint) > 0


def test_the_search_is_coloured_by_the_chosen_setting(look):
    page = look()
    see_all(page)
    chart = page.locator("[data-chart=search]")
    labels = "c => [...c.querySelectorAll('.role-legend-label text')].map(t => t.textContent)"
    assert chart.evaluate(labels) == ["0.0001", "0.001", "0.01"]
    chart.locator("select").first.select_option(index=1)
    page.wait_for_timeout(300)
    assert chart.evaluate(labels) == ["8", "16", "32", "64"]


def test_tables_are_sorted_by_mouse_and_keyboard(look):
    page = look()
    table = page.locator("table", has_text="Accuracy by variant")
    button = table.locator("thead button").nth(1)

    def shown() -> list[float]:
        cells = table.locator("tbody tr td:nth-child(2)").all_inner_texts()
        return [float(text.split()[0]) for text in cells]

    before = shown()
    button.click()
    assert shown() == sorted(before) != before
    button.focus()
    page.keyboard.press("Enter")
    assert shown() == sorted(before, reverse=True)
    assert table.locator("th").nth(1).get_attribute("aria-sort") == "descending"


def test_a_cell_of_the_explorer_shows_its_images(look):
    page = look()
    place = page.locator("#labmill-explorer")
    cell = (
        place.locator("tbody tr")
        .nth(3)
        .locator("button[aria-label*='of 3 predicted as 3']")
    )
    cell.click()
    examples = place.locator(".examples figure")
    assert examples.count() == 4
    assert "3 taken for 3" in examples.first.inner_text()


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_no_page_is_wider_than_its_screen(look, width):
    page = look(width)
    see_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut = """charts => charts.flatMap(chart => {
        const frame = chart.getBoundingClientRect();
        return [...chart.querySelectorAll("svg text")].filter(text => {
            const box = text.getBoundingClientRect();
            const shown = box.width && +getComputedStyle(text).opacity > 0;
            return shown && (box.left < frame.left - 1 || box.right > frame.right + 1);
        }).map(text => `${chart.dataset.chart}: ${text.textContent}`);
    })"""
    assert page.eval_on_selector_all("[data-chart]", cut) == []


def test_dark_mode_turns_page_figures_and_charts(look):
    page = look(color_scheme="dark")
    see_all(page)
    brightness = (
        "c => c.match(/[\\d.]+/g).slice(0, 3).reduce((a, b) => a + +b, 0) / 765"
    )

    def light(color: str) -> float:
        return page.evaluate(brightness, color)

    body = page.evaluate("getComputedStyle(document.body).backgroundColor")
    words = page.evaluate("getComputedStyle(document.body).color")
    axis = page.locator("[data-chart=curves] .role-axis-label text").first
    still = "getComputedStyle(document.querySelector('.drawing:not([hidden]) svg [style*=ink]')).fill"
    assert light(body) < 0.2 < 0.8 < light(words)
    assert light(axis.evaluate("t => getComputedStyle(t).fill")) > 0.8
    assert light(page.evaluate(still)) > 0.8
    page.emulate_media(color_scheme="light")
    page.wait_for_timeout(500)
    assert light(axis.evaluate("t => getComputedStyle(t).fill")) < 0.2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(look, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    # axe adds a script of its own, which the page's policy rightly refuses.
    page = look(color_scheme=scheme, bypass_csp=True)
    see_all(page)
    # A still figure is one image to those who cannot see it, not its thousand strokes.
    context = {"exclude": [[".drawing svg > *"]]}
    found = axe.Axe().run(page, context=context).response["violations"]
    serious = [
        (one["id"], one["nodes"][0]["html"][:200])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_without_scripts_all_figures_are_still_there(look):
    page = look(java_script_enabled=False)
    figures = page.locator(".drawing svg")
    assert figures.count() > 10
    assert all(figures.nth(i).is_visible() for i in range(figures.count()))


def test_on_paper_the_still_figures_stand_and_the_controls_do_not(look):
    page = look()
    see_all(page)
    page.emulate_media(media="print")
    assert not page.locator("[data-chart=curves]").is_visible()
    assert page.locator("figure:has([data-chart=curves]) .drawing svg").is_visible()
    assert not page.locator("nav").is_visible()
