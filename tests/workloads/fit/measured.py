"""Make measured curves of devices whose truth is known: the files that docs/own-device.md fits, and those of the tests.

    python measured.py        writes soft.csv (soft bounds, 12 devices), ecram.csv (linear steps, 8 devices) and
                              single.csv (a power law, one device, without noise of writing)

Cells are drawn and pulsed by rpusim's own device models; every curve begins at a bound's side and has readings before
the first pulse and after every one. A conductance is 25 uS + 20 uS times the weight.
"""

from __future__ import annotations

import csv
from pathlib import Path

import torch

from rpusim.kernels.devices import LinearStep, PowStep, PulsedDevice, SoftBounds

REFERENCE, UNIT = 25.0, 20.0
"""In uS: the conductance of weight 0, and what a weight of 1 is more."""
SOFT = SoftBounds(
    dw_min=0.05,
    dw_min_dtod=0.15,
    dw_min_std=0.2,
    up_down=0.3,
    up_down_dtod=0.05,
    w_max=1.1,
    w_min=-1.0,
    w_max_dtod=0.08,
    w_min_dtod=0.08,
    write_noise_std=0.2,
)
ECRAM = LinearStep(
    dw_min=0.03,
    dw_min_dtod=0.1,
    dw_min_std=0.3,
    up_down_dtod=0.03,
    w_max=1.0,
    w_min=-1.0,
    w_max_dtod=0.05,
    w_min_dtod=0.05,
    gamma_up=0.4,
    gamma_down=0.7,
    write_noise_std=0.0,
)
SINGLE = PowStep(
    dw_min=0.06,
    dw_min_dtod=0.0,
    dw_min_std=0.1,
    up_down=-0.2,
    up_down_dtod=0.0,
    w_max=1.0,
    w_min=-1.0,
    w_max_dtod=0.0,
    w_min_dtod=0.0,
    pow_gamma=2.0,
    pow_gamma_dtod=0.0,
)


def curves(
    device: PulsedDevice, devices: int, cycles: int, pulses: int, seed: int
) -> list[tuple[int, int, str, list[float]]]:
    """Pulse sampled cells up and then down: rows of device, cycle, direction and the readings (pulses + 1), in weight.

    A cycle goes on where the one before it ended; the first up curve begins at 0.9 of the lower bound.
    """
    numbers = torch.Generator().manual_seed(seed)
    cells = device.sample(1, devices, (seed,))
    shape = (1, devices)
    weight = 0.9 * cells.bound_min
    found = []

    def read() -> list[float]:
        return (weight + device.write_noise * torch.randn(shape, generator=numbers))[0].tolist()

    for cycle in range(cycles):
        for way, up in (("up", True), ("down", False)):
            rows = [read()]
            for _ in range(pulses):
                noise = device.dw_min_std * torch.randn(shape, generator=numbers)
                step = device.step(weight, noise, *cells.parameters(up))
                weight = cells.clip(weight + step if up else weight - step)
                rows.append(read())
            found += [(number, cycle, way, [row[number] for row in rows]) for number in range(devices)]
    return found


def write_long(path: Path, rows: list[tuple[int, int, str, list[float]]], digits: int = 4) -> Path:
    """Write curves in the long form, conductances in uS."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["device", "cycle", "direction", "pulse", "conductance_uS"])
        for device, cycle, way, readings in rows:
            for pulse, weight in enumerate(readings):
                writer.writerow([device + 1, cycle + 1, way, pulse, f"{REFERENCE + UNIT * weight:.{digits}f}"])
    return path


def write_wide(path: Path, rows: list[tuple[int, int, str, list[float]]], digits: int = 4) -> Path:
    """Write curves of one device as columns beside each other, conductances in uS."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["pulse", *(f"G_{way}_cycle{cycle + 1}_uS" for _, cycle, way, _ in rows)])
        for pulse, weights in enumerate(zip(*(readings for *_, readings in rows), strict=True)):
            writer.writerow([pulse, *(f"{REFERENCE + UNIT * weight:.{digits}f}" for weight in weights)])
    return path


def write(folder: Path) -> None:
    """Write the three files of docs/own-device.md."""
    write_long(folder / "soft.csv", curves(SOFT, 12, 2, 80, 1))
    write_long(folder / "ecram.csv", curves(ECRAM, 8, 2, 160, 4))
    write_wide(folder / "single.csv", curves(SINGLE, 1, 3, 150, 5))


def main() -> None:
    """Write them here."""
    write(Path())


if __name__ == "__main__":
    main()
