// Choosing axes, hovering, sorting, filtering and saving. Without this script the page shows the same figures.
const data = JSON.parse(document.getElementById("data").textContent);
const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
const one = (selector, inside = document) => inside.querySelector(selector);
const axes = Object.fromEntries(data.axes.map((axis) => [axis.key, axis]));
const ends = (place) => (Array.isArray(place) ? place : [place, place, place]);
const SVG = "http://www.w3.org/2000/svg";

all(".needs-script").forEach((part) => { part.hidden = false; });

// The front: positions on every axis come with the page; here they are stretched to the drawing.
const chart = one("#front svg");
if (chart) {
  const [left, top, width, height] = chart.dataset.frame.split(" ").map(Number);
  const x = (at) => left + at * width;
  const y = (at) => top + (1 - at) * height;
  const made = (tag, attributes, words) => {
    const part = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) part.setAttribute(name, value);
    if (words !== undefined) part.textContent = words;
    return part;
  };
  const drawAxis = (group, axis, across) => {
    const right = left + width, bottom = top + height, parts = [];
    const line = (at, name) => made("line", across
      ? { x1: x(at), x2: x(at), y1: top, y2: bottom, class: name }
      : { x1: left, x2: right, y1: y(at), y2: y(at), class: name });
    for (const [at, words] of axis.ticks) {
      parts.push(line(at, "grid"), made("text", across
        ? { x: x(at), y: bottom + 20, "text-anchor": "middle" }
        : { x: left - 8, y: y(at) + 4, "text-anchor": "end" }, words));
    }
    axis.bounds.forEach((at) => parts.push(line(at, "bound")));
    parts.push(made("text", across
      ? { x: right, y: bottom + 48, "text-anchor": "end", class: "axis-title" }
      : { x: 4, y: top - 14, class: "axis-title" }, axis.title));
    group.replaceChildren(...parts);
  };
  const redraw = () => {
    const across = axes[one("#across").value], up = axes[one("#up").value];
    drawAxis(one(".ticks.across", chart), across, true);
    drawAxis(one(".ticks.up", chart), up, false);
    for (const mark of all("[data-g]", chart)) {
      const places = [across.at[mark.dataset.g], up.at[mark.dataset.g]];
      mark.style.display = places.includes(null) ? "none" : "";
      if (places.includes(null)) continue;
      const [cx, from, to] = ends(places[0]).map(x), [cy, low, high] = ends(places[1]).map(y);
      const wide = Math.max(to - from, 3), tall = Math.max(low - high, 3);
      const box = { x: (from + to - wide) / 2, y: (low + high - tall) / 2, width: wide, height: tall };
      for (const [name, value] of Object.entries(box)) one("rect", mark).setAttribute(name, value);
      one("circle", mark).setAttribute("cx", cx);
      one("circle", mark).setAttribute("cy", cy);
      const rank = one("text", mark);
      if (rank) { rank.setAttribute("x", cx + 8); rank.setAttribute("y", cy - 7); }
    }
    const steps = (data.fronts[`${across.key} ${up.key}`] || []).map((g) => [x(ends(across.at[g])[0]), y(ends(up.at[g])[0])]);
    one(".stairs", chart).setAttribute("d", steps.map(([a, b], i) => (i ? `H${a}V${b}` : `M${a},${b}`)).join("") || "M0,0");
    one("title", chart).textContent = `${up.title} against ${across.title}`;
  };
  all("#across, #up").forEach((choice) => choice.addEventListener("change", redraw));
}

// Of learning curves all three drawings are there; one is shown.
const against = one("#against");
if (against) against.addEventListener("change", () => {
  all("#curves [data-against]").forEach((part) => { part.hidden = part.dataset.against !== against.value; });
});

// What the pointer rests on is named, and marked in every figure and in the table.
const table = one("#points table");
const heads = all("thead th", table).map((head) => head.textContent.trim());
const rows = Object.fromEntries(all("tbody tr", table).map((row) => [row.dataset.g, row]));
const box = one("#tip");
const marked = (g, on) => all(`[data-g="${g}"]`).forEach((part) => part.classList.toggle("hot", on));
for (const part of all("svg [data-g]")) {
  const title = one("title", part);
  if (title) { part.setAttribute("aria-label", title.textContent); title.remove(); }
  const g = part.dataset.g;
  const show = (event) => {
    const words = [...rows[g].cells].map((cell, i) => [heads[i], cell.innerText.trim()]).filter(([head, cell]) => head && cell);
    box.replaceChildren(...words.flatMap(([head, cell]) => {
      const [term, value] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = head;
      value.textContent = cell.replace(/\s*\n\s*(.*)/, " ($1)");
      return [term, value];
    }));
    box.hidden = false;
    const spot = event.clientX === undefined ? part.getBoundingClientRect() : { right: event.clientX, top: event.clientY };
    const room = document.documentElement;
    box.style.left = `${Math.max(8, Math.min(spot.right + 14, room.clientWidth - box.offsetWidth - 8))}px`;
    box.style.top = `${Math.max(8, Math.min(spot.top + 14, room.clientHeight - box.offsetHeight - 8))}px`;
    marked(g, true);
  };
  const hide = () => { box.hidden = true; marked(g, false); };
  part.addEventListener("pointerenter", show);
  part.addEventListener("focus", show);
  part.addEventListener("pointerleave", hide);
  part.addEventListener("blur", hide);
}
for (const row of Object.values(rows)) {
  row.addEventListener("pointerenter", () => marked(row.dataset.g, true));
  row.addEventListener("pointerleave", () => marked(row.dataset.g, false));
}

// Sorting by any column, on the numbers behind the words.
const sorters = all("thead button", table);
for (const button of sorters) button.addEventListener("click", () => {
  const column = Number(button.dataset.column), head = button.closest("th");
  const up = head.getAttribute("aria-sort") !== "ascending";
  sorters.forEach((other) => other.closest("th").removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const value = (row) => data.tables.groups.rows[row.dataset.g][column];
  const compare = (a, b) => (a === null) - (b === null)
    || (up ? 1 : -1) * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  one("tbody", table).append(...Object.values(rows).sort((a, b) => compare(value(a), value(b))));
});

// Filtering by words, and by conditions such as error<2% or energy<=50nJ; figures fade what is filtered out.
const PREFIX = { z: 1e-21, a: 1e-18, f: 1e-15, p: 1e-12, n: 1e-9, u: 1e-6, "µ": 1e-6, m: 1e-3, k: 1e3, M: 1e6, G: 1e9, T: 1e12 };
const quantity = (words) => {
  const found = words.match(/^([-+]?[\d.]+(?:e[-+]?\d+)?)\s*(%|mm2|mm²|um2|µm²|[a-zµ]?)/i);
  if (!found) return null;
  const unit = found[2], square = /^(mm|um|µm)/.test(unit);
  return Number(found[1]) * (unit === "%" ? 0.01 : square ? (unit[0] === "m" ? 1e-6 : 1e-12) : words.length > found[1].length ? PREFIX[unit] || 1 : 1);
};
const condition = (word) => {
  const found = word.match(/^([^<>=]+)(<=|>=|<|>|=)(.+)$/);
  if (!found) return null;
  const name = found[1].toLowerCase(), columns = data.tables.groups.columns.map((column) => column.toLowerCase());
  let column = columns.findIndex((each) => each === name || each.startsWith(`${name} (`));
  if (column < 0) column = columns.findIndex((each) => each.endsWith(name));
  if (column < 0) return () => false;
  const limit = quantity(found[3]), sign = found[2];
  return (row) => {
    const value = row[column];
    if (sign === "=") return String(value) === found[3] || value === limit;
    if (typeof value !== "number" || limit === null) return false;
    return sign === "<" ? value < limit : sign === "<=" ? value <= limit : sign === ">" ? value > limit : value >= limit;
  };
};
const filter = one("#filter"), which = one("#which");
const applyFilter = () => {
  const wanted = filter.value.trim().split(/\s+/).filter(Boolean).map((word) => condition(word) || word.toLowerCase());
  let shown = 0;
  for (const [g, row] of Object.entries(rows)) {
    const inside = row.textContent.toLowerCase();
    const kept = (which.value === "all" || row.classList.contains("front") || (which.value === "feasible" && !row.classList.contains("beyond")))
      && wanted.every((each) => (typeof each === "string" ? inside.includes(each) : each(data.tables.groups.rows[g])));
    row.hidden = !kept;
    shown += kept;
    all(`svg [data-g="${g}"]`).forEach((part) => part.classList.toggle("out", !kept));
  }
  one("#shown").textContent = `${shown} of ${Object.keys(rows).length}`;
};
filter.addEventListener("input", applyFilter);
which.addEventListener("change", applyFilter);

// Saving: a drawing in light colours with its own style, and the numbers behind it.
const save = (content, kind, name) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: kind }));
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};
const drawingOf = (figure) => {
  const copy = all("svg", figure).find((svg) => !svg.closest("[hidden]")).cloneNode(true);
  const [, , width, height] = copy.getAttribute("viewBox").split(" ");
  copy.setAttribute("xmlns", SVG);
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  all(".hot, .out", copy).forEach((part) => part.classList.remove("hot", "out"));
  all("a", copy).forEach((link) => link.removeAttribute("href"));
  const style = document.createElementNS(SVG, "style");
  style.textContent = document.getElementById("figure-style").textContent;
  copy.prepend(style);
  return new XMLSerializer().serializeToString(copy);
};
const cell = (value) => {
  const words = value === null ? "" : String(value);
  return /[",\n\r]/.test(words) ? `"${words.replace(/"/g, '""')}"` : words;
};
const numbersOf = (figure) => {
  const { columns, rows: lines, metrics } = data.tables[figure.dataset.csv];
  const chosen = figure.id === "front" ? [one("#across").value, one("#up").value] : null;
  const kept = columns.map((name, i) => i).filter((i) => !chosen || !metrics[i] || chosen.includes(metrics[i]));
  return [columns, ...lines].map((line) => kept.map((i) => cell(line[i])).join(",")).join("\r\n") + "\r\n";
};
for (const button of all("button[data-save]")) button.addEventListener("click", () => {
  const figure = button.closest("[data-csv]"), name = `${data.name}-${figure.id}`;
  if (button.dataset.save === "svg") save(drawingOf(figure), "image/svg+xml", `${name}.svg`);
  else save(numbersOf(figure), "text/csv", `${name}.csv`);
});
