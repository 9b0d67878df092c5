"""Texts from outside keep their words and lose their power in Markdown, LaTeX and Typst."""

from __future__ import annotations

import pytest

from pefuse.report.escaping import latex_text, markdown_cell, typst_string


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("site_A & 5 %", r"site\_A \& 5 \%"),
        (r"C:\new {x} $1 #2", r"C:\textbackslash{}new \{x\} \$1 \#2"),
        ("~ ^ < > |", r"\textasciitilde{} \textasciicircum{} \textless{} \textgreater{} \textbar{}"),
        ("0.1 ± 0.2, −0.3–0.4, ≥ 5 µg", r"0.1 $\pm$ 0.2, $-$0.3--0.4, $\geq$ 5 $\mu$g"),
        ("Zürich, Łódź", "Zürich, Łódź"),
        ("中", "?"),
    ],
)
def test_latex_sees_words_alone(text, written):
    assert latex_text(text) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a|b", r"a\|b"),
        ("*bold* `code`", r"\*bold\* \`code\`"),
        ("_leaning_ words_with_marks", r"\_leaning\_ words_with_marks"),
        ("[link](address)", r"[link\](address)"),
        ("0.84 [0.67–0.93]", "0.84 [0.67–0.93]"),
        ("<script>", r"\<script>"),
        ("two\nlines", "two lines"),
    ],
)
def test_markdown_sees_words_alone(text, written):
    assert markdown_cell(text) == written


def test_typst_sees_a_string():
    assert typst_string('a "b" \\ #c\n$d$') == '"a \\"b\\" \\\\ #c\\n$d$"'
