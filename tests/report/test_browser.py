"""The page in a browser: silent, offline, sortable, filtered, accessible."""

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


def test_a_click_on_a_mark_filters_every_figure_and_table(look):
    page = look()
    faint = """label => [...document.querySelectorAll(`main .wide [data-of="${label}"]`)]
        .filter(mark => +getComputedStyle(mark).opacity < .2).length"""
    rows = """label => [...document.querySelectorAll("main .scroll tbody tr.faint")]
        .filter(row => row.cells[0].textContent.trim() === label).length"""
    curve = page.locator("[id=fig-curves] .wide [data-of=CNN] path").first
    other = "ViT, learnable, relu"
    assert page.evaluate(faint, other) == 0
    curve.dispatch_event("click")
    assert page.evaluate(faint, other) > 5 and page.evaluate(rows, other) > 1
    assert page.evaluate(faint, "CNN") == page.evaluate(rows, "CNN") == 0
    curve.dispatch_event("click")
    assert page.evaluate(faint, other) == page.evaluate(rows, other) == 0


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


def test_tables_are_copied_as_csv_markdown_and_latex(look):
    page = look(permissions=["clipboard-read", "clipboard-write"])
    table = page.locator(".scroll", has_text="Accuracy by variant")
    bar = table.locator("xpath=following-sibling::div[1]")
    starts = {
        "CSV": "Variant,Test accuracy,",
        "Markdown": "| Variant | Test accuracy |",
        "LaTeX": "\\begin{tabular}{lrrrrrrr}\n\\toprule\nVariant & Test accuracy &",
    }
    for name, start in starts.items():
        bar.get_by_role("button", name=name).click()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied.startswith(start) and "ViT, learnable, relu" in copied
        assert copied.count("\n") >= 5


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
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wider = """drawings => drawings.filter(one => one.scrollWidth > one.clientWidth)
        .map(one => one.closest("figure").id)"""
    assert page.eval_on_selector_all(".drawing", wider) == []
    kind = "narrow" if width < 640 else "wide"
    shown = "all => new Set(all.filter(one => one.checkVisibility()).map(one => one.classList[0])).size"
    assert (
        page.eval_on_selector_all(".drawing svg.wide, .drawing svg.narrow", shown) == 1
    )
    assert page.locator(f"#fig-curves svg.{kind}").is_visible()


def test_dark_mode_turns_page_and_figures(look):
    page = look(color_scheme="dark")
    brightness = (
        "c => c.match(/[\\d.]+/g).slice(0, 3).reduce((a, b) => a + +b, 0) / 765"
    )

    def light(color: str) -> float:
        return page.evaluate(brightness, color)

    body = page.evaluate("getComputedStyle(document.body).backgroundColor")
    words = page.evaluate("getComputedStyle(document.body).color")
    ink = "getComputedStyle(document.querySelector('.drawing svg.wide [style*=ink]')).fill"
    shade = "getComputedStyle(document.querySelector('.drawing svg.wide [style*=heat-0]')).fill"
    assert light(body) < 0.2 < 0.8 < light(words)
    assert light(page.evaluate(ink)) > 0.8 and light(page.evaluate(shade)) < 0.2
    page.emulate_media(color_scheme="light")
    assert light(page.evaluate(ink)) < 0.2 and light(page.evaluate(shade)) > 0.8


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(look, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    # axe adds a script of its own, which the page's policy rightly refuses.
    page = look(color_scheme=scheme, bypass_csp=True)
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
    figures = page.locator(".drawing svg.wide")
    assert figures.count() > 10
    assert all(figures.nth(i).is_visible() for i in range(figures.count()))


def test_on_paper_the_wide_figures_stand_and_the_controls_do_not(look):
    page = look(390)
    page.emulate_media(media="print")
    assert page.locator("#fig-curves svg.wide").is_visible()
    assert not page.locator("#fig-curves svg.narrow").is_visible()
    assert not page.locator("nav").is_visible()


def test_the_selector_of_variants_works_by_keyboard_in_all_views(look):
    page = look()
    page.locator(".selector summary").focus()
    page.keyboard.press("Enter")
    page.get_by_label("CNN", exact=True).focus()
    page.keyboard.press("Space")
    assert page.get_by_label("CNN", exact=True).is_checked()
    assert page.locator("main .scroll tbody tr.faint").count()
    assert page.locator(".drawing svg.wide [data-of].faint").count()
    page.keyboard.press("Space")
    assert not page.locator(".faint").count()


@pytest.mark.parametrize("which", ["first", "last"])
def test_a_link_to_a_claim_shows_its_card_by_keyboard(look, which: str):
    page = look(reduced_motion="reduce")
    link = getattr(page.locator('main a[href^="#claim-"]:visible'), which)
    number = int(link.get_attribute("href").removeprefix("#claim-"))
    link.focus()  # the browser scrolls to the last one
    card = page.locator(".card")
    card.wait_for(state="visible")
    page.wait_for_timeout(500)
    assert card.is_visible()
    assert card.locator("strong").inner_text() == f"C{number}"
    beside = """link => {
        const [at, card] = [link, document.querySelector(".card")].map(
            one => one.getBoundingClientRect());
        return [card.top - at.bottom, at.top - card.bottom].some(
            gap => 0 <= gap && gap < 20) && 0 <= at.top && at.bottom <= innerHeight;
    }"""
    assert link.evaluate(beside)
    page.keyboard.press("Escape")
    card.wait_for(state="hidden")


def test_links_of_the_contents_land_at_their_headings(look):
    page = look(reduced_motion="reduce")
    for link in page.locator('nav a[href^="#section-"]').all():
        page.goto(page.url.partition("#")[0] + link.get_attribute("href"))
        page.wait_for_timeout(50)
        name = link.get_attribute("href").removeprefix("#")
        top, left = page.evaluate(
            """name => [document.getElementById(name).getBoundingClientRect().top,
            document.documentElement.scrollHeight - innerHeight - scrollY]""",
            name,
        )
        assert abs(top) <= 40 or left < 2, name


def test_no_figure_scrolls_sideways_on_a_phone(look):
    page = look(390)
    wide = """[...document.querySelectorAll(".drawing")]
        .filter(one => one.scrollWidth > one.clientWidth + 1).length"""
    assert page.evaluate(wide) == 0


def test_a_term_is_explained_on_focus(look):
    page = look()
    term = page.locator(".term").first
    told = page.locator(f"#{term.get_attribute('aria-describedby')}")
    assert told.is_hidden()
    term.focus()
    assert told.is_visible()
