"""The notebooks run from start to end on what is installed, show their plots, and are kept in a form that diffs."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "models" / "notebooks").glob("*.ipynb"))
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
CELL_SECONDS_MAX = 300
PLOTS = {"language": 4, "lsh": 4, "vision_and_joint": 4}

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


def test_there_is_a_notebook_for_language_one_for_vision_and_one_for_lsh() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(PLOTS)


@each_notebook
def test_a_notebook_is_kept_without_outputs_and_in_one_form(path: Path) -> None:
    """Clear all outputs before you commit, and write it again as `json.dumps(..., indent=1, sort_keys=True)` does."""
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)

    assert notebook["metadata"] == METADATA
    for cell in notebook["cells"]:
        assert cell["metadata"] == {}, cell["id"]
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", cell["id"]), f"{cell['id']} says nothing of its cell"
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None), cell["id"]
    assert text == json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    nbformat.validate(nbformat.reads(text, as_version=4))


@pytest.mark.slow
@each_notebook
def test_a_notebook_runs_from_start_to_end_and_shows_its_plots(
    path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In a kernel of its own, as an editor runs it; a warning on standard error would be seen by its reader."""
    notebook = nbformat.read(path, as_version=4)
    environment = os.environ | {
        "SIGHTLINE_DATA_DIR": str(tmp_path_factory.getbasetemp() / "notebooks"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    client = NotebookClient(
        notebook, timeout=CELL_SECONDS_MAX, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute(env=environment)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]

    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    assert sum("image/png" in output.get("data", {}) for output in outputs) == PLOTS[path.stem]
