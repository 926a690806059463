"""The documentation as a site: ``sphinx-build -W docs OUT``, with ``pip install ".[docs]"``.

The pages are the Markdown files beside this one, which `tests/test_docs.py` runs; the reference is made of the
docstrings of what each module lists in ``__all__``.
"""

import importlib.metadata
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

project = "xpgrad"
author = "the xpgrad developers"
version = release = importlib.metadata.version("xpgrad")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
default_role = "py:obj"
nitpicky = False

autosummary_ignore_module_all = False
autosummary_imported_members = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
# The form of docstrings. One that refers to another function's ("Parameters are those of ...") need not repeat
# its sections; "See also" and "Examples" stand where they help.
numpydoc_validation_checks = {
    *(f"GL{n:02}" for n in (1, 2, 3, 5, 6, 7, 8, 9, 10)),
    *("SS01", "SS02", "SS04", "PR02", "PR03", "PR05", "PR06", "PR10"),
}
# Constructors are documented with their class, the fields of records among its attributes.
numpydoc_validation_exclude = {
    r"\.__init__$",
    r"\.(Fit|Info|Optimizer|Record|IvpResult|Tolerance|Expected|Program)\.\w+$",
}
# Labels in what estimators inherit from scikit-learn's docstrings.
suppress_warnings = ["ref.ref"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4

html_theme = "furo"
html_title = "xpgrad"
html_static_path = []


def _read(app, name, source):
    """The front page is the README; links to files outside of the pages are to the files themselves."""
    if name == "index":
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        readme = re.sub(r"\]\((?!\w+:|#|docs/)", "](../", readme)
        source[0] = source[0].replace(
            "<!-- README -->", readme.replace("](docs/decisions)", "](docs/decisions/index.md)")
        )
        source[0] = source[0].replace("](docs/", "](")
    up = "../" * (name.count("/") + 1)
    source[0] = re.sub(rf"\]\(({re.escape(up)}[^)#\s]+\.md)\)", r"](path:\1)", source[0])
    source[0] = re.sub(r"\]\((?:\.\./)?decisions/?\)", "](decisions/index.md)", source[0])


def _index(app, error):
    """`llms.txt`: each page with its title and first sentence, and where its source lies in the site."""
    if error or app.builder.format != "html":
        return
    lines = ["# xpgrad", ""]
    for name in sorted(app.env.found_docs):
        if name == "index" or name.startswith("_generated/"):
            continue
        title = app.env.titles[name].astext()
        text = Path(app.env.doc2path(name)).read_text(encoding="utf-8").partition("\n")[2].strip()
        first = "" if text.startswith(("#", "`", "|", "-")) else " ".join(text.partition("\n\n")[0].split())
        lines.append(f"- [{title}](_sources/{name}.md.txt)" + (f": {first}" if first else ""))
    (Path(app.outdir) / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def setup(app):
    """Called by Sphinx."""
    app.connect("source-read", _read)
    app.connect("build-finished", _index)
