"""The drawing of learning curves: one panel per algorithm, on a common logarithmic scale."""

import xml.etree.ElementTree as ElementTree

from rpusim.reports.curves.learning import draw

SVG = "{http://www.w3.org/2000/svg}"


def outcomes(**curves):
    return [
        {"algorithm": name, "seed": seed, "errors": errors}
        for name, of_seeds in curves.items()
        for seed, errors in enumerate(of_seeds)
    ]


def heights(path):
    return [float(point.split(",")[1]) for point in path.get("d").strip("MZ").split("L")]


def test_every_algorithm_has_a_panel_with_mean_band_and_floating_point():
    curves = {"floating-point": [[0.5, 0.1]], "agad": [[0.8, 0.1], [0.4, 0.3]]}
    root = ElementTree.fromstring(draw(outcomes(**curves)))
    names = [text.text for text in root.iter(f"{SVG}text") if text.get("class") == "name"]
    assert names == list(curves)
    drawn = [path.get("class") for path in root.iter(f"{SVG}path")]
    assert drawn == ["band", "line", "band", "reference", "line"]
    assert "agad ends at 20.0%" in root.find(f"{SVG}title").text


def test_a_tenth_is_halfway_between_one_and_a_hundred_percent():
    root = ElementTree.fromstring(draw(outcomes(sgd=[[1.0, 0.1, 0.01, 0.0]])))
    (line,) = (path for path in root.iter(f"{SVG}path") if path.get("class") == "line")
    top, middle, bottom, none = heights(line)
    assert middle - top == bottom - middle > 0
    assert none == bottom  # an error below one percent stays on the frame
