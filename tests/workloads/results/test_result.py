"""A result is a mapping of its document, read-only."""

import copy
import json
import pickle
from collections.abc import Mapping

import pytest

from rpusim.workloads.results.result import Result

DOCUMENT = {"time": {"total_s": 1.0}, "energy": {"total_J": 2.0}, "network": "n", "chip": "c"}


def test_it_reads_as_its_document():
    result = Result(DOCUMENT, None, ())
    assert isinstance(result, Mapping)
    assert "time" in result and "endurance" not in result and 0 not in result
    assert list(result) == list(result.keys()) == list(DOCUMENT)
    assert len(result) == 4 and result
    assert dict(result) == dict(result.items()) == {**result} == DOCUMENT
    assert list(result.values()) == list(DOCUMENT.values())
    assert result.get("time") == {"total_s": 1.0} and result.get("endurance", 3) == 3
    with pytest.raises(KeyError, match="endurance"):
        result["endurance"]
    match result:
        case {"time": {"total_s": seconds}}:
            assert seconds == 1.0


def test_it_equals_what_holds_the_same():
    result = Result(DOCUMENT, None, ())
    assert result == Result(dict(DOCUMENT), None, ("another",)) == DOCUMENT
    assert result != Result(DOCUMENT | {"network": "m"}, None, ())
    assert result != 3
    for copied in (copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert copied == result and type(copied) is Result


def test_it_is_read_only():
    result = Result(DOCUMENT, None, ())
    with pytest.raises(TypeError):
        result["time"] = {}
    with pytest.raises(TypeError):
        del result["time"]
    with pytest.raises(AttributeError):
        result.document = {}
    assert not hasattr(result, "pop") and not hasattr(result, "update")
    assert result == DOCUMENT


def test_names_that_are_no_text_are_written_as_escapes():
    result = Result({"chip": "c\udce9.yaml", "µ": ["\ud800", float("inf")]}, None, ())
    assert result.document == {"chip": "c\\udce9.yaml", "µ": ["\\ud800", "inf"]}
    json.dumps(result.document, ensure_ascii=False).encode()
