"""A page of a report, read and checked: its tags nest, and what it holds can be looked at."""

from html.parser import HTMLParser

VOID = {"meta", "br", "input", "link", "img", "hr", "col"}


class CheckedPage(HTMLParser):
    """Collects what a page holds, and fails on tags that do not nest."""

    def __init__(self, page):
        super().__init__()
        self.open, self.attributes, self.values, self.scripts, self.tags = [], [], [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    @property
    def json(self):
        """The data of a page that has no other script."""
        (data,) = self.scripts
        return data

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "data":
            self.values.append(float(dict(attrs)["value"]))
        if tag == "script":
            self.scripts.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["script"]:
            self.scripts[-1] += data
