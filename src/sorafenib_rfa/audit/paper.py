"""The rendered paper, made pressable: numbers, sentences, tables and figures become links into the audit site."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from html import escape, unescape
from html.parser import HTMLParser
from urllib.parse import quote

VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
BLOCKED = frozenset({"script", "style", "iframe", "object", "embed", "link", "meta", "base", "form", "template"})
"""Elements that a paper has no use for and that an audit site must not carry."""

SITE = "../audit/index.html"
"""Where the paper's own links lead: here."""


@dataclass(frozen=True)
class Printed:
    """One number, sentence or fact as the paper prints it.

    Attributes
    ----------
    target : str
        ``cohort:ARD_ID``, ``claim:NAME`` or ``meta:KEY``.
    text : str
        As printed.
    section : str
        Heading under which it stands, or the exhibit's label ("Table 2").
    claim : str
        Name of the claim in which it stands, or "".
    """

    target: str
    text: str
    section: str
    claim: str


@dataclass(frozen=True)
class Paper:
    """The paper, ready to be put into the site.

    Attributes
    ----------
    title : str
        Plain text.
    body, contents : str
        HTML of the article and of its table of contents.
    images : dict[str, bytes]
        Name of the file in the site -> its bytes.
    printed : tuple of Printed
        Numbers, sentences and facts in the order of the page.
    exhibits : dict[str, str]
        ``table:cohort:name`` and ``figure:cohort:name`` -> anchor in the article.
    captions : dict[str, str]
        The same keys -> caption as plain text.
    """

    title: str
    body: str
    contents: str
    images: dict[str, bytes]
    printed: tuple[Printed, ...]
    exhibits: dict[str, str]
    captions: dict[str, str]


def link(target: str) -> str:
    """Return the hash under which the site opens `target`."""
    return "#" + quote(target, safe=":/._-~+,")


@dataclass
class _Open:
    tag: str
    closing: str
    kind: str = ""
    target: str = ""
    text: list[str] = field(default_factory=list)


class _Rewriter(HTMLParser):
    """Copies the paper tag by tag and changes only what has to become pressable."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.out: list[str] = []
        self.stack: list[_Open] = []
        self.images: dict[str, bytes] = {}
        self.printed: list[Printed] = []
        self.exhibits: dict[str, str] = {}
        self.captions: dict[str, str] = {}
        self.section = ""
        self.blocked = 0

    # --- text -------------------------------------------------------------------------------------------------------

    def _text(self, text: str) -> None:
        if self.blocked:
            return
        self.out.append(text)
        for element in self.stack:
            if element.kind:
                element.text.append(unescape(text))

    def handle_data(self, data: str) -> None:
        """Copy text; outside of entities an angle bracket in it stays text."""
        self._text(data.replace("<", "&lt;").replace(">", "&gt;"))

    def handle_entityref(self, name: str) -> None:
        """Copy an entity as it stands."""
        self._text(f"&{name};")

    def handle_charref(self, name: str) -> None:
        """Copy a numeric entity as it stands."""
        self._text(f"&#{name};")

    # --- tags -------------------------------------------------------------------------------------------------------

    def _within(self, kind: str) -> str:
        return next((element.target for element in reversed(self.stack) if element.kind == kind), "")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Copy an opening tag, as a link if a number stands in it."""
        if tag in BLOCKED:
            self.blocked += tag not in VOID
            return
        if self.blocked:
            return
        given = {name: value or "" for name, value in attrs if not name.startswith("on")}
        element = _Open(tag, f"</{tag}>")
        classes = given.get("class", "").split()
        if "data-ard" in given and "val" in classes:
            element.kind, element.target, element.closing = "number", given["data-ard"], "</a>"
            self.out.append(f'<a class="val" href="{escape(link(element.target))}">')
        elif "data-claim" in given:
            element.kind, element.target = "claim", "claim:" + given["data-claim"]
            element.closing = (
                f'<a class="mark" href="{escape(link(element.target))}" '
                f'aria-label="How the sentence {escape(given["data-claim"])} was chosen">&sect;</a></span>'
            )
            self.out.append(f'<span class="claim" data-claim="{escape(given["data-claim"])}">')
        elif "data-meta" in given:
            element.kind, element.target, element.closing = "meta", "meta:" + given["data-meta"], "</a>"
            self.out.append(f'<a class="meta" href="{escape(link(element.target))}">')
        else:
            self._plain(tag, given, element)
        if tag not in VOID:
            self.stack.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Copy an element without content."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID and tag not in BLOCKED:
            self.handle_endtag(tag)

    def _plain(self, tag: str, given: dict[str, str], element: _Open) -> None:
        if re.fullmatch(r"h[1-4]", tag):
            element.kind = "heading"
        for kind in ("table", "figure"):
            if f"data-{kind}" in given:
                element.kind, element.target = "exhibit", f"{kind}:{given[f'data-{kind}']}"
        if tag == "figcaption":
            element.kind, element.target = "caption", self._within("exhibit")
        if tag == "figure" and element.kind == "exhibit" and given.get("id"):
            self.exhibits[element.target] = given["id"]
        if tag == "img":
            given = self._image(given)
        if given.get("style") == "text-align: left;":  # what a cell does anyway; thousands of them
            del given["style"]
        if tag == "a" and given.get("href", "").startswith(SITE):  # the label of an exhibit, in its caption
            given = {"class": "exhibit", "href": given["href"].removeprefix(SITE)}
        if tag == "a" and given.get("href", "").lower().lstrip().startswith(("javascript:", "data:", "vbscript:")):
            del given["href"]
        written = "".join(f' {name}="{escape(value)}"' for name, value in given.items())
        self.out.append(f"<{tag}{written}>")

    def _image(self, given: dict[str, str]) -> dict[str, str]:
        """Take an embedded image out of the page: the browser then loads it when it comes into view."""
        found = re.fullmatch(r"data:image/(svg\+xml|png|jpeg);base64,(.*)", given.get("src", ""), re.DOTALL)
        if not found:  # the renderer embeds every image; any other would come from outside of the folder
            return {key: value for key, value in given.items() if key not in {"src", "srcset"}}
        try:
            content = base64.b64decode(found[2], validate=True)
        except binascii.Error as error:
            raise ValueError(f"an image of the paper cannot be decoded: {error}") from error
        suffix = {"svg+xml": "svg", "png": "png", "jpeg": "jpg"}[found[1]]
        exhibit = given.get("data-figure") or self._within("exhibit").removeprefix("figure:")
        stem = exhibit.replace(":", ".") if exhibit else f"image_{len(self.images) + 1}"
        name = f"figures/{stem}.{suffix}"
        self.images[name] = content
        kept = {key: value for key, value in given.items() if key not in {"src", "role"}}
        return {"src": quote(name), **_size(content, suffix), "loading": "lazy", "decoding": "async", **kept}

    def handle_endtag(self, tag: str) -> None:
        """Copy a closing tag and keep what was printed within."""
        if tag in BLOCKED:
            self.blocked -= tag not in VOID and self.blocked > 0
            return
        if self.blocked or not any(element.tag == tag for element in self.stack):
            return
        while True:
            element = self.stack.pop()
            self._close(element)
            if element.tag == tag:
                return

    def _close(self, element: _Open) -> None:
        text = " ".join("".join(element.text).split())
        if element.kind in {"number", "claim", "meta"}:
            where = self._within("exhibit") or self.section
            claim = self._within("claim").removeprefix("claim:") if element.kind != "claim" else ""
            self.printed.append(Printed(element.target, text, where, claim))
        elif element.kind == "heading":
            self.section = text
        elif element.kind == "caption" and element.target:
            self.captions[element.target] = text
        self.out.append(element.closing)


def _size(content: bytes, suffix: str) -> dict[str, str]:
    """Return width and height in CSS pixels of an SVG, so that the page does not jump when it arrives."""
    if suffix != "svg":
        return {}
    head = content[:2000].decode("utf-8", "replace")
    found = re.search(r'<svg\b[^>]*?\bwidth="([\d.]+)pt"[^>]*>', head, re.DOTALL)
    tall = re.search(r'<svg\b[^>]*?\bheight="([\d.]+)pt"[^>]*>', head, re.DOTALL)
    if not found or not tall:
        return {}
    return {"width": f"{float(found[1]) * 4 / 3:.0f}", "height": f"{float(tall[1]) * 4 / 3:.0f}"}


def _part(html: str, start: str, end: str, what: str) -> str:
    first = html.find(start)
    last = html.find(end, first)
    if first < 0 or last < 0:
        raise ValueError(f"the paper has no {what} ({start} ... {end})")
    return html[first + len(start) : last]


def rewrite_paper(html: str) -> Paper:
    """Return the paper with everything that is bound to results made pressable.

    Parameters
    ----------
    html : str
        ``paper.html`` as the embedded renderer writes it: an ``<article>``, a ``<nav class="contents">``, numbers in
        elements with ``data-ard``, sentences with ``data-claim``, facts with ``data-meta``, exhibits in figures with
        ``data-table`` or ``data-figure``.

    Raises
    ------
    ValueError
        If the page has no article, or an image in it cannot be decoded.
    """
    rewriter = _Rewriter()
    rewriter.feed(_part(html, "<article>", "</article>", "article"))
    rewriter.close()
    contents = _Rewriter()
    if 'class="contents"' in html:
        contents.feed(
            _part(_part(html, '<nav class="contents"', "</nav>", "contents"), "</summary>", "</details>", "list")
        )
        contents.close()
    return Paper(
        title=unescape(re.sub(r"<[^>]+>", "", _part(html, "<title>", "</title>", "title"))).strip(),
        body="".join(rewriter.out).strip(),
        contents="".join(contents.out).strip(),
        images=rewriter.images,
        printed=tuple(rewriter.printed),
        exhibits=rewriter.exhibits,
        captions=rewriter.captions,
    )


def rewrite_fragment(html: str) -> str:
    """Return a piece of HTML without scripts, styles, forms and event handlers."""
    rewriter = _Rewriter()
    rewriter.feed(html)
    rewriter.close()
    return "".join(rewriter.out)
