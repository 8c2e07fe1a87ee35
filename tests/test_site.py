"""Pages of executed notebooks: complete, and readable without a network."""

import json
import re

import pytest
from toys import RECORD, workbook

import lib
from lib import run, site

PICTURE = """
import matplotlib.pyplot as plt
from IPython.display import Markdown
plt.plot([1, 2]); plt.show()
Markdown("The mean is $\\\\mu < 1$.")
"""


@pytest.mark.slow
def test_pages_need_no_network(tmp_path, monkeypatch, capsys):
    root = workbook(tmp_path / "root", PICTURE, RECORD)
    monkeypatch.setattr(lib, "ROOT", root)
    monkeypatch.delenv("WORKBOOK_OUT", raising=False)
    assert site.main() == 1
    assert "no results yet" in capsys.readouterr().err
    folder = run.run("toy", in_process=True, quiet=True)
    (folder / "claims.json").write_text(json.dumps({"claims": [{"verdict": "holds"}, {"verdict": "not tested"}]}))
    assert site.main() == 0
    index, text = ((root / "site" / name).read_text() for name in ("index.html", "mini/toy.html"))
    assert '<a href="mini/toy.html">toy</a></td><td>mini</td><td>holds, not tested</td>' in index
    assert "data:image/png;base64" in text
    assert "mu" in text
    for content in (index, text):
        assert not re.findall(r"""(?:src|href)=["']?https?:""", content)
        assert "<script" not in content
