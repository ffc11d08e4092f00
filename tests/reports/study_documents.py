"""Documents of studies, made up but whole: a grid with seeds, a random search, and with failures and constraints."""

from __future__ import annotations

import math
import random

GOALS = [
    {"name": "error", "label": "test error", "unit": "1", "better": "lower"},
    {"name": "energy", "label": "energy per sample", "unit": "J", "better": "lower"},
    {"name": "time", "label": "time per sample", "unit": "s", "better": "lower"},
    {"name": "area", "label": "area", "unit": "m2", "better": "lower"},
]
PARTS = {"ADC": 0.4, "array": 0.2, "buffer": 0.15, "digital unit": 0.15, "links": 0.1}


def figures(settings, seed, epochs):
    """Metrics, energy by part and curve of one point: fewer bits err more and cost less."""
    bits, device, lines = settings["tiles.0.adc.bits"], settings["device"], settings["tiles.0.adc.lines"]
    noise = random.Random(f"{settings} {seed}").uniform(0.85, 1.15)
    symmetric = {"ideal": 0.7, "ecram": 1.0, "reram-sb": 2.4, "agad-reram-sb": 1.1}[device]
    error = min(0.9, (0.012 + 0.3 * 2.0 ** -(1.3 * (bits - 3))) * symmetric * noise)
    energy = 2e-8 * (1 + 0.06 * 2**bits / lines**0.5) * (1.4 if device.startswith("agad") else 1.0)
    time = 1.2e-6 * lines**0.8 * (1 + bits / 16)
    metrics = {
        "error": error,
        "error_floating_point": 0.011,
        "time": time,
        "energy": energy,
        "area": 2e-5 * (1 + 2**bits / (30 * lines)),
        "power": energy / time,
    }
    curve = [[e, error + 0.6 * math.exp(-e / 2), e * time * 1000, e * energy * 1000] for e in range(1, epochs + 1)]
    return metrics, {part: share * energy for part, share in PARTS.items()}, curve


def interval(values, width=2.0, share=False):
    """Mean and a symmetric interval of a few values."""
    mean = sum(values) / len(values)
    if len(values) == 1 and share:
        half = 1.96 * math.sqrt(mean * (1 - mean) / 360)
        return {"mean": mean, "low": mean - half, "high": mean + half, "n": 1}
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / max(len(values) - 1, 1))
    half = width * spread / math.sqrt(len(values))
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": len(values)}


def dominated(groups, index):
    """Whether another feasible group is at least as good in all goals and better in one."""
    own = [groups[index]["metrics"][goal["name"]]["mean"] for goal in GOALS]
    for other in groups:
        theirs = [other["metrics"][goal["name"]]["mean"] for goal in GOALS]
        if other["feasible"] and theirs != own and all(t <= o for t, o in zip(theirs, own, strict=True)):
            return True
    return False


def document(combinations, seeds=3, kind="run", most_area=None, failed=0, epochs=8, pages=True):
    """A study over combinations of settings. failed: so many points at the end have no result."""
    points, groups = [], []
    for settings in combinations:
        ids = []
        for seed in range(seeds):
            metrics, parts, curve = figures(settings, seed, epochs)
            if kind == "time":
                metrics = {name: value for name, value in metrics.items() if not name.startswith("error")}
            name = f"{random.Random(f'{settings} {seed} id').getrandbits(64):016x}"
            ids.append(name)
            point = {"id": name, "settings": settings, "seed": seed, "state": "done", "metrics": metrics}
            point |= {"energy_by_part": parts, "wall_s": 12.3}
            point |= {"page": f"points/{name}/report.html" if pages else None}
            points.append(point | ({"curve": curve} if kind == "run" else {}))
        there = points[-seeds:]
        found = {
            name: interval([point["metrics"][name] for point in there], share=name == "error")
            for name in there[0]["metrics"]
        }
        feasible = most_area is None or found["area"]["mean"] <= most_area
        groups.append({"settings": settings, "points": ids, "seeds": seeds, "metrics": found, "feasible": feasible})
    goals = [goal for goal in GOALS if goal["name"] in groups[0]["metrics"]]
    for index, group in enumerate(groups):
        if kind == "run":
            group["front"] = group["feasible"] and not dominated(groups, index)
        else:
            group["front"] = index % 7 == 0 and group["feasible"]
    for number in range(failed):
        state = "stopped" if number % 3 == 2 else "failed"
        why = "chip: tiles.0.adc.bits: got 40, but at most 16 is accepted" if state == "failed" else "no better"
        points.append(
            {"id": f"f{number}", "settings": combinations[0], "seed": 90 + number, "state": state} | {"why": why}
        )
    paths = ["tiles.0.adc.bits", "tiles.0.adc.lines", "device"]
    values = {path: sorted({c[path] for c in combinations}, key=str) for path in paths}
    shares = [
        (goal["name"], path, share) for goal in goals for path, share in zip(paths, (0.6, 0.25, 0.1), strict=True)
    ]
    return {
        "schema": "rpusim-study-1",
        "name": "adc-of-lenet",
        "title": "Which ADC and device for LeNet",
        "question": "How many bits, how many lines per ADC, and which device does LeNet need?",
        "kind": kind,
        "base": "lenet-digits",
        "version": "0.1.0",
        "command": "rpusim study adc-of-lenet",
        "settings": [
            {"path": path, "values": values[path], "kind": "word" if path == "device" else "number"} for path in paths
        ],
        "goals": goals,
        "constraints": [] if most_area is None else [{"metric": "area", "most": most_area}],
        "points": points,
        "groups": groups,
        "importance": [{"goal": goal, "path": path, "share": share} for goal, path, share in shares],
        "answer": "6 bits suffice: the test error is 2.6%, at 1.4 times the energy of 5 bits; AGAD halves the error of "
        "plain ReRAM for 1.4 times the energy.",
        "wall": {"seconds": 3120.0, "points": len(points)},
        "failures": sum(point["state"] == "failed" for point in points),
        "stopped": sum(point["state"] == "stopped" for point in points),
    }


def grid(bits=(4, 5, 6, 7, 8), lines=(1, 8, 32), devices=("ecram", "reram-sb", "agad-reram-sb"), **options):
    """A study of every combination."""
    combinations = [
        {"tiles.0.adc.bits": b, "tiles.0.adc.lines": n, "device": d} for b in bits for n in lines for d in devices
    ]
    return document(combinations, **options)


def scattered(number, **options):
    """A study of so many combinations drawn at random."""
    draw = random.Random(5)
    combinations = [
        {
            "tiles.0.adc.bits": draw.randint(3, 10),
            "tiles.0.adc.lines": draw.randint(1, 128),
            "device": draw.choice(["ideal", "ecram", "reram-sb", "agad-reram-sb"]),
        }
        for _ in range(number)
    ]
    unique = list({str(c): c for c in combinations}.values())
    return document(unique, **options)
