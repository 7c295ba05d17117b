"""The workbench: one page in the browser over loaded models, for several visitors at once (extra ``ui``).

What visitors do is in modules that know no page (`asking`, `tracing`, `edits`, `run_folders`, `run_details`,
`training_runs`), and is done by recipes. `jobs` lets one work at a time; `visitors` keeps them apart. What they see is
in `page` and its tabs, which alone know gradio.
"""

from obverse.workbench.serving import ServeRequest, run_serve

__all__ = ["ServeRequest", "run_serve"]
