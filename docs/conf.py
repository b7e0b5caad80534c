"""Settings of the documentation; `nox -s docs` builds it."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

# The notebooks live at the top of the repository; Sphinx reads only what lies below this folder.
shutil.rmtree(HERE / "notebooks", ignore_errors=True)
(HERE / "notebooks").mkdir()
for notebook in sorted((HERE.parent / "notebooks").glob("*.ipynb")):
    shutil.copy2(notebook, HERE / "notebooks")

project = "modulae"
author = "The modulae developers"
copyright = f"2026, {author}"
release = installed_version("modulae")
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "mathml",
    "pictures",
    "myst_nb",
]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
default_role = "code"  # in docstrings, `x` is code

# Only references into modulae are held to exist: the others need the network.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!modulae).*")]
if "READTHEDOCS" in os.environ:
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "anndata": ("https://anndata.readthedocs.io/en/stable/", None),
        "matplotlib": ("https://matplotlib.org/stable/", None),
        "numpy": ("https://numpy.org/doc/stable/", None),
        "pandas": ("https://pandas.pydata.org/docs/", None),
        "python": ("https://docs.python.org/3", None),
        "scanpy": ("https://scanpy.readthedocs.io/en/stable/", None),
    }

autosummary_generate = True
autodoc_typehints = "signature"
python_maximum_signature_line_length = 80  # then one parameter a line
napoleon_google_docstring = False
napoleon_custom_sections = ["Returns"]  # plain text here: sentences, then a list of the fields that are set

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = os.environ.get("MODULAE_DOCS_EXECUTE", "off")  # "off": as stored; "force": run every notebook
nb_execution_raise_on_error = True
nb_execution_timeout = 900
nb_merge_streams = True

html_theme = "pydata_sphinx_theme"
html_title = f"modulae {release}"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["modulae.css"]
html_show_sourcelink = False
toc_object_entries = False  # names of constants are wider than the column
templates_path = ["_templates"]
html_theme_options = {
    "github_url": "https://github.com/modulae/modulae",
    "navigation_with_keys": False,
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
}
html_sidebars = {"**": ["contents"]}
