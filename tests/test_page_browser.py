"""The page as a person uses it, in headless Chromium: from the disk, without a network."""

import re

import pytest
from pages import write_page

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = api.expect
expect.set_options(timeout=30_000)  # of a machine that is busy

pytestmark = pytest.mark.slow

TEXT, KEYS, SAVED, NOTICE = "#text", "#keys", "#saved", "#notice"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("page"))


@pytest.fixture
def visit(browser, folder):
    """Opens the page; what it logs as an error, throws, or asks a network for, fails the test."""
    contexts, errors = [], []

    def visit(file="index.html", script="", **options):
        usual = {"reduced_motion": "reduce", "locale": "pt-BR", "offline": True}
        context = browser.new_context(**{**usual, **options})
        contexts.append(context)
        context.add_init_script(script)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text))
        page.on("request", lambda request: asked_for(request.url))
        page.goto((folder / file).as_uri())
        expect(page.locator("#loading")).to_be_hidden()
        return page

    def asked_for(url):
        if not url.startswith(("file:", "blob:", "data:")):
            errors.append(url)

    yield visit
    for context in contexts:
        context.close()
    assert not errors


def offers(page):
    """The suggestions for the text as it stands; while new ones are awaited, there are none."""
    return page.locator("#offers:not(.old) button")


def wait_until(page, expression):
    """Playwright's `wait_for_function` polls by `eval`, which the page's own policy refuses."""
    for _ in range(600):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"30 s, and it is not so: {expression}")


def key(page, name):
    return page.locator(f'#keyboard [data-key="{name}"]')


def test_typing_and_taking_by_tab(visit):
    page = visit()
    page.keyboard.type("o cach")
    expect(offers(page).first).to_have_text("cachorro")
    page.keyboard.press("Tab")
    expect(page.locator(TEXT)).to_have_value("o cachorro ")
    expect(page.locator(TEXT)).to_be_focused()
    # Three next words, without a key.
    for i in range(3):
        expect(offers(page).nth(i)).to_have_text(re.compile(r"\w"))
    page.keyboard.type(".")
    expect(page.locator(TEXT)).to_have_value("o cachorro.")
    expect(page.locator(KEYS)).to_contain_text("8 teclas em vez de 11.")
    expect(page.locator(SAVED)).to_have_text("27,3%")


def test_taking_any_of_the_three_by_number(visit):
    page = visit()
    third = offers(page).nth(2).inner_text()
    page.keyboard.press("Alt+3")
    expect(page.locator(TEXT)).to_have_value(f"{third} ")
    expect(page.locator(KEYS)).to_contain_text(f"1 tecla em vez de {len(third) + 1}.")
    page.keyboard.press("Space")  # which the suggestion has brought already
    page.keyboard.press("Enter")
    expect(page.locator(TEXT)).to_have_value(f"{third}\n")


def test_taking_what_is_wrong_costs_keys(visit):
    page = visit()
    page.keyboard.type("o cach")
    expect(offers(page).first).to_have_text("cachorro")
    page.keyboard.press("Tab")
    expect(page.locator(TEXT)).to_have_value("o cachorro ")
    for _ in "orro ":
        page.keyboard.press("Backspace")
    expect(page.locator(TEXT)).to_have_value("o cach")
    # The typed letters, the suggestion, and what took it away again.
    expect(page.locator(KEYS)).to_contain_text("12 teclas em vez de 6.")
    page.keyboard.press("x")
    page.keyboard.press("Backspace")
    expect(page.locator(KEYS)).to_contain_text("12 teclas em vez de 6.")


def test_taking_inside_a_text(visit):
    page = visit()
    page.keyboard.type("o cach bebeu")
    expect(offers(page).first).to_have_class("next")
    for _ in " bebeu":
        page.keyboard.press("ArrowLeft")
    expect(offers(page).first).to_have_text("cachorro")
    page.keyboard.press("Tab")
    expect(page.locator(TEXT)).to_have_value("o cachorro bebeu")
    page.keyboard.press("Control+z")
    expect(page.locator(TEXT)).to_have_value("o cach bebeu")
    # In the middle of a word, it takes the place of the word.
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(offers(page).first).to_have_text("bebeu")
    page.keyboard.press("Tab")
    expect(page.locator(TEXT)).to_have_value("o cach bebeu ")


def test_tapping_keys_and_suggestions(visit):
    page = visit(has_touch=True, is_mobile=True, viewport={"width": 360, "height": 740})
    page.locator(TEXT).tap()
    expect(page.locator(TEXT)).to_have_attribute("inputmode", "none")
    for name in ("e", "l"):
        key(page, name).tap()
    expect(page.locator(TEXT)).to_have_value("El")  # a sentence begins
    expect(offers(page).first).to_have_text("Ela")
    offers(page).first.tap()
    for name in ("b", "⌫", "ú", "␣", "?123", "5", "!", "abc", "↵"):
        key(page, name).tap()
    expect(key(page, "⇧")).to_have_attribute("aria-pressed", "true")
    for name in ("⇧", "b", "⇧", "b"):
        key(page, name).tap()
    expect(page.locator(TEXT)).to_have_value("Ela ú 5!\nbB")
    expect(page.locator(KEYS)).to_contain_text("10 teclas em vez de 11.")


@pytest.mark.parametrize(
    ("typed", "then", "text"),
    [
        ("cresceu 50% cach", "", "cresceu 50% cachorro "),
        ("cresceu 50%", "", "cresceu 50% {} "),
        ('ela disse "o"', "", 'ela disse "o" {} '),
        ('ela disse "', "", 'ela disse "{} '),
        ("oi 😀", "", "oi 😀 {} "),
        ("ela (", "", "ela ({} "),
        ('"o cach', '"', '"o cachorro"'),
        ('o "cão" cach', '"', 'o "cão" cachorro "'),
        ("o cach", "-se", "o cachorro-se"),
        ("o cach", " - ela", "o cachorro - ela"),
        ("o cach", ")!", "o cachorro)!"),
    ],
)
def test_spaces_around_suggestions(visit, typed, then, text):
    page = visit()
    page.keyboard.insert_text(typed)
    first = offers(page).first
    expect(first).to_have_text("cachorro" if typed.endswith("cach") else re.compile(r"\w"))
    word = first.inner_text()
    page.keyboard.press("Tab")
    page.keyboard.type(then)
    expect(page.locator(TEXT)).to_have_value(text.format(word))


def test_undoing_deletes_nothing_with_the_next_key(visit):
    page = visit()
    page.keyboard.type("o cach")
    expect(offers(page).first).to_have_text("cachorro")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+z")
    page.keyboard.type("o")
    expect(page.locator(TEXT)).to_have_value("o cacho")
    # What is taken from outside of the text can be undone, too.
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(offers(page).first).to_have_text("cachorro")
    page.keyboard.press("Enter")
    expect(page.locator(TEXT)).to_have_value("o cachorro ")
    page.locator(TEXT).focus()
    page.keyboard.press("Control+z")
    expect(page.locator(TEXT)).to_have_value("o cacho")


def test_shift_follows_the_sentences_of_the_model(visit):
    page = visit()
    shift = key(page, "⇧")
    for typed, starts in (("", True), ("a ", False), ("etc. ", False), ("(Fim.) ", True)):
        page.keyboard.type(typed)
        expect(shift).to_have_attribute("aria-pressed", str(starts).lower())
        first = offers(page).first
        expect(first).to_have_text(re.compile(r"^[A-ZÁÉ]" if starts else r"^[a-zéá]"))
    shift.click()
    key(page, "e").click()
    expect(page.locator(TEXT)).to_have_value("a etc. (Fim.) e")


def test_keys_of_the_keyboard_stay_what_they_are(visit):
    page = visit()
    press = """(code, key) => !document.querySelector("#text").dispatchEvent(new KeyboardEvent(
        "keydown", {altKey: true, code, key, cancelable: true}))"""
    page.keyboard.type("o cach")
    expect(offers(page).first).to_have_text("cachorro")
    assert not page.evaluate(f"({press})('Digit0', '0')")  # there is nothing to correct
    assert not page.evaluate(f"({press})('Digit1', '¹')")
    assert page.evaluate(f"({press})('Digit1', '1')")
    expect(page.locator(TEXT)).to_have_value("o cachorro ")
    # A pointer that leaves its key.
    box = key(page, "e").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(5, 5)
    page.mouse.up()
    key(page, "l").focus()
    page.keyboard.press("Enter")
    expect(page.locator(TEXT)).to_have_value("o cachorro el")


def test_after_a_number_nothing_is_suggested(visit):
    page = visit()
    page.keyboard.type("em 1987")
    expect(offers(page).first).to_have_text("")
    page.keyboard.press("Tab")
    expect(page.locator(TEXT)).to_have_value("em 1987")


def test_what_is_told_of_a_long_word_fits_the_screen(visit):
    page = visit(viewport={"width": 320, "height": 700})
    page.keyboard.type("o surpreendentissimamente ")
    expect(page.locator("#mirror span").last).to_have_text("surpreendentissimamente")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    bubble = page.locator("#bubble")
    expect(bubble).to_contain_text("surpreendentissimamente")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.keyboard.press("Escape")
    expect(bubble).to_be_hidden()


def test_holding_backspace(visit):
    page = visit()
    page.keyboard.type("ela bebeu")
    box = key(page, "⌫").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    expect(page.locator(TEXT)).to_have_value("")
    page.mouse.up()
    page.keyboard.type("e")
    expect(page.locator(TEXT)).to_have_value("e")


def test_accents(visit):
    page = visit()
    page.keyboard.type("bebeu ag")
    expect(offers(page).first).to_have_text("água")
    page.keyboard.press("Tab")
    expect(page.locator(TEXT)).to_have_value("bebeu água ")
    expect(page.locator(KEYS)).to_contain_text("9 teclas em vez de 11.")
    key(page, "á").click()
    expect(offers(page).first).to_have_text("água")
    page.keyboard.insert_text("gua 😀")
    expect(page.locator(TEXT)).to_have_value("bebeu água água 😀")
    expect(page.locator(KEYS)).to_contain_text("15 teclas em vez de 17.")
    key(page, "⌫").click()
    expect(page.locator(TEXT)).to_have_value("bebeu água água ")


MEANT = "#meant button"


def test_a_word_that_may_be_another_is_underlined(visit):
    page = visit()
    wrong, meant = page.locator("#mirror .wrong"), page.locator(MEANT)
    expect(meant).to_have_count(0)
    page.keyboard.type("o cachoro")
    page.wait_for_timeout(300)
    expect(meant).to_have_count(0)  # it is not finished
    page.keyboard.type(" ")
    expect(page.locator("#perhaps")).to_have_text("talvez: cachorro")
    expect(wrong).to_have_text("cachoro")
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.wrong')).textDecorationStyle")
        == "wavy"
    )
    expect(meant.nth(0)).to_have_text("“cachoro”")
    expect(meant.nth(1)).to_have_text("cachorro")
    # The text stays as it is, and a tap replaces the word while one types on.
    page.keyboard.type("beb")
    meant.nth(1).click()
    expect(page.locator(TEXT)).to_have_value("o cachorro beb")
    expect(wrong).to_have_count(0)
    expect(meant).to_have_count(0)
    expect(page.locator(KEYS)).to_contain_text("14 teclas em vez de 14.")
    expect(offers(page).first).to_have_text("bebeu")
    page.keyboard.press("Tab")
    expect(page.locator(TEXT)).to_have_value("o cachorro bebeu ")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    expect(page.locator(TEXT)).to_have_value("o cachoro beb")


def test_a_mark_moves_with_its_word_and_goes_when_it_changes(visit):
    page = visit()
    wrong = page.locator("#mirror .wrong")
    page.keyboard.type("o cachoro, e o cachorp ")
    expect(wrong).to_have_text(["cachoro", "cachorp"])
    page.keyboard.press("Home")
    page.keyboard.insert_text("Ela bebeu, ")
    expect(wrong).to_have_text(["cachoro", "cachorp"])
    expect(page.locator(MEANT)).to_have_count(0)  # both stand behind the caret
    page.keyboard.press("Control+ArrowRight")
    page.keyboard.press("Control+ArrowRight")
    expect(page.locator(MEANT).nth(1)).to_have_text("cachorro")
    page.keyboard.press("Alt+0")
    expect(page.locator(TEXT)).to_have_value("Ela bebeu, o cachorro, e o cachorp ")
    expect(wrong).to_have_text(["cachorp"])
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Backspace")
    expect(wrong).to_have_count(0)
    # Kept by a tap, it is not asked for again.
    page.keyboard.type("t ")
    expect(wrong).to_have_text("cachort")
    page.get_by_role("button", name="manter cachort").click()
    expect(wrong).to_have_count(0)
    page.keyboard.press("End")
    page.keyboard.type("cachort ")
    page.wait_for_timeout(500)
    expect(wrong).to_have_count(0)
    expect(page.locator(TEXT)).to_have_value("Ela bebeu, o cachorro, e o cachort  cachort ")


def test_replacing_by_itself(visit):
    page = visit()
    auto = page.get_by_role("checkbox", name="Corrigir sozinho")
    expect(auto).not_to_be_checked()
    auto.check()
    page.reload()
    expect(auto).to_be_checked()
    page.locator(TEXT).focus()
    page.keyboard.type("Bebeu agua, ")
    expect(page.locator(TEXT)).to_have_value("Bebeu água, ")
    page.keyboard.type("o cachoro ")
    expect(page.locator(TEXT)).to_have_value("Bebeu água, o cachorro ")
    expect(page.locator("#perhaps")).to_have_text("cachorro, e não cachoro")
    expect(page.locator("#mirror .mended")).to_have_text(["água", "cachorro"])
    page.keyboard.press("Backspace")
    expect(page.locator(TEXT)).to_have_value("Bebeu água, o cachoro ")
    expect(page.locator("#mirror .mended")).to_have_text(["água"])
    # The word was chosen: it is not replaced again.
    page.keyboard.press("Backspace")
    page.keyboard.type(" ")
    page.wait_for_timeout(500)
    expect(page.locator(TEXT)).to_have_value("Bebeu água, o cachoro ")
    # Backspace somewhat later is only Backspace; what was typed is still a tap away.
    page.keyboard.type("bebeo ")
    expect(page.locator(TEXT)).to_have_value("Bebeu água, o cachoro bebeu ")
    page.keyboard.type("o")
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    expect(page.locator(TEXT)).to_have_value("Bebeu água, o cachoro bebeu")
    page.get_by_role("button", name="voltar a bebeo").click()
    expect(page.locator(TEXT)).to_have_value("Bebeu água, o cachoro bebeo")
    auto.uncheck()
    page.reload()
    expect(auto).not_to_be_checked()


def test_correcting_by_taps_on_a_phone(visit):
    page = visit(has_touch=True, is_mobile=True, viewport={"width": 360, "height": 740})
    page.locator("#auto").check()
    page.locator(TEXT).tap()
    for name in "ocachoro":
        key(page, name).tap()
        if name == "o" and len(page.locator(TEXT).input_value()) == 1:
            key(page, "␣").tap()
    key(page, "␣").tap()
    expect(page.locator(TEXT)).to_have_value("O cachorro ")
    key(page, "⌫").tap()
    expect(page.locator(TEXT)).to_have_value("O cachoro ")
    key(page, "⌫").tap()
    expect(page.locator(TEXT)).to_have_value("O cachoro")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_next_and_similar_words_have_their_marks(visit):
    page = visit()
    first = offers(page).first
    page.keyboard.type("ela bebeu")
    expect(first).to_have_class("next")
    word = first.inner_text()
    expect(first).to_have_attribute("aria-label", f"{word}, em seguida")
    expect(page.locator("#said")).to_contain_text(f"Sugestões: {word}, em seguida")
    page.keyboard.press("Tab")
    expect(page.locator(TEXT)).to_have_value(f"ela bebeu {word} ")
    expect(page.locator(KEYS)).to_contain_text(f"10 teclas em vez de {len(word) + 11}.")
    page.keyboard.type("cachoro")
    expect(page.get_by_role("button", name="cachorro, parecida", exact=True)).to_have_class(
        "similar"
    )
    expect(first).to_have_text("cachorro")
    page.keyboard.press("Tab")
    expect(page.locator(TEXT)).to_have_value(f"ela bebeu {word} cachorro ")
    # In the middle of a word no word can follow.
    page.keyboard.press("Home")
    page.keyboard.type("o")
    expect(offers(page)).to_have_text(["O", "", ""])


def test_each_word_has_its_surprise(visit):
    page = visit()
    page.keyboard.type("Ela bebeu água, o xadrez. E")
    words = page.locator("#mirror span")
    expect(words).to_have_text(["Ela", "bebeu", "água", "o", "xadrez", "E"])
    page.locator("#list summary").click()
    shown = page.locator("#words li").all_inner_texts()
    assert all(re.search(r"\w+ (1 em )?[\d.,]+%?, \w+ \([\d.,]+ nats\)$", line) for line in shown)
    # On hover.
    page.evaluate("scrollTo(0, 0)")
    box = words.nth(2).bounding_box()
    page.mouse.move(box["x"] + 3, box["y"] + 3)
    expect(page.locator("#bubble")).to_have_text(shown[2].replace("água ", "água: "))
    page.mouse.move(0, 0)
    expect(page.locator("#bubble")).to_be_hidden()
    # By the keyboard, and for those who do not see it.
    page.locator(TEXT).focus()
    page.keyboard.press("Home")
    expect(page.locator("#bubble")).to_contain_text("Ela: ")
    expect(page.locator("#said")).to_have_text(shown[0].replace("Ela ", "Ela: "))
    # A word that changes changes those behind it, and none before.
    page.keyboard.press("Control+End")
    page.keyboard.press("Control+ArrowLeft")
    page.keyboard.press("Control+ArrowLeft")
    page.keyboard.press("Control+ArrowLeft")
    page.keyboard.type("Brasil ")
    expect(words).to_have_count(7)
    assert page.locator("#words li").all_inner_texts()[:4] == shown[:4]


def test_the_colours_lie_under_the_words(visit):
    for width in (360, 1200):
        page = visit(viewport={"width": width, "height": 740})
        page.keyboard.insert_text("ela bebeu água e o cachorro\n" * 9 + "a" * 200)
        expect(page.locator("#mirror span")).to_have_count(6 * 9)
        assert page.evaluate(
            "field.clientWidth === mirror.clientWidth && field.scrollTop > 0"
            " && field.scrollHeight === mirror.scrollHeight"
            " && field.scrollTop === mirror.scrollTop"
        )
        assert page.evaluate("document.documentElement.scrollWidth") == width


DRAWN = r"mirror.textContent === `${text}\n`"

# Whether the kept pieces are those that the text is cut into.
KEPT = """() => {
  const keys = () => JSON.stringify(lastPieces().map(one => [one.from, one.start, one.key]));
  const kept = keys();
  pieces = [];
  return kept === keys();
}"""


def test_only_what_changes_is_drawn(visit):
    page = visit()
    page.keyboard.insert_text("ela bebeu 3.500\n" * 40 + "o cachorro, sim")
    expect(page.locator("#mirror span").last).to_have_text("sim")
    page.evaluate("for (const line of mirror.children) line.title = 'old'")
    new = page.locator("#mirror div:not([title])")
    page.keyboard.type("..")
    wait_until(page, DRAWN)
    expect(new).to_have_count(1)
    assert page.evaluate(KEPT)
    for place, key in ((90, "x"), (300, "Backspace"), (400, "Enter"), (447, "."), (448, "5")):
        page.evaluate("place => field.setSelectionRange(place, place)", place)
        page.keyboard.press(key)
        wait_until(page, DRAWN)
        assert page.evaluate(KEPT), key


def test_the_suggestions_of_the_next_key_come_with_it(visit):
    page = visit()
    page.keyboard.type("o cac")
    wait_until(page, "foreseenAnswer({text: 'o ', prefix: 'cach'})")
    page.evaluate(
        "addEventListener('input', () => { self.seen = [offers, $('offers').className]; })"
    )
    page.keyboard.type("h")
    found, look = page.evaluate("seen")
    assert look == ""
    assert found[0] == {"word": "cachorro", "kind": "completion"}


def test_emptying_begins_anew(visit):
    page = visit()
    before = offers(page).all_inner_texts()
    for empty in ("click", "keys"):
        page.keyboard.type("o cach")
        expect(offers(page).first).to_have_text("cachorro")
        page.keyboard.press("Tab")
        page.keyboard.type("bebeu água.")
        expect(page.locator("#mirror span").first).to_be_attached()
        if empty == "click":
            page.locator("#clear").click()
        else:
            page.keyboard.press("Control+a")
            page.keyboard.press("Delete")
        expect(page.locator(TEXT)).to_have_value("")
        expect(page.locator(TEXT)).to_be_focused()
        expect(page.locator(KEYS)).to_have_text("Nada escrito ainda.")
        expect(page.locator(SAVED)).to_have_text("–")
        expect(page.locator("#mirror span")).to_have_count(0)
        expect(offers(page)).to_have_text(before)


# Each question reaches the worker late, and is kept in `sent`.
SLOW = """
self.sent = [];
self.Worker = class extends Worker {
  postMessage(message) {
    sent.push(message);
    setTimeout(() => super.postMessage(message), 600);
  }
};
"""


def test_only_the_newest_question_waits_for_the_worker(visit):
    page = visit(script=SLOW)
    page.keyboard.type("o cachorro bebeu cach")
    expect(offers(page).first).to_have_text("cachorro")
    asked = [q for q in page.evaluate("sent") if q.get("question") == "suggest"]
    assert len(asked) < 15
    assert asked[-1]["body"] == {"text": "o cachorro bebeu ", "prefix": "cach"}


def test_suggestions_come_before_the_surprise_of_a_long_text(visit):
    page = visit(script=SLOW)
    page.keyboard.insert_text("ela bebeu água e o cachorro\n" * 60)
    expect(page.locator("#mirror span")).to_have_count(2)
    page.keyboard.type("o cach")
    expect(offers(page).first).to_have_text("cachorro")
    assert page.locator("#mirror span").count() < 100


def test_a_model_that_cannot_be_read(visit, folder):
    page = (folder / "index.html").read_text(encoding="utf-8")
    broken = re.sub(r'(id="model">)[^<]*', r"\1AAAA", page)
    (folder / "broken.html").write_text(broken, encoding="utf-8")
    page = visit("broken.html")
    expect(page.locator(NOTICE)).to_contain_text("O modelo falhou, e não há sugestões: ")
    page.keyboard.type("o cachorro ")
    expect(page.locator(TEXT)).to_have_value("o cachorro ")
    expect(page.locator(KEYS)).to_contain_text("11 teclas em vez de 11.")


def test_the_browser_lets_no_text_out(browser, folder):
    page = browser.new_page()
    page.goto((folder / "index.html").as_uri())
    refused = """url => new Promise(done => {
      addEventListener("securitypolicyviolation", event => done(event.effectiveDirective));
      fetch(url).catch(() => {});
    })"""
    for url in ("https://example.org/", "data:,text", (folder / "sw.js").as_uri()):
        assert page.evaluate(refused, url) == "connect-src"
    page.close()


def test_it_writes_on_until_a_key_is_pressed(visit):
    page = visit(reduced_motion="no-preference")
    page.keyboard.type("o cachorro ")
    write = page.locator("#write")
    write.click()
    expect(write).to_have_text("Parar")
    expect(page.locator(TEXT)).to_have_value(re.compile(r"(\S+\s+){8}"), timeout=15_000)
    assert page.locator(TEXT).input_value().startswith("o cachorro")
    page.keyboard.press("ArrowLeft")
    expect(write).to_have_text("Continuar o texto")
    written = page.locator(TEXT).input_value()
    page.wait_for_timeout(500)
    assert page.locator(TEXT).input_value() == written
    # What the model writes saves nobody a key.
    expect(page.locator(SAVED)).to_have_text("0%")
    write.click()
    write.click()
    expect(write).to_have_text("Continuar o texto")


def test_by_keyboard_alone(visit):
    page = visit()
    expect(page.locator(TEXT)).to_be_focused()
    page.keyboard.type("o cach")
    expect(offers(page).first).to_have_text("cachorro")
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(offers(page).first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(TEXT)).to_have_value("o cachorro ")
    expect(offers(page).first).to_be_focused()
    for name in ("2", "3"):
        page.keyboard.press("Tab")
        expect(page.locator(f"#offers button:nth-child({name})")).to_be_focused()
    page.keyboard.press("Tab")
    expect(key(page, "á")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(key(page, "w")).to_be_focused()
    page.keyboard.press("Space")
    expect(page.locator(TEXT)).to_have_value("o cachorro w")
    for name in ("#clear", "#toggle", "#auto", "#write", "#temperature", "#list summary"):
        page.keyboard.press("Tab")
        expect(page.locator(name)).to_be_focused()
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#degrees")).to_have_text("0,9")
    # Back into the text and out of it backwards.
    page.locator("#clear").focus()
    page.keyboard.press("Enter")
    expect(page.locator(TEXT)).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.locator(TEXT)).not_to_be_focused()


PORTUGUESE = [
    ("heading", "A próxima palavra"),
    ("button", "English"),
    ("textbox", "Seu texto"),
    ("group", "Sugestões"),
    ("button", "cachorro"),
    ("group", "Teclado na tela; as setas andam pelas teclas"),
    ("button", "apagar"),
    ("button", "Esconder o teclado"),
    ("checkbox", "Corrigir sozinho"),
    ("slider", "Temperatura"),
    ("button", "Continuar o texto"),
]
ENGLISH = [
    ("heading", "The next word"),
    ("button", "Português"),
    ("textbox", "Your text"),
    ("group", "Suggestions"),
    ("button", "cachorro"),
    ("group", "Keyboard on the screen; the arrow keys move along it"),
    ("button", "backspace"),
    ("button", "Hide the keyboard"),
    ("checkbox", "Correct automatically"),
    ("slider", "Temperature"),
    ("button", "Continue the text"),
]


@pytest.mark.parametrize(
    ("locale", "said", "shown"),
    [("pt-BR", "Sugestões: cachorro", PORTUGUESE), ("en-US", "Suggestions: cachorro", ENGLISH)],
)
def test_what_screen_readers_are_told(visit, locale, said, shown):
    page = visit(locale=locale)
    page.keyboard.type("o cach")
    expect(page.locator("#said")).to_have_text(said)
    expect(page.locator("#said span")).to_have_attribute("lang", "pt-BR")
    for role, name in shown:
        expect(page.get_by_role(role, name=name, exact=True)).to_be_visible()


@pytest.mark.parametrize(
    ("locale", "language"),
    [("pt-BR", "pt-BR"), ("pt-PT", "pt-BR"), ("en-US", "en"), ("en-GB", "en"), ("de-DE", "en")],
)
def test_the_browser_decides_which_language_is_first(visit, locale, language):
    page = visit(locale=locale)
    expect(page.locator("html")).to_have_attribute("lang", language)
    expect(page).to_have_title("The next word" if language == "en" else "A próxima palavra")
    expect(page.locator(TEXT)).to_have_attribute("lang", "pt-BR")  # what people type
    assert page.locator("[data-text]:empty").count() == 0


def test_the_other_language_by_a_switch(visit):
    page = visit()
    page.keyboard.type("o cach")
    expect(offers(page).first).to_have_text("cachorro")
    page.keyboard.press("Tab")
    page.keyboard.type("bebeo ")
    expect(page.locator(SAVED)).to_have_text("23,5%")
    expect(page.locator("#legend li").last).to_have_text("surpreendente: menos")
    page.locator("#list summary").click()
    page.locator("#language").click()
    expect(page.locator(TEXT)).to_have_value("o cachorro bebeo ")
    expect(page.locator(SAVED)).to_have_text("23.5%")
    expect(page.locator(KEYS)).to_contain_text("13 keys instead of 17.")
    expect(page.locator("#degrees")).to_have_text("0.8")
    levels = ["likely: 10%", "common: 1%", "unexpected: 0.1%", "rare: 0.01%"]
    levels = [*(f"{level} or more" for level in levels), "surprising: less"]
    expect(page.locator("#legend li")).to_have_text(levels)
    expect(page.locator("#words")).not_to_contain_text(re.compile("prov|comum|rara|surpre"))
    expect(page.locator(MEANT).first).to_have_accessible_name("keep bebeo")
    expect(key(page, "␣")).to_have_text("space")
    # What nobody sees yet, too: no message is missing.
    assert "undefined" not in page.locator("main").inner_html()
    page.reload()  # it is remembered
    expect(page.get_by_role("heading", name="The next word")).to_be_visible()
    page.locator("#language").click()
    expect(page.get_by_role("heading", name="A próxima palavra")).to_be_visible()
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")


def test_both_languages_fit_a_phone(visit):
    for locale in ("pt-BR", "en-US"):
        page = visit(locale=locale, viewport={"width": 320, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_light_and_dark(visit):
    paper = "getComputedStyle(document.querySelector('.field')).backgroundColor"
    light, dark = (visit(color_scheme=scheme).evaluate(paper) for scheme in ("light", "dark"))
    assert light == "rgb(255, 255, 255)"
    assert dark == "rgb(20, 23, 27)"
