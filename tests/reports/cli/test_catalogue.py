"""What `rpusim presets` lists is what ships."""

from __future__ import annotations

from rpusim.reports.cli.catalogue import KINDS, catalogue, collected


def test_the_list_is_what_is_collected():
    assert catalogue() == collected(), "the list is not as it ships; `make shipped` writes it anew"
    assert tuple(catalogue()) == KINDS


def test_a_cost_card_says_part_node_cost_and_where_it_stands():
    (card,) = (each for each in catalogue()["cards"] if each["name"] == "isaac-2016/adc")
    assert card["part"] == "ADC" and card["node"] == "32.0 nm"
    assert card["path"] == "arch/chips/cards/isaac-2016.yaml"
    assert "2.00 mW while busy" in card["title"] and "ISAAC" in card["source"]
