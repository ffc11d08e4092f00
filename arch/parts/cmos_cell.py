"""The CMOS RPU cell: a capacitor, two current sources that charge and discharge it, a transistor that reads it.

Both sources hang between the supply and ground with the capacitor in the middle. Where a row pulse and a column pulse
meet, the gate logic of the cell turns one of them on for the width t of the pulse: the pFET lifts the voltage by a
step, the nFET lowers it. The voltage moves within its swing S and stands for the weight, +-``weight_bound`` at the
ends; the read transistor turns it into a current when the line is driven. Turned off, both sources still leak.

From the circuit, in SI units, follows what the numbers need (`of_device`, the kernel's cmos-rpu) and what the
clock and the ledger need:

    step        dV = I t / C                                  voltage of one pulse                        (1)
    states      S / dV                                                                                    (2)
    dw_min      2 weight_bound dV / S                         of the stronger source                      (3)
    up_down     1 - I_down / I_up, if I_up is the larger; else I_up / I_down - 1                          (4)
    gamma       (S / 2) / early_voltage                       fall of the current at the end of the swing (5)
    mismatch    sigma(V_T) = matching / sqrt(gate_area), sigma(I) / I = 2 sigma(V_T) / overdrive          (6)
    noise       sqrt(charge_noise^2 + q / (I t))              of one pulse; the second is shot noise      (7)
    retention   tau = C (S / 2) / (2 off_current)             each source leaks off_current at half swing (8)
    its spread  sigma(ln off_current) = sigma(V_T) ln 10 / subthreshold_slope                             (9)
    supply      V = S + 2 overdrive                           both sources stay saturated                 (10)
    update      I t V + logic_capacitance V^2                 joules of a coincidence                     (11)
    read        V_read^2 / read_resistance x time             joules of a driven cell                     (12)
    lines       line_capacitance V^2 per pulse, V_read^2 per read, for each cell that a line crosses      (13)
    standby     off_current V                                 watts: the sources leak in series           (14)
    area        C / capacitor_density + transistors x transistor_area + 2 gate_area                       (15)

Equation 11 takes the charge of a step from the supply whether it goes up or down: an upper bound, by half of it for as
many steps down as up. Capacitor and transistors lie side by side (no trench under the logic). Not modelled: charge that
gates inject, a read-out that is not linear, off currents that do not fall with the voltage, temperature.

Kim, Gokmen, Lee & Haensch, MWSCAS 2017 (arXiv:1706.06620); Li et al., VLSI 2018. Matching: Pelgrom et al., IEEE J.
Solid-State Circuits 24:1433 (1989).
"""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from rpusim.arch.contract.quantity import Amperes, Farads, FaradsPerSquareMetre, Ohms, SquareMetres, VoltMetres, Volts
from rpusim.arch.contract.sourced import Sourced

ELEMENTARY_CHARGE = 1.602176634e-19
"""Coulombs, exact in the SI."""


class CmosCell(Sourced):
    """The circuit of one cell; see the module for what follows from it. Equal cells: spreads are of one transistor."""

    capacitance: Farads = Field(description="of the storage capacitor")
    swing: Volts = Field(description="from the lowest to the highest voltage of the capacitor")
    weight_bound: Annotated[float, Field(gt=0, le=1e3)] = Field(description="the weight at the ends of the swing")
    charging_current: Amperes = Field(description="of the source to the supply, at the middle of the swing")
    discharging_current: Amperes = Field(description="of the source to ground, at the middle of the swing")
    early_voltage: Volts = Field(description="of both sources: how slowly their current falls with their voltage")
    overdrive: Volts = Field(description="of both sources, gate voltage above threshold")
    gate_area: SquareMetres = Field(description="of each source, which sets how well they match")
    matching: VoltMetres = Field(description="Pelgrom's coefficient of the threshold voltage")
    capacitance_spread: Annotated[float, Field(ge=0, lt=1)] = Field(description="relative, from cell to cell")
    charge_noise: Annotated[float, Field(ge=0, le=100)] = Field(description="relative, of a pulse: jitter of its width")
    off_current: Amperes = Field(description="of one source that is off, at half the swing")
    subthreshold_slope: Volts = Field(description="gate voltage per decade of the off current")
    read_resistance: Ohms = Field(description="of the read transistor at the middle of the swing")
    read_voltage: Volts = Field(description="on a driven line while an output line integrates")
    line_capacitance: Farads = Field(description="of a line, per cell that it crosses: wire and gates")
    logic_capacitance: Farads = Field(description="switched by the gates of a cell where two pulses meet")
    transistors: Annotated[int, Field(ge=3, le=1000)] = Field(description="of a cell, sources and read-out included")
    transistor_area: SquareMetres = Field(description="of the layout, for each of them")
    capacitor_density: FaradsPerSquareMetre = Field(description="of the storage capacitor")

    # --- what the numbers need ----------------------------------------------------------------------------------------

    def step(self, width: float) -> float:
        """Equation 1 for the mean of both sources, in volts, for pulses of ``width`` seconds."""
        return (self.charging_current + self.discharging_current) / 2 * width / self.capacitance

    def states(self, width: float) -> float:
        """Equation 2: steps within the swing."""
        return self.swing / self.step(width)

    @property
    def threshold_spread(self) -> float:
        """Equation 6: standard deviation of one transistor's threshold voltage, in volts."""
        return self.matching / math.sqrt(self.gate_area)

    @property
    def retention(self) -> float:
        """Equation 8: seconds in which the mean cell loses all but 1/e of what it holds."""
        return self.capacitance * self.swing / (4 * self.off_current)

    def of_device(self, width: float) -> dict[str, float]:
        """The parameters of the kernel's device ``cmos-rpu``, by name, for pulses of ``width`` seconds."""
        up, down = self.charging_current, self.discharging_current
        strongest = max(up, down)
        per_volt = 2 * self.weight_bound / self.swing
        gamma = self.swing / 2 / self.early_voltage
        shot = math.sqrt(ELEMENTARY_CHARGE / (strongest * width))
        return {
            "dw_min": per_volt * strongest * width / self.capacitance,
            "up_down": 1 - down / up if up >= down else up / down - 1,
            "dw_min_std": math.hypot(self.charge_noise, shot),
            "w_max": self.weight_bound,
            "w_min": -self.weight_bound,
            "gamma_up": gamma,
            "gamma_down": gamma,
            "current_dtod": 2 * self.threshold_spread / self.overdrive,
            "capacitance_dtod": self.capacitance_spread,
            "offset_dtod": per_volt * self.threshold_spread,
            "retention": self.retention,
            "leakage_dtod": self.threshold_spread * math.log(10) / self.subthreshold_slope,
        }

    # --- what the ledger needs ----------------------------------------------------------------------------------------

    @property
    def supply(self) -> float:
        """Equation 10, in volts."""
        return self.swing + 2 * self.overdrive

    @property
    def standby(self) -> float:
        """Equation 14, in watts."""
        return self.off_current * self.supply

    @property
    def area(self) -> float:
        """Equation 15, in square metres."""
        of_transistors = self.transistors * self.transistor_area + 2 * self.gate_area
        return self.capacitance / self.capacitor_density + of_transistors

    def coincidence(self, width: float) -> float:
        """Equation 11, in joules, for pulses of ``width`` seconds."""
        charge = max(self.charging_current, self.discharging_current) * width
        return charge * self.supply + self.logic_capacitance * self.supply**2

    def read(self, seconds: float) -> float:
        """Equation 12, in joules, for ``seconds`` of read-out."""
        return self.read_voltage**2 / self.read_resistance * seconds
