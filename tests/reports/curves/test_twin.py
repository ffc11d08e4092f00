"""The drawing of the blind prediction: a panel for each case, with median and band."""

import xml.etree.ElementTree as ElementTree

from rpusim.reports.curves.twin import draw

SVG = "{http://www.w3.org/2000/svg}"


def test_every_case_has_a_panel_with_median_and_band():
    figures = {"weights 10 %": "0.01", "weights 50 %": "0.1", "weights 90 %": "1.0"}
    rows = [{"case": case, "update": str(update), **figures} for case in ("agad", "ttv2") for update in (0, 20)]
    root = ElementTree.fromstring(draw(rows))
    names = [text.text for text in root.iter(f"{SVG}text") if text.get("class") == "name"]
    assert names == ["agad", "ttv2"]
    assert [path.get("class") for path in root.iter(f"{SVG}path")] == ["band", "line", "band", "line"]
    assert "agad ends at 0.1;" in root.find(f"{SVG}title").text
    band, line = list(root.iter(f"{SVG}path"))[:2]
    heights = [float(point.split(",")[1]) for point in band.get("d").strip("MZ").split("L")]
    middle = float(line.get("d").strip("M").split("L")[0].split(",")[1])
    assert abs(middle - sum(heights) / len(heights)) < 0.2  # a tenth lies halfway between a hundredth and 1
