"""What is done to pages while the documentation is built: formulas become MathML, flags stay whole."""

import pytest
from scripts.docs_flags import on_page_content


def test_flags_in_code_do_not_wrap():
    assert on_page_content("<code>a --sub-ject b</code>") == '<code>a <span class="flag">--sub-ject</span> b</code>'
    quoted = on_page_content('<code class="x--y">run <span class="s1">"co-op" -m</span></code>')
    assert quoted == '<code class="x--y">run <span class="s1">"co-op" -m</span></code>'
    assert on_page_content("<code>run -m <b>x-y</b></code>").count("flag") == 1
    assert on_page_content("<p>--flag</p>") == "<p>--flag</p>"


def test_formulas_outside_of_code_become_mathml():
    math = pytest.importorskip("scripts.docs_math", exc_type=ImportError)
    apart = math.on_page_markdown("$$ a\n  = b $$\n")
    assert apart.startswith('<div class="formula"><math')
    assert 'display="block"' in apart
    inline = math.on_page_markdown(r"| eq. 2 | $R(-\vert m \vert)$, $k_*$ |")
    assert inline.count("<math") == 2
    assert inline.count("|") == 3, "the bars of the table; those of the formula are written otherwise"
    for code in ("```sh\necho $A and $B\n```", "`$A and $B`", "it costs $5 or $ 6"):
        assert math.on_page_markdown(code) == code
