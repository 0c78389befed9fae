"""Pages lead where they say: no link of a Markdown file is broken, and no page is lost."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from support.harness import ROOT, files_of_project

from value_props.docs.site import LINEAGE
from value_props.publish.out_path import PAGE

ENGLISH, SPANISH = ROOT / "README.md", ROOT / "README.es.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))
# The home page of dbt's docs links to the pages that `make docs` writes beside it.
WRITTEN_LATER = {ROOT / "models" / "overview.md": {PAGE, LINEAGE}}
MOST_WORDS = {ENGLISH: 900, SPANISH: 1000}


def prose(path: Path) -> str:
    """The text of a page without its code, which may hold brackets and hashes of its own."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", lambda code: code[0] if "](" not in code[0] else "", text)


def links(path: Path) -> list[str]:
    """The targets of all links and pictures of a page that are no web addresses, in order."""
    inline = r"\]\(\s*<?([^)\s>]+)[^)]*\)"
    by_reference = r"^\[[^\]]+\]:\s*(\S+)"
    found = re.findall(f"{inline}|{by_reference}", prose(path), re.M)
    targets = [first or second for first, second in found]
    return [target for target in targets if not re.match("[a-z]+:", target)]


def headings(path: Path) -> list[tuple[int, str]]:
    """Level and text of the headings of a page, in order."""
    found = re.findall(r"^(#{1,6}) +(.+?) *#*$", prose(path), re.M)
    return [(len(signs), text) for signs, text in found]


def anchors(path: Path) -> set[str]:
    """What follows the `#` in a link to a heading of a page, as GitHub makes it."""
    made: set[str] = set()
    for _, text in headings(path):
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        number = next(i for i in range(100) if (f"{slug}-{i}" if i else slug) not in made)
        made.add(f"{slug}-{number}" if number else slug)
    return made


def broken(path: Path) -> list[str]:
    """The links of a page that lead to no file, or to no heading of it."""
    faults = []
    for link in links(path):
        name, _, anchor = unquote(link).partition("#")
        target = (path.parent / name).resolve() if name else path
        if name.partition("?")[0] in WRITTEN_LATER.get(path, ()):
            continue
        if not target.exists() or ROOT not in (target, *target.parents):
            faults.append(f"{link}: no such file")
        elif anchor and (target.suffix != ".md" or anchor not in anchors(target)):
            faults.append(f"{link}: no such heading")
    return faults


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    pages = files_of_project("*.md")
    assert sum(len(links(page)) for page in pages) > 40
    faults = {page.relative_to(ROOT).as_posix(): broken(page) for page in pages}
    assert {name: found for name, found in faults.items() if found} == {}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("[a](other.md)", None),
        ("[a](other.md#two-words-a---dash)", None),
        ("[a](#here)", None),
        ('![a](other.md "title")', None),
        ("[a](https://example.org/none#none)", None),
        ("`[a](none.md)`", None),
        ("[a](none.md)", "none.md: no such file"),
        ("![a](none.png)", "none.png: no such file"),
        ("[a]: none.md", "none.md: no such file"),
        ("[a](other.md#two-words)", "other.md#two-words: no such heading"),
        ("[a](#there)", "#there: no such heading"),
        ("[a](../outside.md)", "../outside.md: no such file"),
    ],
)
def test_a_broken_link_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, fault: str | None
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    monkeypatch.setitem(globals(), "ROOT", root)
    (tmp_path / "outside.md").touch()
    (root / "other.md").write_text("# Two `words`, a - dash\n", encoding="utf-8")
    (root / "page.md").write_text(f"# Here\n\n{line}\n", encoding="utf-8")
    assert broken(root / "page.md") == ([fault] if fault else [])


@pytest.mark.parametrize("path", MOST_WORDS, ids=lambda path: path.name)
def test_a_readme_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").split()) <= MOST_WORDS[path]


def test_both_readmes_have_the_same_headings_and_links() -> None:
    english, spanish = ([level for level, _ in headings(path)] for path in (ENGLISH, SPANISH))
    assert english == spanish
    # Each begins with a link to the other.
    assert (links(ENGLISH)[0], links(SPANISH)[0]) == (SPANISH.name, ENGLISH.name)
    assert links(ENGLISH)[1:] == links(SPANISH)[1:]


def test_the_readme_leads_to_every_page() -> None:
    reached = {(ROOT / link.partition("#")[0]).resolve() for link in links(ENGLISH)}
    assert set(PAGES) - reached == set()


@pytest.mark.parametrize(
    "page",
    [*PAGES, *files_of_project("*/README.md")],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_a_page_begins_with_when_it_is_needed(page: Path) -> None:
    title, _, rest = page.read_text(encoding="utf-8").partition("\n\n")
    assert title.startswith("# ")
    assert rest.startswith("Read this ")
