"""The reference document that gives the DOCX its looks: journal-like styles, page header and page numbers."""

from __future__ import annotations

import io
from typing import Any, Final

BODY_FONT: Final = "Times New Roman"
HEADING_FONT: Final = "Arial"
SYNTHETIC_HEADER: Final = "Main cohort: synthetic data"
_DARK_RED: Final = "8A1C1C"
_TEXT_WIDTH_TWIPS: Final = 11906 - 2 * 1417  # A4 with margins of 2.5 cm

# name: (based on, size in pt, bold, italic, colour, space before pt, space after pt)
_STYLES: Final = {
    "Affiliation": ("Normal", 9, False, False, "404040", 0, 2),
    "Keywords": ("Normal", 9.5, False, False, None, 2, 12),
    "Callout Title": ("Normal", 10, True, False, "5C3A00", 12, 0),
    "Callout": ("Normal", 10, False, False, None, 0, 0),
    "Table Notes": ("Normal", 8.5, False, False, "404040", 3, 12),
    "Panel Caption": ("Normal", 9, False, False, None, 2, 6),
    "Equation": ("Normal", 11, False, False, None, 6, 6),
    "Gap": ("Normal", 4, False, False, None, 0, 0),
}


def reference_document(base: bytes, *, short_title: str, synthetic: bool) -> bytes:
    """Return a reference document for pandoc.

    Parameters
    ----------
    base : bytes
        Pandoc's own ``reference.docx``, so that every style its writer uses exists.
    short_title : str
        Text on the left of the page header.
    synthetic : bool
        Whether the page header says that the data are synthetic.
    """
    from docx import Document
    from docx.enum.section import WD_ORIENT
    from docx.enum.style import WD_STYLE_TYPE
    from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_TAB_ALIGNMENT
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls, qn
    from docx.shared import Mm, Pt, RGBColor, Twips

    document = Document(io.BytesIO(base))
    styles = document.styles

    def font(style: Any, name: str, size: float | None = None, *, colour: str | None = "000000") -> None:
        properties = style.element.get_or_add_rPr()
        for old in properties.findall(qn("w:rFonts")):
            properties.remove(old)
        style.font.name = name
        properties.find(qn("w:rFonts")).set(qn("w:eastAsia"), name)
        properties.find(qn("w:rFonts")).set(qn("w:cs"), name)
        if size is not None:
            style.font.size = Pt(size)
        if colour is not None:
            style.font.color.rgb = RGBColor.from_string(colour)

    font(styles["Normal"], BODY_FONT, 11)
    for name in ("Body Text", "First Paragraph"):
        styles[name].paragraph_format.space_before = Pt(0)
        styles[name].paragraph_format.space_after = Pt(8)
        styles[name].paragraph_format.line_spacing = 1.25
    styles["Compact"].paragraph_format.space_before = Pt(1)
    styles["Compact"].paragraph_format.space_after = Pt(1)
    styles["Compact"].paragraph_format.line_spacing = 1.0
    for level, size in ((1, 14), (2, 12), (3, 11), (4, 11)):
        heading = styles[f"Heading {level}"]
        font(heading, HEADING_FONT, size)
        heading.font.bold, heading.font.italic = level < 4, level >= 3
        heading.paragraph_format.space_before, heading.paragraph_format.space_after = Pt(18 - 2 * level), Pt(5)
        heading.paragraph_format.keep_with_next = True
    font(styles["Title"], HEADING_FONT, 20)
    styles["Title"].font.bold = True
    styles["Title"].paragraph_format.alignment = WD_ALIGN_PARAGRAPH.LEFT
    font(styles["Subtitle"], HEADING_FONT, 12, colour="404040")
    for name, size in (("Author", 11), ("Date", 9)):
        font(styles[name], BODY_FONT, size)
        styles[name].paragraph_format.space_after = Pt(4)
    for name in ("Subtitle", "Author", "Date"):
        styles[name].font.bold = False
        for spread in styles[name].element.get_or_add_rPr().findall(qn("w:spacing")):
            styles[name].element.rPr.remove(spread)
    for name in ("Subtitle", "Author", "Date", "Abstract", "Abstract Title"):
        styles[name].paragraph_format.alignment = WD_ALIGN_PARAGRAPH.LEFT
    font(styles["Abstract Title"], HEADING_FONT, 11)
    font(styles["Abstract"], BODY_FONT, 10)
    styles["Abstract"].paragraph_format.space_before = Pt(0)
    styles["Abstract"].paragraph_format.space_after = Pt(5)
    for name in ("Table Caption", "Image Caption"):
        font(styles[name], BODY_FONT, 9.5)
        styles[name].font.italic = False
    styles["Table Caption"].paragraph_format.keep_with_next = True
    styles["Table Caption"].paragraph_format.space_before = Pt(12)
    styles["Table Caption"].paragraph_format.space_after = Pt(4)
    styles["Image Caption"].paragraph_format.space_after = Pt(14)
    for name in ("Figure", "Captioned Figure"):
        styles[name].paragraph_format.keep_with_next = True
        styles[name].paragraph_format.alignment = WD_ALIGN_PARAGRAPH.CENTER
        styles[name].paragraph_format.space_before = Pt(10)
    font(styles["Bibliography"], BODY_FONT, 9.5)
    styles["Bibliography"].paragraph_format.space_after = Pt(3)
    styles["Bibliography"].paragraph_format.left_indent = Mm(8)
    styles["Bibliography"].paragraph_format.first_line_indent = Mm(-8)
    styles["Bibliography"].paragraph_format.tab_stops.add_tab_stop(Mm(8))
    font(styles["Footnote Text"], BODY_FONT, 9)
    font(styles["Verbatim Char"], "Courier New", 9, colour=None)
    styles["Hyperlink"].font.color.rgb = RGBColor.from_string("14508C")

    for name, (parent, size, bold, italic, colour, before, after) in _STYLES.items():
        style = styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
        style.base_style = styles[parent]
        font(style, BODY_FONT, size, colour=colour or "000000")
        style.font.bold, style.font.italic = bold, italic
        style.paragraph_format.space_before, style.paragraph_format.space_after = Pt(before), Pt(after)
    for name in ("Callout Title", "Callout"):
        style = styles[name]
        style.paragraph_format.left_indent = style.paragraph_format.right_indent = Mm(2.5)
        style.paragraph_format.keep_together = True
        properties = style.element.get_or_add_pPr()
        properties.append(
            parse_xml(
                f'<w:pBdr {nsdecls("w")}><w:left w:val="single" w:sz="24" w:space="6" w:color="A86400"/></w:pBdr>'
            )
        )
        properties.append(parse_xml(f'<w:shd {nsdecls("w")} w:val="clear" w:color="auto" w:fill="FDF4E0"/>'))
        _order_paragraph_properties(properties)
    styles["Callout Title"].paragraph_format.keep_with_next = True
    styles["Panel Caption"].paragraph_format.alignment = WD_ALIGN_PARAGRAPH.CENTER
    tabs = styles["Equation"].paragraph_format.tab_stops
    tabs.add_tab_stop(Twips(_TEXT_WIDTH_TWIPS // 2), WD_TAB_ALIGNMENT.CENTER)
    tabs.add_tab_stop(Twips(_TEXT_WIDTH_TWIPS), WD_TAB_ALIGNMENT.RIGHT)

    _table_style(styles["Table"].element, rules=True)
    panel = styles.add_style("Panel", WD_STYLE_TYPE.TABLE)
    _table_style(panel.element, rules=False)

    section = document.sections[0]
    section.orientation = WD_ORIENT.PORTRAIT
    section.page_width, section.page_height = Twips(11906), Twips(16838)
    section.left_margin = section.right_margin = Twips(1417)
    section.top_margin, section.bottom_margin = Twips(1500), Twips(1400)
    section.header_distance = section.footer_distance = Twips(700)

    header = section.header.paragraphs[0]
    header.style = styles["Normal"]
    header.paragraph_format.tab_stops.add_tab_stop(Twips(_TEXT_WIDTH_TWIPS), WD_TAB_ALIGNMENT.RIGHT)
    title = header.add_run(short_title)
    title.font.size, title.font.color.rgb = Pt(8.5), RGBColor.from_string("595959")
    if synthetic:
        mark = header.add_run(f"\t{SYNTHETIC_HEADER}")
        mark.font.size, mark.font.bold = Pt(8.5), True
        mark.font.color.rgb = RGBColor.from_string(_DARK_RED)
    footer = section.footer.paragraphs[0]
    footer.style = styles["Normal"]
    footer.alignment = WD_ALIGN_PARAGRAPH.CENTER
    for field in ("PAGE", None, "NUMPAGES"):
        run = footer.add_run("" if field else " / ")
        run.font.size = Pt(9)
        if field:
            for kind, text in (("begin", None), (None, field), ("separate", None), ("text", "1"), ("end", None)):
                if kind == "text":
                    run._r.append(parse_xml(f"<w:t {nsdecls('w')}>{text}</w:t>"))
                elif kind:
                    run._r.append(parse_xml(f'<w:fldChar {nsdecls("w")} w:fldCharType="{kind}"/>'))
                else:
                    run._r.append(parse_xml(f'<w:instrText {nsdecls("w")} xml:space="preserve"> {text} </w:instrText>'))
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def _order_paragraph_properties(properties: Any) -> None:
    """Sort the children of ``w:pPr`` as the schema asks; Word rejects other orders."""
    order = (
        "pStyle keepNext keepLines pageBreakBefore framePr widowControl numPr suppressLineNumbers pBdr shd tabs "
        "suppressAutoHyphens spacing ind contextualSpacing jc outlineLvl rPr"
    ).split()
    for child in sorted(properties, key=lambda child: order.index(child.tag.rpartition("}")[2])):
        properties.remove(child)
        properties.append(child)


def _table_style(element: Any, *, rules: bool) -> None:
    """Give a table style booktabs rules and small print, or (`rules` false) no rules at all."""
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    for child in list(element):
        if child.tag.rpartition("}")[2] in ("tblPr", "tblStylePr", "rPr", "pPr"):
            element.remove(child)
    thick = 'w:val="single" w:sz="8" w:space="0" w:color="000000"'
    thin = 'w:val="single" w:sz="4" w:space="0" w:color="000000"'
    cell_margins = '<w:tblCellMar><w:left w:w="80" w:type="dxa"/><w:right w:w="80" w:type="dxa"/></w:tblCellMar>'
    spacing = '<w:pPr><w:spacing w:before="30" w:after="30"/></w:pPr>'
    if rules:
        content = (
            f'{spacing}<w:rPr><w:sz w:val="18"/><w:szCs w:val="18"/></w:rPr>'
            f'<w:tblPr><w:jc w:val="center"/><w:tblBorders><w:top {thick}/><w:bottom {thick}/></w:tblBorders>'
            f"{cell_margins}</w:tblPr>"
            f'<w:tblStylePr w:type="firstRow"><w:rPr><w:b/></w:rPr><w:tcPr><w:tcBorders><w:bottom {thin}/>'
            '</w:tcBorders><w:vAlign w:val="bottom"/></w:tcPr></w:tblStylePr>'
        )
    else:
        content = f'{spacing}<w:tblPr><w:jc w:val="center"/>{cell_margins}</w:tblPr>'
    for child in list(parse_xml(f"<w:style {nsdecls('w')}>{content}</w:style>")):
        element.append(child)
