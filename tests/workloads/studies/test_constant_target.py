"""The constant-target task: which algorithms stand a reference that misses the symmetry point."""

import pytest

from rpusim.errors import InputError
from rpusim.workloads.studies.constant_target import run


@pytest.mark.slow
def test_choppers_and_dynamic_references_stand_an_offset_that_spoils_tiki_taka_2():
    """Weight errors with 20 states, as shares of the largest weight.

    Published (Rasch et al. 2024): SGD above 25 %; TTv2 5 % without offset and 9 % from 0.1; c-TTv2 nearly flat to 0.5;
    AGAD flat. The order holds here; TTv2 gives way at a larger offset, between 0.1 and 0.2, and SGD errs by 17 %.
    """

    def error(algorithm, offset):
        return run(algorithm, offset).weight_error

    perfect = {name: error(name, 0.0) for name in ("ttv2", "c-ttv2", "agad")}
    assert all(0.03 < value < 0.07 for value in perfect.values())
    assert error("sgd", 0.0) > 2.5 * max(perfect.values())
    assert error("ttv2", 0.2) > 1.2 * perfect["ttv2"] and error("ttv2", 0.5) > 4 * perfect["ttv2"]
    assert error("c-ttv2", 0.1) < 1.25 * perfect["c-ttv2"] and error("c-ttv2", 0.5) < 2.0 * perfect["c-ttv2"]
    assert error("agad", 0.5) == pytest.approx(perfect["agad"], rel=0.1)


def test_an_unknown_algorithm_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="algorithm: 'ttv3' is unknown; did you mean 'ttv2'"):
        run("ttv3", 0.0)
