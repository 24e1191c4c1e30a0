"""The pages in a real Chromium."""

from __future__ import annotations

import http.server
import sqlite3
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kerasprov_agent.store import rows as store_rows
from kerasprov_agent.store.operations import insert, measured
from kerasprov_agent.store.writer import Writer
from tests.conftest import ROOT, clean_environment, kerasprov, rest_is_slow, rows
from tests.viewer.conftest import RUNS, close_pages, served, until

Open = Callable[..., Any]
PAGES = {
    "runs": "#/runs",
    "grouped": "#/runs?by=activation&against=learning_rate&log=1&smooth=0.6&x=training+time",
    "run": "#/run/6",
    "compare": "#/compare?runs=1,5,7",
    "lineage": "#/lineage?of=7&hops=5",
    "ask": "#/ask?q=epoch,+accuracy,+val_loss+where+val_loss+<+0.72",
}
ROWS_OF_DATA = "document.querySelectorAll('.chart details table tbody tr').length"
HOSTILE = (
    "<script>window.hacked = 1</script>", "<img src=x onerror='window.hacked = 1'>",
    'x" onload="window.hacked = 1', "javascript:window.hacked=1", "</script><script>window.hacked = 1//",
    "]]><svg onload=window.hacked=1>",
)  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
@pytest.mark.parametrize("page", rest_is_slow(PAGES, "runs", "grouped", "run", "ask"))
def test_each_page_is_drawn_and_accessible(
    address: str, opened: Open, page: str, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    shown = opened(address + PAGES[page], color_scheme=scheme)
    shown.wait_for_timeout(500)
    assert shown.inner_text("h1")
    # The script of axe is put into the page, which our policy would not allow it.
    found = axe_of(shown, axe)
    assert found == [], found


def axe_of(page: Any, axe: Any) -> list[Any]:
    """What axe finds wrong with a page: rule and elements."""
    session = page.context.new_cdp_session(page)
    session.send("Page.setBypassCSP", {"enabled": True})
    results = axe.run(page).response
    return [
        (found["id"], [node["html"][:200] for node in found["nodes"]][:3])
        for found in results["violations"]
    ]


@pytest.mark.parametrize(
    "width", [390, *(pytest.param(n, marks=pytest.mark.slow) for n in (1280, 1920))]
)
def test_no_page_is_wider_than_the_window(address: str, opened: Open, width: int) -> None:
    for page in PAGES.values():
        shown = opened(address + page, viewport={"width": width, "height": 800})
        shown.wait_for_timeout(300)
        assert shown.evaluate("document.documentElement.scrollWidth") <= width, page
        shown.close()


def test_the_table_and_the_charts_know_of_each_other(address: str, opened: Open) -> None:
    page = opened(address)
    page.hover("tr[data-run='3']")
    assert page.locator(".stroke.lit").count() == 1
    page.locator("tr[data-run='3'] input").uncheck()
    until(page, "location.hash.includes('sel=1-2,4-8')")
    until(page, "!document.querySelector('.keys').textContent.includes('3 study')")
    page.locator(".stroke >> nth=0").dispatch_event("mouseenter")
    assert page.locator("tr.lit").get_attribute("data-run") == str(RUNS)
    page.locator("tr[data-run='1'] input").uncheck()
    page.locator("tr[data-run='4'] input").click(modifiers=["Shift"])
    until(page, "location.hash.includes('sel=5-8')")


def test_dragging_along_an_axis_keeps_a_range(address: str, opened: Open) -> None:
    page = opened(address)
    names = page.locator(".chart.wide svg g > text:first-of-type").all_text_contents()
    place = next(i for i, name in enumerate(names) if name.startswith("learning_rate"))
    axis = page.locator(".chart.wide svg g rect").nth(place)
    axis.scroll_into_view_if_needed()
    box = axis.bounding_box()
    x = box["x"] + box["width"] / 2
    page.mouse.move(x, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(x, box["y"] + box["height"] * 0.25)
    page.mouse.up()
    until(page, "document.querySelector('[type=search]').value.includes('learning_rate >=')")
    until(page, "document.querySelectorAll('tr[data-run]').length < 8")
    left = page.locator("tr[data-run]").count()
    assert 0 < left < RUNS


def test_groups_have_their_means_in_a_table(address: str, opened: Open) -> None:
    page = opened(f"{address}#/runs?by=activation&metrics=loss")
    page.wait_for_selector("section[aria-label=Groups] tbody tr >> nth=3")
    until(page, f"document.querySelectorAll('.chart.wide .stroke').length === {RUNS}")
    groups = page.locator("section[aria-label=Groups] tbody tr").all_inner_texts()
    assert [row.split()[0] for row in groups] == ["relu", "relu", "tanh", "tanh"]


def test_a_metric_can_be_the_x_axis(address: str, opened: Open) -> None:
    page = opened(f"{address}#/runs?sel=1&metrics=loss&x=accuracy")
    page.locator(".plot >> nth=0").focus()
    page.keyboard.press("Home")
    assert page.inner_text("#announcer").startswith("accuracy 0.")


def test_a_filter_is_told_of_in_one_sentence(address: str, opened: Open) -> None:
    page = opened(address, refused=True)
    page.fill("[type=search]", "activation = 'tanh' and learning_rate > 0.05")
    page.keyboard.press("Enter")
    until(page, "document.querySelectorAll('tr[data-run]').length === 4")
    assert "4 of 8 runs" in page.inner_text("form")
    page.fill("[type=search]", "activatoin = 'tanh'")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('p.problem').textContent.includes('activatoin')")
    assert page.locator("tr[data-run]").count() == 4


def test_back_and_a_pasted_address_give_the_same_view(address: str, opened: Open) -> None:
    page = opened(address)
    page.locator("th button", has_text="learning_rate").click()
    until(page, "location.hash.includes('sort=-learning_rate')")
    order = "[...document.querySelectorAll('tr[data-run]')].map(row => row.dataset.run).join()"
    until(page, f"{order} !== '8,7,6,5,4,3,2,1'")
    page.locator("tr[data-run='2'] input").uncheck()
    until(page, "location.hash.includes('sel=')")
    seen, hash_ = page.evaluate(order), page.evaluate("location.hash")
    page.click("tr[data-run='2'] a >> nth=0")
    page.wait_for_selector("main[data-page=run]")
    page.go_back()
    page.wait_for_selector("main[data-page=runs]")
    assert page.evaluate("location.hash") == hash_
    other = opened(address + hash_)
    for shown in (page, other):
        shown.wait_for_selector("tr[data-run]")
        assert shown.evaluate(order) == seen
        assert not shown.locator("tr[data-run='2'] input").is_checked()
        assert shown.locator("tr[data-run='1'] input").is_checked()


def test_arrow_keys_read_a_chart(address: str, opened: Open) -> None:
    page = opened(f"{address}#/run/1")
    page.locator(".plot >> nth=0").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    said = page.inner_text("#announcer")
    assert said.startswith("epoch 1: ") and "training" in said and "validation" in said
    page.locator(".chart details summary >> nth=0").click()
    until(page, f"{ROWS_OF_DATA} === 4")


def test_ask_answers_the_papers_question(study: Path, address: str, opened: Open) -> None:
    page = opened(f"{address}#/ask")
    with closing(sqlite3.connect(study)) as connection:
        expected = connection.execute(
            "SELECT epoch, accuracy, loss, val_loss FROM epochs WHERE val_loss < 0.72"
        ).fetchall()
    page.click("text=Epochs whose validation loss is below 0.5")  # one click
    page.wait_for_selector("text=of 27 rows")
    page.fill("textarea", "epoch, accuracy, loss, val_loss where val_loss < 0.72")
    page.click("button:has-text('Ask')")  # two
    page.wait_for_selector(f"text={len(expected)} of 27 rows")
    titles = [
        [cell.get_attribute("title") or cell.inner_text() for cell in row.locator("td").all()]
        for row in page.locator(".answer tbody tr").all()
    ]
    assert sorted(tuple(map(float, row)) for row in titles) == sorted(expected)


def test_ask_by_clicks_on_columns_and_a_condition(address: str, opened: Open) -> None:
    page = opened(f"{address}#/ask")
    for name in ("epoch", "val_loss"):
        page.get_by_role("button", name=f"Ask for epochs.{name}", exact=True).click()
    page.select_option("[aria-label='Column of the condition']", "epochs.val_loss")
    page.select_option("[aria-label='Comparison']", "<")
    page.fill("[aria-label=Value]", "0.72")
    page.click("button:text-is('Add')")
    question = "epochs.epoch, epochs.val_loss where epochs.val_loss < 0.72"
    until(page, f"document.querySelector('textarea').value === '{question}'")
    page.wait_for_selector("pre.code:has-text('0.72'), pre.code:has-text('SELECT')")
    for word, number in (("or", "0.1"), ("and", "0.2")):
        page.select_option("[aria-label='Joined by']", word)
        page.fill("[aria-label=Value]", number)
        page.click("button:text-is('Add')")
        until(page, f"document.querySelector('textarea').value.endsWith('{number}')")
    condition = "(epochs.val_loss < 0.72 or epochs.val_loss < 0.1) and epochs.val_loss < 0.2"
    assert page.input_value("textarea").endswith(f"where {condition}")
    page.select_option("[aria-label='Order by']", "epochs.loss desc")
    until(page, "document.querySelector('textarea').value.endsWith('order by epochs.loss desc')")
    assert condition in page.input_value("textarea")


def test_clicks_wait_for_the_answers_of_those_before(address: str, opened: Open) -> None:
    page = opened(f"{address}#/ask")
    late: list[Any] = []
    page.route("**/api/answer*", lambda route: route.continue_() if late else late.append(route))
    for name in ("epoch", "val_loss", "loss"):
        page.get_by_role("button", name=f"Ask for epochs.{name}", exact=True).click()
    page.fill("[aria-label=Value]", "3")
    page.click("button:text-is('Add')")
    page.fill("[aria-label=Value]", "7")  # for the next one, which is not added yet
    until(page, "document.querySelector('textarea').value === 'epochs.epoch'")
    page.wait_for_timeout(300)
    late[0].continue_()
    until(page, "document.querySelector('textarea').value.includes('where')")
    value = page.input_value("textarea")
    assert value.startswith("epochs.epoch, epochs.val_loss, epochs.loss where ")
    assert value.endswith("= 3")


def test_an_answer_that_comes_late_does_not_replace_a_newer_one(address: str, opened: Open) -> None:
    page = opened(address)
    late: list[Any] = []

    def first_waits(route: Any) -> None:
        late.append(route) if "tanh" in route.request.url else route.continue_()

    page.route("**/api/*", first_waits)
    for condition in ("activation = 'tanh'", "run = 2"):
        page.fill("[type=search]", condition)
        page.keyboard.press("Enter")
    until(page, "document.querySelectorAll('tr[data-run]').length === 1")
    until(page, "document.querySelectorAll('.chart canvas').length > 0")
    assert late
    with page.expect_response(lambda answer: "tanh" in answer.url):
        for route in late:
            route.continue_()
    page.wait_for_timeout(500)
    assert page.locator("tr[data-run]").count() == 1
    assert "1 of 8 runs" in page.inner_text("form")
    page.goto(f"{address}#/ask?q=run")
    page.wait_for_selector("text=rows")
    late.clear()
    for question in ("run where activation = 'tanh'", "run where run = 2"):
        page.fill("textarea", question)
        page.click("button:text-is('Ask')")
    page.wait_for_selector("text=1 of 8 rows")
    with page.expect_response(lambda answer: "tanh" in answer.url):
        for route in late:
            route.continue_()
    page.wait_for_timeout(500)
    assert "1 of 8 rows" in page.inner_text(".answer")


def test_ask_by_keyboard_alone(address: str, opened: Open) -> None:
    page = opened(f"{address}#/ask")
    for _ in range(60):
        page.keyboard.press("Tab")
        if "below 0.5" in page.evaluate("document.activeElement.textContent"):
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("text=of 27 rows")
    page.fill("textarea", "run where epochs = 4 and learning_rate > 5")
    page.wait_for_selector("text=Nothing is left after: learning_rate > 5")


def test_lineage_can_be_walked(address: str, opened: Open) -> None:
    page = opened(f"{address}#/lineage?of=7&hops=1")
    few = page.locator(".node").count()
    page.locator(".node:has(.more) >> nth=0").focus()
    page.keyboard.press("Enter")
    until(page, f"document.querySelectorAll('.node').length > {few}")
    assert "opened=" in page.evaluate("location.hash")
    page.select_option("[aria-label='Steps each way']", "20")
    page.click("button:has-text('Show')")
    until(page, "location.hash.includes('hops=20')")
    page.wait_for_selector(".node.entity:has-text('data.npz')")
    assert "wasGeneratedBy" in page.inner_text("ul.tree")
    page.click("text=Path to the raw data")
    assert "data.npz" in page.inner_text("#announcer")
    assert page.locator(".edge.lit").count() >= 3
    page.locator(".node.entity:has-text('data.npz') >> nth=0").click()
    assert "sha256" in page.inner_text("aside")
    with page.expect_download() as download:
        page.click("text=Save as SVG")
    text = Path(download.value.path()).read_text()
    assert text.startswith("<svg") and "data.npz" in text and "var(" not in text.partition("</style>")[0]  # fmt: skip


def test_what_is_folded_can_be_shown_and_found(
    address: str, opened: Open, made_study: Path
) -> None:
    page = opened(f"{address}#/lineage?of={made_study / 'data.npz'}&hops=20")
    folded = page.locator(".node.folded:has-text('5 × fit')")
    few = page.locator(".node").count()
    folded.click()
    assert page.locator("aside li").count() == 5 and "Run 3: " in page.inner_text("aside")
    page.fill("[aria-label='Find in what is shown']", "TUNED")
    until(page, f"document.querySelector('main').innerText.includes('1 of {few} found')")
    assert "tuned.keras" in (page.text_content(".node.lit") or "")
    rows = page.locator("[aria-label='Lineage as a list'] tbody tr:visible")
    assert rows.count() == 1 and "tuned.keras" in rows.inner_text()
    made_of_it = page.locator("ul.tree >> nth=1")
    assert "tuned.keras" in made_of_it.inner_text() and "5 × fit" not in made_of_it.inner_text()
    assert page.locator("ul.tree li:visible").count() < page.locator("ul.tree li").count()
    page.fill("[aria-label='Find in what is shown']", "")
    until(page, "document.querySelectorAll('.node.lit').length === 0")
    folded.focus()
    page.keyboard.press("Enter")
    until(page, f"document.querySelectorAll('.node').length === {few + 4}")
    assert "unfolded=" in page.evaluate("location.hash")
    page.go_back()
    until(page, f"document.querySelectorAll('.node').length === {few}")


def test_times_of_epochs_tell_the_first_step_and_the_gpu(study: Path, opened: Open) -> None:
    with sqlite3.connect(study) as connection:  # as a training on a GPU writes it
        connection.execute("UPDATE epoch SET gpu_utilization = 0.5 WHERE run = 1")
    with served(study) as address:
        page = opened(f"{address}#/run/1")
        times = page.locator("[aria-label='Times of epochs']")
        assert times.locator("rect[class='busy']").count() == 4 + 1, "four epochs and the key"
        assert "GPU busy" in times.inner_text() and "first step" in times.inner_text()
        assert "busy for 50 %" in times.inner_text()
        other = opened(f"{address}#/run/2").locator("[aria-label='Times of epochs']")
        assert "GPU" not in other.inner_text() and other.locator(".busy").count() == 0


def test_marks_are_there_for_many_runs(address: str, opened: Open) -> None:
    page = opened(f"{address}#/runs?sel=1-8")
    plot = page.locator(".chart .plot >> nth=0")
    plot.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert "— 7 tune: learning_rate 0.5 → 0.25" in page.inner_text("#announcer")


SLOW = """
import sys, time, keras, numpy as np
class Pause(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        print(epoch, flush=True)
        if epoch in (1, 3):
            sys.stdin.readline()
x = np.random.rand(8, 4)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, x[:, :1], epochs=6, verbose=0, callbacks=[Pause()])
"""


@pytest.mark.slow
def test_a_training_is_followed_live(study: Path, opened: Open) -> None:
    with served(study) as address:
        follow(study, opened, f"{address}#/runs?where=run+>+0")


def follow(study: Path, opened: Open, address: str) -> None:
    """Train while the page is open, and wait for what it shows."""
    page = opened(address, viewport={"width": 1280, "height": 400})
    (study.parent / "slow.py").write_text(SLOW)
    child = subprocess.Popen(
        [sys.executable, "-m", "kerasprov_agent", "--prov", "off", "slow.py"], cwd=study.parent,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=clean_environment(PYTHONPATH=str(ROOT)),
    )  # fmt: skip
    try:
        row = f"tr[data-run='{RUNS + 1}']"
        page.wait_for_selector(f"{row} >> text=running", timeout=240_000)
        until(page, f"document.querySelector(\"{row}\").textContent.includes('1/6')", seconds=120)
        page.evaluate("document.querySelector('.scroll.runs').scrollTop = 20")
        page.evaluate("document.querySelector('.plot').focus({preventScroll: true})")
        page.keyboard.press("Home")
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
        until(page, f"document.querySelector(\"{row}\").textContent.includes('3/6')", seconds=120)
        assert page.evaluate("document.querySelector('.scroll.runs').scrollTop") == 20
        assert page.evaluate("document.activeElement.className") == "plot"
        page.keyboard.press("ArrowRight")
        assert page.inner_text("#announcer").startswith("epoch 1: ")
        child.stdin.write("\n")
        child.stdin.flush()
        page.wait_for_selector(f"{row} >> text=finished", timeout=120_000)
    finally:
        child.kill()
        child.communicate()


@contextmanager
def behind_a_proxy(address: str, prefix: str) -> Iterator[str]:
    """A proxy that hands on what is asked for below a prefix, as Jupyter's does."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix(prefix)
            try:
                with urllib.request.urlopen(f"{address.rstrip('/')}{path}") as answer:
                    status, headers, body = answer.status, answer.headers, answer.read()
            except urllib.error.HTTPError as exc:
                status, headers, body = exc.code, exc.headers, exc.read()
            self.send_response(status if self.path.startswith(prefix) else 404)
            for name in ("Content-Type", "Content-Security-Policy"):
                self.send_header(name, headers[name])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    outside = f"http://127.0.0.1:{proxy.server_address[1]}{prefix}/"
    yield outside
    close_pages(outside)
    proxy.shutdown()


def test_below_a_proxys_prefix(address: str, opened: Open) -> None:
    with behind_a_proxy(address, "/user/ada/proxy/8765") as outside:
        page = opened(outside)
        page.wait_for_selector("tr[data-run='1']")
        page.click("tr[data-run='1'] a >> nth=0")
        page.wait_for_selector("main[data-page=run]")
        assert page.inner_text("h1").startswith("Run 1")
        assert page.evaluate("location.pathname") == "/user/ada/proxy/8765/"


@pytest.fixture
def hostile(study: Path) -> Path:
    """The study with every text that a person or program may choose turned against the page."""
    with closing(sqlite3.connect(study)) as connection:
        for number, text in enumerate(HOSTILE, 1):
            connection.execute(
                "UPDATE run SET name = ?, note = ?, tags = json_object(?, ?), exception = ?, "
                "exception_type = ? WHERE number = ?",
                (f"{text}{number}", text, text, text, text, text, number),
            )
        connection.execute("UPDATE file SET path = '/tmp/' || ? || path", (HOSTILE[1],))
        connection.execute("UPDATE param SET value = ? WHERE typeof(value) = 'text'", (HOSTILE[0],))
        connection.execute("UPDATE execution SET script = ?, label = ?", (HOSTILE[2], HOSTILE[4]))
        connection.execute("UPDATE metric SET name = ? WHERE name = 'accuracy'", (HOSTILE[1],))
        connection.execute("UPDATE entity SET name = ? WHERE name IS NOT NULL", (HOSTILE[5],))
        connection.commit()
    return study


def test_what_is_stored_does_nothing(hostile: Path, opened: Open, tmp_path: Path) -> None:
    done = kerasprov("report", "--db", hostile, "-o", tmp_path / "report.html")
    assert done.exit_code == 0, done.output
    with served(hostile) as address:
        report = (tmp_path / "report.html").as_uri()
        for place in (
            *(f"{address}{page}" for page in PAGES.values()), f"{address}#/run/1",
            f"{address}#/ask?q=runs.*", report, f"{report}#/run/5",
        ):  # fmt: skip
            page = opened(place)
            page.wait_for_timeout(400)
            assert page.evaluate("window.hacked") is None, place
            assert page.locator("main script, main img, main [onload], main [onerror]").count() == 0
            assert page.locator("a[href^='javascript']").count() == 0
            page.close()


def test_what_is_stored_does_nothing_in_a_notebook(hostile: Path, browser: Any) -> None:
    import kerasprov_agent

    records = kerasprov_agent.open(str(hostile))
    shown = [records.runs()._repr_html_(), records.run(1)._repr_html_(), records.compare(1, 7)._repr_html_()]  # fmt: skip
    page = browser.new_page()
    page.set_content("".join(shown))
    until(page, "document.querySelectorAll('iframe').length === 3")
    page.wait_for_timeout(1000)
    assert [frame.evaluate("window.hacked") for frame in page.frames] == [None] * 4
    page.close()


def test_a_report_is_shown_in_a_notebook(study: Path, opened: Open, tmp_path: Path) -> None:
    import kerasprov_agent

    report = kerasprov_agent.open(str(study)).report(1, 2)
    report.save(str(tmp_path / "saved.html"))
    (tmp_path / "notebook.html").write_text(f"<main data-page>cell</main>{report._repr_html_()}")
    page = opened((tmp_path / "notebook.html").as_uri())
    frame = page.frame_locator("iframe")
    frame.locator("tr[data-run='2'] a >> nth=0").click()
    frame.locator("h1", has_text="Run 2").wait_for()
    frame.locator("nav a", has_text="Runs").click()
    frame.locator("button", has_text="Compare chosen").click()
    frame.locator("h1", has_text="2 runs compared").wait_for()
    assert page.url.endswith("notebook.html")
    assert opened((tmp_path / "saved.html").as_uri()).locator("tr[data-run]").count() == 2


def test_a_notebook_shows_runs_with_the_charts_of_the_pages(
    study: Path, opened: Open, tmp_path: Path
) -> None:
    import kerasprov_agent

    records = kerasprov_agent.open(str(study))
    cells = [records.run(2), records.runs(), records.compare(1, 7)]
    (tmp_path / "notebook.html").write_text(
        "<main data-page>cells</main>" + "".join(cell._repr_html_() for cell in cells)
    )
    page = opened((tmp_path / "notebook.html").as_uri())
    for place, title in enumerate(("Run 2: study-2", "Runs", "2 runs compared")):
        page.locator(f"iframe >> nth={place}").scroll_into_view_if_needed()
        frame = page.frame_locator(f"iframe >> nth={place}")
        frame.locator("h1", has_text=title).wait_for()
        frame.locator("canvas >> nth=1").wait_for()
    runs = page.frame_locator("iframe >> nth=1")
    assert runs.locator("tr[data-run]").count() == RUNS
    assert page.locator("details table:visible").count() == 0
    page.click("summary >> nth=1")
    assert "study-2" in page.inner_text("details[open] table")


def test_a_report_groups_and_compares_as_the_server_does(
    address: str, made_study: Path, opened: Open, tmp_path: Path
) -> None:
    db = made_study / "kerasprov.db"
    kerasprov("report", "--db", db, "-o", tmp_path / "report.html")
    tables = []
    for place in (address, (tmp_path / "report.html").as_uri()):
        page = opened(f"{place}#/runs?by=activation")
        page.click("text=Data: loss: mean of all runs")
        texts = [page.inner_text("[aria-label='Last values of groups']")]
        texts += [page.inner_text(f".chart:has-text('loss: mean of all runs') .{name}") for name in ("keys", "scroll")]  # fmt: skip
        tables.append(texts)
        page = opened(f"{place}#/compare?runs=1,7")
        tables[-1].append(page.inner_text("main"))
    assert tables[0] == tables[1] and "tanh (n = 5)" in tables[0][1]
    page = opened(f"{(tmp_path / 'report.html').as_uri()}#/compare?runs=1-3")
    assert "two runs at a time" in page.inner_text("main")


def test_a_report_opens_from_a_file(study: Path, opened: Open, tmp_path: Path) -> None:
    kerasprov("report", "--db", study, "-o", tmp_path / "report.html")
    page = opened((tmp_path / "report.html").as_uri(), offline=True)
    assert page.locator("tr[data-run]").count() == RUNS
    assert page.locator("canvas").count() == 2
    assert page.locator(".stroke").count() == RUNS
    page.click("tr[data-run='6'] a >> nth=0")
    page.wait_for_selector("main[data-page=run]")
    assert "Dense" in page.inner_text("main") and "import keras" in page.inner_text("main")


def test_a_report_that_is_too_large_leaves_code_out(
    study: Path, opened: Open, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(study)) as connection:
        text = "".join(f"# {number}\n" for number in range(200_000)).encode()
        connection.execute("UPDATE source SET zlib = ?", (zlib.compress(text),))
        connection.commit()
    done = kerasprov("report", "1", "2", "--db", study, "-o", tmp_path / "report.html")
    assert done.exit_code == 0 and "code is left out" in done.output
    assert (tmp_path / "report.html").stat().st_size < 1_000_000
    page = opened(f"{(tmp_path / 'report.html').as_uri()}#/run/1")
    assert page.inner_text("h1").startswith("Run 1") and "Dense" in page.inner_text("main")


def test_an_empty_record_says_what_to_do(tmp_path: Path, opened: Open) -> None:
    from kerasprov_agent.store import database

    database.open_for_writing(str(tmp_path / "empty.db")).close()
    with served(tmp_path / "empty.db") as address:
        page = opened(address)
        page.wait_for_selector("text=Nothing is recorded yet")
        for place in ("#/ask", "#/lineage", "#/run/1", "#/compare?runs=1,2", "#/nowhere"):
            assert opened(address + place, refused=True).inner_text("h1")


def test_strange_names_look_right(study: Path, opened: Open) -> None:
    with closing(sqlite3.connect(study)) as connection:
        names = ["ש" * 40 + " abc", "x" * 300, "مرحبا בעולם run", "name\nof\ttwo lines", "🧪" * 30]
        for number, name in enumerate(names, 1):
            connection.execute("UPDATE run SET name = ? WHERE number = ?", (name, number))
        connection.commit()
    with served(study) as address:
        for place in ("", "#/run/2", "#/compare?runs=1,2,3"):
            page = opened(address + place, viewport={"width": 390, "height": 800})
            page.wait_for_timeout(300)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, place


@pytest.mark.slow
def test_many_runs_are_a_virtual_table(study: Path, opened: Open) -> None:
    with closing(sqlite3.connect(study)) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(run)")]
        others = ", ".join(n for n in names if n not in ("number", "id", "name"))
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 5099) "
            f"INSERT INTO run (number, id, name, {others}) "
            f"SELECT i, id || i, 'copy-' || i, {others} FROM n, run WHERE number = 1"
        )
        connection.commit()
    assert rows(study, "SELECT count(*) AS n FROM run")[0]["n"] == 5000 + RUNS
    with served(study) as address:
        page = opened(address)
        page.wait_for_selector("tr[data-run='5099']")
        assert page.locator("tr[data-run]").count() < 100
        page.evaluate("document.querySelector('.scroll.runs').scrollTop = 1e9")
        page.wait_for_selector("tr[data-run='1']")
        assert page.locator("tr[data-run]").count() < 100
        assert len(page.evaluate("location.href")) < 200


@pytest.mark.slow
def test_many_metrics_and_many_epochs(tmp_path: Path, opened: Open) -> None:
    db = tmp_path / "wide.db"
    writer = Writer(str(db), "e")
    row = {"execution_id": "e", "kind": "fit", "label": "wide", "status": "finished"}
    runs = [insert("run", {"id": f"e#fit-{number}", **row}) for number in (1, 2)]
    writer.write([insert("execution", {"id": "e", "label": "wide", "status": "finished"}), *runs])
    many = {f"metric_{number}": number / 7 for number in range(1000)}
    wide = [measured("epoch", {"run_id": "e#fit-1", "epoch": n}, many) for n in range(3)]
    long = [
        measured("epoch", {"run_id": "e#fit-2", "epoch": n, "train_seconds": 0.5}, {"loss": 1 / (n + 1)})
        for n in range(2000)
    ]  # fmt: skip
    writer.write([*wide, *long])
    writer.close()
    with served(db) as address:
        page = opened(f"{address}#/run/1")
        assert "12 of 1000 metrics are drawn" in page.inner_text("main")
        page = opened(f"{address}#/run/2")
        page.locator(".plot >> nth=0").focus()
        page.keyboard.press("End")
        assert page.inner_text("#announcer").startswith("epoch 1999: training 0.0005")
        page.locator(".chart details summary >> nth=0").click()
        until(page, f"{ROWS_OF_DATA} === 2000")
        page = opened(address)
        assert page.locator(".chart").count() < 6


def test_a_long_lineage_is_shown_in_part(tmp_path: Path, opened: Open) -> None:
    db = tmp_path / "chain.db"
    writer = Writer(str(db), "e")
    writer.write([insert("execution", {"id": "e", "label": "chain", "status": "finished"})])
    for number in range(1000):
        at = f"2026-01-01T00:00:{number // 20:02}.{number % 20:03}Z"
        entity = {"id": f"e#file-{number}", "execution_id": "e", "kind": "file", "seen_at": at}
        file = {"entity_id": entity["id"], "path": f"/data/{number}.npy", "files": 1}
        operations = [insert("entity", entity), insert("file", file)]
        if number:
            before = f"e#file-{number - 1}"
            operations.append(store_rows.derived(entity["id"], before, None, "declared"))
        writer.write(operations)
    writer.close()
    with served(db) as address:
        page = opened(f"{address}#/lineage?of=/data/999.npy")
        assert page.locator(".node").count() == 3
        assert "3 of 1000" in page.inner_text("main")
        page = opened(f"{address}#/lineage?of=/data/999.npy&hops=5000")
        assert page.locator(".node").count() == 200
        assert "200 of 1000" in page.inner_text("main")
