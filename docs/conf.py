"""The documentation as a site: sphinx-build -W -b html docs site, after pip install '.[docs]'."""

from kerasprov_agent.version import __version__

project = "kerasprov_agent"
release = version = __version__
extensions = ["myst_parser"]
exclude_patterns = ["*.py"]
html_theme = "furo"
html_title = f"kerasprov_agent {__version__}"
html_copy_source = False
html_show_copyright = False
myst_heading_anchors = 3
nitpicky = True
suppress_warnings = ["misc.highlighting_failure"]  # `!pip` in Python, paths in SPARQL
