"""Keep the flags of a command whole where its line wraps: browsers break after a hyphen."""

import re

_CODE = re.compile(r"<code>.*?</code>", re.DOTALL)
_FLAG = re.compile(r"(?<![\w<-])(--?[a-z][\w-]*)(?![^<]*>)")


def on_page_content(html: str, **_: object) -> str:
    """Put every flag inside code into a span that does not wrap. Called by mkdocs for each page."""
    return _CODE.sub(lambda code: _FLAG.sub(r'<span class="flag">\1</span>', code[0]), html)
