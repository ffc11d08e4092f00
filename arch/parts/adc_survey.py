"""A converter estimated from B. Murmann's survey of published ADCs, where no card of a real one fits.

The regression is that of the ADC plug-in of Accelergy (adc_data/model.yaml of 2024, which CiMLoop uses too): the line
that the best published designs reach, so an OPTIMISTIC ENVELOPE in energy and in area; ISAAC's converter is smaller and
Haensch's takes 46 times as much energy. With SNDR = 6.02 bits + 1.76 dB (1),

  FoM     = min(213.78 - 2.872 ln f, 128.31 + 3.2205 bits)  dB, Schreier's figure of merit at the mean node      (2)
  energy  = 10^((SNDR - FoM) / 10) / 2 * exp(24.5794 + 1.8800 ln node - 2.8291 ln bits)                          (3)
  area    = exp(1.3462 + 0.9933 ln node + 0.1807 ln f + 0.2991 ln energy)                                        (4)

with f in Hz, node in nm, energy in pJ per conversion and area in um2. Bits are effective ones; one converter works at
the full rate. Not modelled: interleaving, input drivers, references, calibration.
"""

from __future__ import annotations

from math import exp, log, log10
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag

from rpusim.arch.contract.quantity import Metres
from rpusim.arch.contract.sourced import Frozen
from rpusim.arch.parts.part import Card
from rpusim.errors import InputError

SOURCE = (
    "regression over Murmann's ADC survey (accelergy-adc-plug-in, adc_data/model.yaml of 2024), evaluated for this "
    "converter; an optimistic envelope of the best published designs"
)
BITS, RATES, NODES = (4, 16), (1e3, 1e10), (7e-9, 250e-9)
"""From where to where there are published designs to speak of; rates in S/s, nodes in m."""


def energy_per_conversion(bits: float, rate: float, node: float) -> float:
    """Compute the joules of one conversion, by equations (1) to (3).

    bits: effective resolution. rate: conversions per second. node: technology node in metres.
    """
    return _picojoules(bits, rate, node * 1e9) * 1e-12


def area_of_converter(bits: float, rate: float, node: float) -> float:
    """Compute the square metres of one converter, by equation (4); arguments as for `energy_per_conversion`."""
    nanometres = node * 1e9
    energy = _picojoules(bits, rate, nanometres)
    return exp(1.3461916 + 0.99327947 * log(nanometres) + 0.18071539 * log(rate) + 0.29912426 * log(energy)) * 1e-12


def _picojoules(bits: float, rate: float, nanometres: float) -> float:
    signal_to_noise = 20 * bits * log10(2) + 10 * log10(1.5)
    figure_of_merit = min(213.7806687 - 2.87190304 * log(rate), 128.3068287 + 3.22051150 * bits)
    correction = exp(26.0496216 - 1.4702022 + 1.88003692 * log(nanometres) - 2.82912561 * log(bits))
    return 10 ** ((signal_to_noise - figure_of_merit) / 10) / 2 * correction


class Estimate(Frozen):
    """In place of a card's name, ask for the card of a converter as good as the best published ones.

    estimate:  names the survey.
    node:      technology node, in metres.
    """

    estimate: Literal["murmann-survey"]
    node: Metres

    def card(self, bits: int, rate: float) -> Card:
        """Make the card of one converter.

        bits: its resolution, taken to be effective.
        rate: conversions per second.
        Raises `InputError` beyond what was published.
        """
        for what, value, (low, high), unit in (
            ("bits", bits, BITS, "bits"),
            ("rate", rate, RATES, "S/s"),
            ("card.node", self.node, NODES, "m"),
        ):
            if not low <= value <= high:
                raise InputError(
                    f"{what}: got {value:g} {unit}, but the survey's estimate holds from {low:g} to {high:g} {unit}; "
                    "name a cost card instead"
                )
        return Card.model_validate(
            {
                "name": f"{self.estimate}({bits} bits, {rate / 1e6:g} MS/s, {self.node * 1e9:g} nm)",
                "part": "ADC",
                "unit": f"one {bits}-bit converter",
                "node": f"{self.node * 1e9:.6g} nm",
                "basis": "derived",
                "energy": {"convert": f"{energy_per_conversion(bits, rate, self.node) * 1e12:.6g} pJ"},
                "area": f"{area_of_converter(bits, rate, self.node) * 1e12:.6g} um2",
                "leakage": "0 W",
                "zero_because": {"leakage": "the survey has one power per converter; all of it is in the conversions"},
                "rated_bits": bits,
                "rated_rate": f"{rate:.15g} S/s",
                "source": SOURCE,
            }
        )


class Scaled(Frozen):
    """In place of a card's name, ask for its figures brought to the converter's own bits and rate.

    Energy and area change by the ratios of equations (3) and (4), which do not depend on the node; power while the
    converter waits goes with energy x rate, leakage with area. So a converter stays as good or bad as the one that the
    card describes, seen from the line of the best published designs.

    scaled:  the card's name.
    """

    scaled: str

    def card(self, bits: int, rate: float, measured: Card) -> Card:
        """Make the card of one converter.

        bits:      its resolution, taken to be effective.
        rate:      conversions per second.
        measured:  the card called ``scaled``, which says for which converter its figures are.

        Raises `InputError` if that card is of no converter, or one of the two is beyond what was published.
        """
        if measured.rated_bits is None or measured.rated_rate is None:
            raise InputError(f"card.scaled: card {measured.name} does not say for how many bits and which rate it is")
        for name, value, own in (("bits", bits, measured.rated_bits), ("rate", rate, measured.rated_rate)):
            limits = {"bits": BITS, "rate": RATES}[name]
            for given in (value, own):
                if not limits[0] <= given <= limits[1]:
                    raise InputError(
                        f"{name}: card {measured.name} ({own:g}) cannot be scaled to {value:g}, as the survey's law "
                        f"holds from {limits[0]:g} to {limits[1]:g}; name a cost card of such a converter"
                    )
        was, node = (measured.rated_bits, measured.rated_rate), measured.node
        energy = energy_per_conversion(bits, rate, node) / energy_per_conversion(*was, node)
        area = area_of_converter(bits, rate, node) / area_of_converter(*was, node)
        power = energy * rate / measured.rated_rate
        update: dict[str, Any] = {
            "name": f"{measured.name} ({bits} bits, {rate / 1e6:g} MS/s)",
            "unit": f"one {bits}-bit converter",
            "basis": "assumption",
            "energy": {name: joules * energy for name, joules in measured.energy.items()},
            "power": None if measured.power is None else measured.power * power,
            "area": measured.area * area,
            "leakage": measured.leakage * area,
            "idle": None if measured.idle is None else measured.idle * power,
            "ranges": {},
            "rated_bits": bits,
            "rated_rate": rate,
            "source": f"scaled from {was[0]} bits, {was[1] / 1e6:g} MS/s by the ratio of the regression over Murmann's "
            f"ADC survey; {measured.source}",
        }
        return measured.model_copy(update=update)


def _which(given: object) -> str:
    """Tell pydantic by a tag which one was given, so that its errors are about that one only."""
    if isinstance(given, Scaled) or (isinstance(given, dict) and "scaled" in given):
        return "Scaled"
    return "Estimate" if isinstance(given, dict | Estimate) else "str"


CardOrEstimate = Annotated[
    Annotated[str, Tag("str")] | Annotated[Estimate, Tag("Estimate")] | Annotated[Scaled, Tag("Scaled")],
    Discriminator(_which),
]
"""What a block's ``card`` may be: a mapping is an `Estimate` or `Scaled`, everything else the name of a card."""
