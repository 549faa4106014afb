"""Small images, and SVG files with content that no logo needs."""

import struct

SVG = b"""<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 600 100">
  <title>Alder &amp; Co</title>
  <style>.a { fill: #2454d6 } @media (prefers-color-scheme: dark) { .a { fill: #9dbaff } }</style>
  <defs><linearGradient id="fade"><stop offset="0" stop-color="#2454d6"/><stop offset="1"/></linearGradient></defs>
  <rect width="600" height="100" fill="url(#fade)" style="opacity: .5"/>
  <path id="leaf" class="a" d="M0 0h20v20z"/><use xlink:href="#leaf" x="30"/><text x="60" y="60">Alder</text>
</svg>"""

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBBI", 13, b"IHDR", 300, 100, 8, 6, 0, 0, 0, 0) + bytes(8)
JPEG = (
    b"\xff\xd8"
    + struct.pack(">BBH14s", 0xFF, 0xE0, 16, b"JFIF")
    + struct.pack(">BBHBHHB", 0xFF, 0xC2, 17, 8, 100, 300, 3)
    + bytes(12)
)
LOSSY = b"RIFF\x20\0\0\0WEBPVP8 \x14\0\0\0" + b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 300, 100) + bytes(9)
LOSSLESS = b"RIFF\x20\0\0\0WEBPVP8L\x14\0\0\0\x2f" + struct.pack("<I", 299 | 99 << 14) + bytes(9)
EXTENDED = b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + bytes([299 & 255, 299 >> 8, 0, 99, 0, 0])


def svg(inside: str = "", attributes: str = 'viewBox="0 0 600 100"', before: str = "") -> bytes:
    return f'{before}<svg xmlns="http://www.w3.org/2000/svg" {attributes}>{inside}</svg>'.encode()


LINK = 'xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 1 1"'
UNSAFE = {
    "script": svg("<script>alert(1)</script>"),
    "script in capital letters": svg("<SCRIPT>alert(1)</SCRIPT>"),
    "script of another namespace": svg('<script xmlns="http://www.w3.org/1999/xhtml">alert(1)</script>'),
    "script by a prefix": svg('<h:script xmlns:h="http://www.w3.org/1999/xhtml">alert(1)</h:script>'),
    "page in the drawing": svg('<foreignObject><p xmlns="http://www.w3.org/1999/xhtml">…</p></foreignObject>'),
    "handler on the root": svg(attributes='viewBox="0 0 1 1" onload="alert(1)"'),
    "handler on a part": svg('<path onclick="alert(1)"/>'),
    "handler in capital letters": svg('<path ONCLICK="alert(1)"/>'),
    "handler by a default of the document type": svg(before='<!DOCTYPE svg [<!ATTLIST svg onload CDATA "alert(1)">]>'),
    "link": svg('<a href="https://example.com"><path/></a>'),
    "picture from elsewhere": svg('<image href="https://example.com/a.png"/>'),
    "part from elsewhere": svg('<use href="https://example.com/a.svg#a"/>'),
    "part from elsewhere, the old way": svg('<use xlink:href="//example.com/a.svg#a"/>', LINK),
    "script as an address": svg('<use href="javascript:alert(1)"/>'),
    "data as an address": svg('<use href="data:image/svg+xml;base64,PHN2Zy8+#a"/>'),
    "address that begins with a space": svg('<use href=" https://example.com/#a"/>'),
    "fill from elsewhere": svg('<path fill="url(https://example.com/a.svg#a)"/>'),
    "fill from elsewhere in capital letters": svg('<path fill="URL( //example.com/a.svg#a)"/>'),
    "style attribute that reaches out": svg("<path style=\"fill:url('//example.com/a#a')\"/>"),
    "style attribute with an escape": svg('<path style="fill:u\\72l(//example.com/a#a)"/>'),
    "style sheet that imports": svg("<style>@import '//example.com/a.css';</style>"),
    "style sheet in pieces": svg("<style>@im<![CDATA[port '//example.com/a.css']]>;</style>"),
    "style sheet with a comment in it": svg("<style>@im<!-- -->port '//example.com/a.css';</style>"),
    "style sheet with a part in it": svg("<style>@im<title>x</title>port '//example.com/a.css';</style>"),
    "style sheet with an entity": svg("<style>&#64;import '//example.com/a.css';</style>"),
    "style sheet with a font": svg("<style>@font-face{font-family:a;src:url(//example.com/a)}</style>"),
    "set of pictures": svg("<path style=\"mask:image-set('//example.com/a' 1x)\"/>"),
    "style sheet beside it": svg(before='<?xml-stylesheet href="//example.com/a.css"?>'),
    "animation": svg('<path id="a"/><set href="#a" attributeName="href" to="javascript:alert(1)"/>'),
    "entity": svg("<title>&a;</title>", before='<!DOCTYPE svg [<!ENTITY a "b">]>'),
    "entity from elsewhere": svg(
        "<title>&a;</title>", before='<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    ),
    "billion laughs": svg("<title>&b;</title>", before='<!DOCTYPE svg [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'),
    "many copies": svg('<g id="a"/>' + '<use href="#a"/>' * 21),
    "copies of copies": svg('<g id="a"/><use id="b" href="#a"/><use href="#b"/>'),
    "copies of what contains copies": svg('<use href="#b"/><g id="b"><g><use href="#a"/></g></g><g id="a"/>'),
    "copies with two addresses": svg('<g id="a"/><use id="b" href="#a"/><use href="#c" xlink:href="#b"/>', LINK),
    "endless levels": svg("<g>" * 50 + "</g>" * 50),
    "masks of masks": svg('<mask id="a"/>' + '<mask id="b"><path mask="url(#a)"/></mask>' * 7),
    "clip paths of clip paths": svg('<clipPath id="b"><path style="clip-path:url(#a)"/></clipPath>' * 7),
    "masks that are masked": svg('<mask id="b" mask="url(#a)"/>' * 7),
    "masks of masks by a class": svg('<mask><path class="x a"/></mask>' * 7 + "<style>.b,.a{mask :url(#b)</style>"),
    "masks of masks by a comment": svg('<mask><path style="mask/**/:url(#b)"/></mask>' * 7),
    "masks of masks by other names": svg("<style>path{mask:url(#b)}</style>"),
    "masks of masks by a rule in a rule": svg("<style>.a{.b{fill:red}mask:url(#b)}</style>"),
    "copies of masked parts in a mask": svg(
        '<g id="a"><path mask="url(#b)"/></g><mask id="b"><use href="#c" xlink:href="#a"/></mask>', LINK
    ),
    "style sheet in a style sheet": svg("<style>@im<style/>port '//example.com/a.css';</style>"),
    "page": b"<html><body onload='alert(1)'></body></html>",
    "page in the name of a drawing": b'<html xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>',
    "drawing in a drawing's part": b'<g xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>',
    "drawing of no namespace": b'<svg viewBox="0 0 1 1"/>',
}
"""What is unsafe → an SVG file with it."""
