"""What `rpusim run --device-type` says where there is no GPU, and of what is computed on the CPU only."""

from __future__ import annotations

import pytest
import torch


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is missing where there is no GPU")
def test_a_machine_without_a_gpu_says_so_in_one_sentence(rpusim, tmp_path):
    shown = rpusim("run", "--device-type", "cuda", "--out", tmp_path / "run")
    assert shown.status == 2 and not (tmp_path / "run").exists()
    assert "--device-type: cuda was given, but torch" in shown.stderr.replace("\n", " ")


def test_studies_are_computed_on_the_cpu(rpusim):
    shown = rpusim("run", "--device-type", "cuda", "--seeds", "2")
    assert shown.status == 2 and "was given for a study" in shown.stderr.replace("\n", " ")
