"""Report content into a PDF/A-3b file, with the FHIR document attached.

Nothing a person typed is ever markup: the template is fixed, and content reaches it as JSON in one input.
"""

import io
import json
import threading
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import segno
import typst

from lims_api.reports.layout import ReportContent, printed

HERE = Path(__file__).parent
TEMPLATE = HERE / "templates" / "report.typ"
FONTS = HERE / "fonts"
PDF_STANDARD = "a-3b"
QR_MASK = 4  # Every mask is valid; trying all eight for the prettiest costs 4 ms a report.
_compilers = threading.local()


class UnprintableReport(Exception):
    """The content cannot be set with the fonts we ship. The message holds the typesetter's reason and no content."""


def render(content: ReportContent, attachment: bytes | None) -> bytes:
    """One version of a report as PDF/A-3b bytes.

    `attachment` is a FHIR document (JSON, UTF-8) that says the same as the pages; it is embedded as `report.fhir.json`
    with the relationship Data, so that a computer need not read pages. Equal content and attachment give equal bytes.
    Raises UnprintableReport when a character has no glyph, ValueError when the attachment is not JSON.
    """
    inputs = {
        "content": json.dumps(printed(content), ensure_ascii=False),
        "qr": qr_svg(content.verification) if content.verification else "",
        "attachment": _json_text(attachment),
    }
    return _compile(inputs, content.issued_at)


def qr_svg(token: str) -> str:
    """A QR code (error correction M) of an opaque verification token or address, as an SVG drawing."""
    drawing = io.BytesIO()
    segno.make(token, error="m", micro=False, mask=QR_MASK, boost_error=False).save(
        drawing, kind="svg", border=0, xmldecl=False
    )
    return drawing.getvalue().decode()


def _json_text(attachment: bytes | None) -> str:
    if attachment is None:
        return ""
    text = attachment.decode("utf-8")
    json.loads(text)
    return text


def _compile(inputs: dict[str, str], issued_at: datetime) -> bytes:
    try:
        pdf: bytes = _compiler().compile(
            sys_inputs=inputs, format="pdf", pdf_standards=[PDF_STANDARD], timestamp=int(issued_at.timestamp())
        )
    except typst.TypstError as error:
        raise UnprintableReport(_reason(error)) from None
    return pdf


def _reason(error: typst.TypstError) -> str:
    # The typesetter quotes the offending text, which may be a name; its first words tell the kind of fault.
    message = str(getattr(error, "message", "")).partition("`")[0].strip()
    return message or "the typesetter refused the content"


def _compiler() -> Any:
    """This thread's compiler. Reuse keeps the parsed template and fonts: five times faster than a new one."""
    compiler = getattr(_compilers, "compiler", None)
    if compiler is None:
        compiler = typst.Compiler(input=str(TEMPLATE), root=str(TEMPLATE.parent), font_paths=_fonts())
        _compilers.compiler = compiler
    return compiler


@cache
def _fonts() -> Any:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=[str(FONTS)])
