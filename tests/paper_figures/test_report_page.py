"""The report as Markdown: the paper's sections first, failures and edits said, pictures by relative address."""

from eigensam.paper_figures.item import Claim
from eigensam.paper_figures.report_page import write_page
from eigensam.paper_figures.section import Section
from eigensam.paper_figures.verdict import decide


def test_page(tmp_path):
    claims = [Claim("a | b", "yes", "2", decide(True, "2 > 1"))]
    files = {"png": tmp_path / "a b.png"}
    broken = Section("broken", "broken", "Broken", failed="no data; give --data-root")
    good = Section(
        "a", "a", "Good", in_the_paper=True, alt="λ₁ [falls]", claims=claims, made_with={"torch": "2.9"}, files=files
    )
    edited = Section("b", "b", "Edited", edited=True, claims=claims, files=files)
    write_page(tmp_path / "report.md", [broken, good, edited])
    text = (tmp_path / "report.md").read_text()
    assert text.index("# Good") < text.index("# Broken") < text.index("# Edited") < text.index("**Edited by hand:**")
    assert "**This was not measured.** no data; give --data-root" in text
    assert "| a \\| b | yes | 2 | reproduced | 2 > 1 |" in text
    assert "![λ₁ \\[falls\\]](a%20b.png)" in text
    assert "Measured with: torch 2.9." in text
