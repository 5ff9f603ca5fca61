"""PDFs made by hand for tests: lines of text in sizes, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence

Lines = Sequence[tuple[str, float]]
"""Of each line its text and its size in points."""


def sized_pdf(pages: Sequence[Lines], *, title: str = "", scale: float = 1.0) -> bytes:
    """A PDF with lines of the sizes given; with a scale, sizes are set by the matrix and not by the font."""
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"", font, b"<</Title(%s)>>" % title.encode()]
    kids = []
    for lines in pages:
        runs = [
            f"BT /F1 {size / scale} Tf {scale} 0 0 {scale} 50 {700 - 30 * place} Tm ({text}) Tj ET"
            for place, (text, size) in enumerate(lines)
        ]
        stream = "\n".join(runs).encode()
        objects.append(b"<</Length %d>>\nstream\n%s\nendstream" % (len(stream), stream))
        resources = b"/Resources<</Font<</F1 3 0 R>>>>/MediaBox[0 0 612 792]"
        objects.append(b"<</Type/Page/Parent 2 0 R%s/Contents %d 0 R>>" % (resources, len(objects)))
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<</Type/Pages/Kids[%s]/Count %d>>" % (b" ".join(kids), len(kids))
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    trailer = b"trailer<</Size %d/Root 1 0 R/Info 4 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(out))
    return out + head + table + trailer
