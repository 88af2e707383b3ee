"""The report in a real headless browser: offline, phone and desk, light and dark, keyboard and paper."""

# ruff: noqa: RUF001 (signs that tables hold)

import shutil
from itertools import pairwise
from urllib.parse import unquote

import pytest

from eigensam.ground.pictures import LINES, new_figure, render, stacked_panels
from eigensam.paper_figures.item import Claim, Table
from eigensam.paper_figures.report import write_report
from eigensam.paper_figures.section import Section
from eigensam.paper_figures.verdict import VERDICTS, Verdict

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra dev")

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
VALUES = ["104,842", "–", "1e-3", "0.95 ± 0.06", "2/3", "not run here", "−4", "0.95 ± 0.01"]
ASCENDING = ["−4", "1e-3", "2/3", "0.95 ± 0.06", "0.95 ± 0.01", "104,842", "–", "not run here"]
DESCENDING = ["104,842", "0.95 ± 0.06", "0.95 ± 0.01", "2/3", "1e-3", "−4", "–", "not run here"]

# the contrast of each element's own text, over the nearest background that is not transparent
CONTRAST = """() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = c => c.slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const bad = [];
  for (const element of document.body.querySelectorAll("*")) {
    if (["SCRIPT", "STYLE"].includes(element.tagName)) continue;
    if (![...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())) continue;
    let under = element;
    while (under && (rgb(getComputedStyle(under).backgroundColor)[3] ?? 1) === 0) under = under.parentElement;
    const pair = [getComputedStyle(element).color, getComputedStyle(under).backgroundColor].map(c => light(rgb(c)));
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < 4.5) bad.push(`${element.tagName} ${element.textContent.slice(0, 30)}: ${ratio}`);
  }
  return bad;
}"""


def _draw(stacked=False):
    if stacked:
        with stacked_panels():
            return _draw()
    figure = new_figure(3)
    for axes in figure.axes:
        for style in LINES:
            axes.plot([1, 2, 3], [1, 2, len(style["color"])], **style)
        axes.set_xlabel("ρ")
    return render(figure, "svg")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a report")
    wide, stacked = _draw(), _draw(stacked=True)
    sections = []
    for name, in_the_paper in (("beside", False), ("figure 1", True)):
        files = {kind: folder / f"{name}.{kind}" for kind in ("json", "svg", "pdf", "png")}
        for file in files.values():
            file.write_bytes(b"x")
        claims = [Claim(f"λ₁ is lower ({word})", "yes", "0.95 ± 0.06", Verdict(word, "0.9 < 1")) for word in VERDICTS]
        rows = [[f"row {i}", value, *["a wide cell"] * 9] for i, value in enumerate(VALUES)]
        sections.append(
            Section(
                name=name.replace(" ", "_"),
                label=name,
                title=f"{name}: sharpness over α",
                in_the_paper=in_the_paper,
                picture=wide,
                stacked=stacked,
                alt="λ₁ falls",
                caption="<script>alert(1)</script> α, ρ, λ₁",
                claims=claims,
                tables=[Table(["name", "a\nvalue", *["more"] * 9], rows, right=[1], note="a note")],
                notes=["one thing"],
                size={"seeds": [0, 1]},
                made_with={"torch": "2.9", "device": "cpu"},
                seconds=2.5,
                edited=in_the_paper,
                files=files,
            )
        )
    sections.append(Section("broken", "broken", "Broken", failed="no data\nrepair: give --data-root"))
    write_report(folder / "report.html", "quick", sections)
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        paths = [None, *filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser")))]
        for path in paths:
            try:
                found = started.chromium.launch(executable_path=path, args=FLAGS)
            except playwright.Error:
                continue
            yield found
            found.close()
            return
        pytest.skip("no Chromium here: run 'playwright install chromium'")


@pytest.fixture
def opened(browser, report):
    """Opens the report in a context of its own; whatever it asks for, or complains of, fails the test."""
    contexts, requests, errors = [], [], []

    def start(width=1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 800}, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(report.as_uri())
        return page

    yield start
    for context in contexts:
        context.close()
    assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()] * len(contexts)
    assert errors == []


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_pictures_and_width(opened, width):
    page = opened(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for picture in page.locator("img").all():
        assert picture.is_visible()
        assert picture.get_attribute("alt")
        high = picture.evaluate("e => e.naturalHeight > e.naturalWidth")
        assert picture.evaluate("e => e.naturalWidth > 0") and high == (width < 700)  # noqa: PT018


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(opened, scheme):
    page = opened(color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert page.evaluate(CONTRAST) == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 26)"
    assert dark == (scheme == "dark")
    page.evaluate("document.querySelector('header p').style.color = '#777'")  # wrong on purpose
    assert page.evaluate(CONTRAST) != []


@pytest.mark.parametrize("key", [None, "Enter", "Space"])
def test_tables_sort(opened, key):
    page = opened()
    table = page.locator("table.sortable:not(.cards)").first
    values = lambda: table.locator("tbody tr td:nth-child(2)").all_inner_texts()  # noqa: E731
    head = table.locator("th").nth(1)
    for order, expected in (("ascending", ASCENDING), ("descending", DESCENDING), (None, VALUES)):
        button = head.locator("button")
        button.press(key) if key else button.click()
        assert values() == expected
        assert head.get_attribute("aria-sort") == order
    verdicts = page.locator("table.sortable.cards").first
    verdicts.locator("thead button").nth(3).click()
    words = verdicts.locator("tbody .verdict").all_inner_texts()
    assert words == sorted(words) and len(words) == 6  # noqa: PT018


def test_structure_links_and_failures(opened, report):
    page = opened()
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    titles = page.locator("nav a").all_inner_texts()
    assert titles == ["figure 1: sharpness over α", "beside: sharpness over α", "Broken"]
    for link in page.locator("a").all():
        address = link.get_attribute("href")
        assert address[1:] in ids if address[0] == "#" else (report.parent / unquote(address)).is_file()
    text = page.locator("main").inner_text()
    assert "<script>alert(1)</script>" in text
    assert "repair: give --data-root" in text
    assert text.count("Edited by hand") == 1
    assert [each.inner_text().split("\n")[0] for each in page.locator(".counts").all()] == ["1 ✓ reproduced"] * 2
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(e => +e.tagName[1])")
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(table.locator("caption, thead").count() == 2 for table in page.locator("table").all())


def test_paper_and_no_script(opened):
    page = opened(color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.set_viewport_size({"width": 600, "height": 900})
    assert page.evaluate("getComputedStyle(document.querySelector('table.cards')).display") == "table"  # no cards
    assert page.pdf()[:4] == b"%PDF"
    plain = opened(java_script_enabled=False)
    assert plain.locator("tbody tr").first.is_visible()
