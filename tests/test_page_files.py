"""What the page is made of: its markup, its messages, and scripts that share no name."""

import re
from collections import Counter

import pytest
from conftest import ROOT
from pages import Page

FOLDER = ROOT / "pipeline" / "page"
HTML = (FOLDER / "index.html").read_text(encoding="utf-8")
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.js"))}


def imported(name: str) -> set[str]:
    """A script and all that it imports, itself or through others."""
    direct = re.findall(r'^import .*?"\./(\w+\.js)";$', SCRIPTS[name], re.MULTILINE | re.DOTALL)
    return {name}.union(*map(imported, direct))


def test_the_page_needs_nothing_from_elsewhere():
    page = Page(HTML)
    assert dict(page.elements[0][1]) == {"lang": "pt-BR"}
    linked = [a[key] for _, a in page.elements for key in ("src", "href", "action") if key in a]
    assert all(link.startswith("data:image/svg+xml,") for link in linked)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(", HTML)
    for name, script in SCRIPTS.items():
        assert not re.search("https?://|XMLHttpRequest|WebSocket|sendBeacon", script), name
        assert "fetch(" not in script or name == "sw.js"
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    named = {a[key] for _, a in page.elements for key in ("for", "aria-describedby") if key in a}
    assert named <= set(ids)


def test_every_element_that_a_script_names_is_there():
    ids = {a["id"] for _, a in Page(HTML).elements if "id" in a}
    scripts = "".join(SCRIPTS[name] for name in imported("app.js"))
    assert set(re.findall(r'\$\("(\w[\w-]*)"\)', scripts)) <= ids


def test_every_message_has_both_languages_and_is_used():
    language = re.compile(r'^  "([\w-]+)": {\n(.*?)^  },$', re.DOTALL | re.MULTILINE)
    languages = dict(language.findall(SCRIPTS["messages.js"]))
    portuguese, english = (
        re.findall(r"^    (\w+): ", languages[name], re.MULTILINE) for name in ("pt-BR", "en")
    )
    assert portuguese == english
    assert len(portuguese) == len(set(portuguese))
    page = HTML + "".join(script for name, script in SCRIPTS.items() if name != "messages.js")
    used = {
        *re.findall(r'data-(?:text|label)="(\w+)"', page),
        *re.findall(r"(?<!/)\bmessages\.(\w+)", page),
        *re.findall(r'"(\w+)"', page.partition("const LEVELS = ")[2].partition(";")[0]),
        *re.findall(r': "(\w+)"', page.partition("const NAMES = ")[2].partition(";")[0]),
    }
    assert used == {*portuguese}


@pytest.mark.parametrize("name", ["app.js", "worker.js"])
def test_scripts_in_one_element_share_no_name(name):
    declared = re.compile(r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)(.*)$", re.M)
    counts = Counter()
    for part in imported(name):
        for first, rest in declared.findall(SCRIPTS[part]):
            counts.update([first, *re.findall(r", (\w+)(?= =|[,;])", rest.partition("(")[0])])
    assert len(counts) > 40
    assert not [declared for declared, count in counts.items() if count > 1]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_stands_in_an_element_as_it_is(name):
    assert not re.search("<!--|</?script", SCRIPTS[name], re.IGNORECASE)


def test_imports_point_one_way():
    for name in SCRIPTS:
        direct = re.findall(r'^import .*?"\./(\w+\.js)";$', SCRIPTS[name], re.M | re.S)
        assert not any(name in imported(other) for other in direct), name
