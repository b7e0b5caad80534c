"""Run every notebook from top to bottom, without a network; skip one whose data are not there, and say why.

`python notebooks/run.py` checks them, `python notebooks/run.py --inplace` also keeps the new outputs, and
`python notebooks/run.py 03` runs those whose names begin so.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent


def missing(notebook: nbformat.NotebookNode) -> list[str]:
    """Name the data files that the notebook needs and that are not there."""
    folder = os.environ.get("MODULAE_DATA")
    needs = notebook.metadata.get("modulae", {}).get("needs", [])
    return [name for name in needs if folder is None or not (Path(folder) / name).is_file()]


def main() -> None:
    """Run them in the order of their names; the first error ends it."""
    os.environ.pop("MPLBACKEND", None)  # a notebook draws inline, whatever the shell is set to
    chosen = tuple(word for word in sys.argv[1:] if not word.startswith("-")) or ("",)
    for path in sorted(path for path in HERE.glob("*.ipynb") if path.name.startswith(chosen)):
        notebook = nbformat.read(path, as_version=4)
        if absent := missing(notebook):
            print(f"{path.name}: skipped, needs {', '.join(absent)} in the folder that MODULAE_DATA names", flush=True)
            continue
        NotebookClient(notebook, timeout=1200, kernel_name="python3", record_timing=False).execute(cwd=str(HERE))
        if "--inplace" in sys.argv:
            for cell in notebook.cells:
                if "outputs" in cell:  # what libraries grumble about depends on the machine
                    cell["outputs"] = [out for out in cell["outputs"] if out.get("name") != "stderr"]
            nbformat.write(notebook, path)
        print(f"{path.name}: ran", flush=True)


if __name__ == "__main__":
    main()
