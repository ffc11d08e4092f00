"""The tool that tries mutants, tried itself: on a package of one function with a test that sees one half of it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import trial
from mutations import Mutant, mutants

SOURCE = '''"""Docstrings say 1 < 2."""
from math import ceil

def area(rows: int, columns: int = 3) -> int:
    """Of 4 x 4."""
    assert rows > 0, f"got {rows + 1}"
    if not columns:
        raise ValueError("columns: 0 was given")
    return ceil(rows * columns - 2)
'''


def becomes(source: str) -> set[str]:
    return {mutant.becomes for mutant in mutants("area.py", source)}


class TestMutants:
    def test_are_one_small_mistake_each(self) -> None:
        assert becomes(SOURCE) == {
            "def area(rows: int, columns: int = 4) -> int:",
            "def area(rows: int, columns: int = 2) -> int:",
            "if columns:",
            "if not rows:",
            "return floor(rows * columns - 2)",
            "return ceil((rows * columns + 2))",
            "return ceil((rows * columns))",
            "return ceil(rows - 2)",
            "return ceil(columns - 2)",
            "return ceil(columns * columns - 2)",
            "return ceil(rows * rows - 2)",
            "return ceil(rows * columns - 3)",
            "return ceil(rows * columns - 1)",
        }

    @pytest.mark.parametrize(
        ("line", "mistakes"),
        [
            ("a < b", {"(a <= b)", "(a >= b)"}),
            (
                "0 <= a < b",
                {"(0 < a < b)", "(0 > a < b)", "(0 <= a <= b)", "(0 <= a >= b)", "1 <= a < b", "(-1) <= a < b"},
            ),
            ("a and b", {"(a or b)", "a", "b"}),
            ("-a", {"a"}),
            ("b if a else c", {"(c if a else b)"}),
            ("a if a > b else c", {"a if (a >= b) else c", "(c if a > b else a)"}),
            ("a + b", {"(a - b)", "a", "b"}),
            ("f(a, b, c)", {"f(b, a, c)", "f(a, c, b)"}),
            ("max(a, b)", {"min(a, b)"}),
            ("of('row_pulses') + column_pulses", {"of('column_pulses') + column_pulses"}),
            ("f'{a + b}'", set()),
        ],
    )
    def test_of_a_line(self, line: str, mistakes: set[str]) -> None:
        found = {one.removeprefix("x = ") for one in becomes(f"def f():\n    x = {line}\n")}
        assert mistakes <= found and (mistakes or not found)

    @pytest.mark.parametrize(
        ("line", "mistakes"),
        [
            ("a if a > b else b", {"(b if a > b else a)", "a if (a <= b) else b"}),
            ("b if a <= b else a", {"(a if a <= b else b)", "b if (a > b) else a"}),
        ],
    )
    def test_of_the_larger_of_two_none_asks_whether_they_are_equal(self, line: str, mistakes: set[str]) -> None:
        assert {one.removeprefix("x = ") for one in becomes(f"def f():\n    x = {line}\n")} == mistakes

    def test_of_a_file_of_ours_all_parse_and_none_is_the_file(self) -> None:
        path = trial.ROOT / "arch/parts/inputs.py"
        source = path.read_text(encoding="utf-8")
        made = mutants("arch/parts/inputs.py", source)
        assert len(made) > 20 and len(made) == len(set(made))
        for mutant in made:
            assert ast.dump(ast.parse(mutant.of(source))) != ast.dump(ast.parse(source)), mutant

    def test_every_room_has_code_and_tests(self) -> None:
        for room, tests in trial.ROOMS.items():
            assert trial.found(room)
            assert all((trial.ROOT / test).exists() for test in tests)


class TestTrial:
    @pytest.fixture
    @staticmethod
    def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A checkout of one function; its test does not look at equal numbers."""
        for folder in ("arch", "tests/.dev"):
            (tmp_path / folder).mkdir(parents=True)
        (tmp_path / "tests/.dev/toy.py").symlink_to("../../arch/toy.py")
        (tmp_path / "arch/toy.py").write_text("def less(a, b):\n    return a < b\n")
        (tmp_path / "tests/test_toy.py").write_text("from toy import less\n\ndef test(): assert less(1, 2)\n")
        (tmp_path / "equivalent.yaml").write_text("[]")
        for name, value in (
            ("ROOT", tmp_path),
            ("PACKAGE", ("arch", "tests")),
            ("ROOMS", {"arch": ["tests/test_toy.py"]}),
            ("EQUIVALENT", tmp_path / "equivalent.yaml"),
        ):
            monkeypatch.setattr(trial, name, value)
        return tmp_path

    def test_sees_a_mutant_killed_and_another_survive_and_leaves_the_code_alone(
        self, toy: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = (toy / "arch/toy.py").read_bytes()
        assert trial.main(["--jobs", "1"]) == 1
        said = capsys.readouterr().out
        assert "survived   arch/toy.py less (line 2)\n    return a < b\n    return (a <= b)" in said
        assert "killed     arch/toy.py less (line 2)\n    return a < b\n    return (a >= b)" in said
        assert said.splitlines()[-1].split() == ["all", "1", "1", "0"]
        assert (toy / "arch/toy.py").read_bytes() == before

    def test_leaves_equivalent_ones_out_and_says_which_are_no_longer_there(
        self, toy: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (toy / "equivalent.yaml").write_text(
            "- {where: arch/toy.py less, line: return a < b, because: nobody asks}\n"
            "- {where: arch/toy.py more, line: return a > b, because: nobody asks}\n"
        )
        assert trial.main(["--jobs", "1"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[-2].split() == ["all", "0", "0", "2"]
        assert lines[-1] == "no longer there, take it off equivalent.yaml: arch/toy.py more: return a > b"


def test_the_sample_depends_on_the_seed_alone() -> None:
    every = trial.found("arch/parts")
    first, again, other = (trial.sample(every, 20, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert all(isinstance(mutant, Mutant) for mutant in first) and len(set(first)) == 20
