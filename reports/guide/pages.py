"""The page on the experiment file: its fields as they are, with what is to be said beside them.

`make shipped` writes it anew; a test keeps it equal to the fields.
"""

from __future__ import annotations

from pathlib import Path

from rpusim.reports.guide.fields import Field, fields

_BEGINNING = """# The experiment file

An experiment is a YAML file that says all that a run depends on: network, data, chip, device, recipe, and seed. The
same file gives the same result, byte for byte.

    rpusim new experiment --like fcn-digits --out mine.yaml    # a commented file to begin with
    rpusim run mine.yaml                                       # train, time and price it
    rpusim run mine.yaml --epochs 3 --set management.bl=10     # with some fields changed
    rpusim run mine.yaml --network cnn.py:build --data data.py:load --chip mine-chip.yaml
    rpusim explain management.bl                               # what a field means

`cnn.py:build` is a function without arguments that returns (module, shape of one sample), `data.py:load` one that
returns samples and labels ([Data](data.md)); a chip is a preset or a file ([Add a chip](add-a-chip.md)), a device a
preset, or a mapping with `model` and its parameters ([Add a device](add-a-device.md)). All that is wrong in a file is
told at once, with what is accepted. Each block says in `source` where its numbers come from, and in `sources` so for
single fields.

Experiments that ship lie in `workloads/zoo/experiments`; each of them is an example. From Python:

```python
import rpusim

experiment = rpusim.Experiment.model_fields  # what is in the table below
assert {"network", "data", "chip", "device", "recipe"} <= set(experiment)
```

## Fields

Fields without a default have to be given.

| field | what it is | accepted | default |
|---|---|---|---|
"""


def experiment_page() -> str:
    """Return the text of docs/experiment-file.md."""
    every = (field for field in fields() if field.path.startswith("experiment."))
    rows = (field for field in every if field.name not in ("source", "sources"))
    return _BEGINNING + "".join(map(_row, rows))


def _row(field: Field) -> str:
    path = field.path.removeprefix("experiment.")
    accepted = "a block" if field.accepted.startswith("a block") else field.accepted
    cells = (f"`{path}`", field.meaning, accepted, f"`{field.default}`" if field.default else "")
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    page = Path(__file__).resolve().parents[2] / "docs" / "experiment-file.md"
    page.write_text(experiment_page(), encoding="utf-8")
