"use strict";
const tip = document.getElementById("tip");
const SVG = document.querySelector("svg")?.namespaceURI;

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function line(text, className) {
  const made = document.createElement("div");
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

// Beside the pointer, inside the window.
function showTip(event, lines) {
  tip.replaceChildren(...lines);
  tip.hidden = false;
  const left = event.clientX + 14 + tip.offsetWidth > innerWidth ? event.clientX - 14 - tip.offsetWidth : event.clientX + 14;
  const top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 6);
  tip.style.left = Math.max(6, left) + "px";
  tip.style.top = Math.max(6, top) + "px";
}

// The pointer in the units of the picture's viewBox.
function position(svg, event) {
  const box = svg.getBoundingClientRect();
  const view = svg.viewBox.baseVal;
  return [(event.clientX - box.left) / box.width * view.width, (event.clientY - box.top) / box.height * view.height];
}

function leave(svg, mark) {
  const away = () => { tip.hidden = true; mark.setAttribute("visibility", "hidden"); };
  svg.addEventListener("pointerleave", away);
  svg.addEventListener("pointercancel", away);
}

function follow(svg, moved) {
  svg.addEventListener("pointermove", moved);
  svg.addEventListener("pointerdown", moved);
}

// Charts: the values at the epoch under the pointer.
for (const svg of document.querySelectorAll("svg.chart")) {
  const chart = JSON.parse(svg.dataset.chart);
  if (!chart.series) continue;
  const [left, top, width, height] = chart.plot;
  const [low, high] = chart.x;
  const all = chart.series.flatMap(series => series.points.map(point => point[0]));
  const cursor = svg.appendChild(element("line", {class: "cursor", y1: top, y2: top + height, visibility: "hidden"}));
  follow(svg, event => {
    const wanted = low + (position(svg, event)[0] - left) / width * (high - low);
    const x = all.reduce((best, value) => Math.abs(value - wanted) < Math.abs(best - wanted) ? value : best);
    const at = left + (x - low) / (high - low) * width;
    cursor.setAttribute("x1", at);
    cursor.setAttribute("x2", at);
    cursor.setAttribute("visibility", "visible");
    const lines = [line(svg.querySelector(".axis-title").textContent + " " + x, "quiet")];
    chart.series.forEach((series, number) => {
      const point = series.points.find(one => one[0] === x);
      if (!point) return;
      const text = document.createElement("span");
      text.className = "run c" + number % 8;
      text.textContent = series.name + "  " + point[1].toLocaleString("en");
      lines.push(line(""));
      lines.at(-1).append(text);
    });
    showTip(event, lines);
  });
  leave(svg, cursor);
}

// t-SNE: the picture of the point under the pointer, and one class at a time.
for (const figure of document.querySelectorAll(".tsne")) {
  const plot = JSON.parse(figure.querySelector("script").textContent);
  const svg = figure.querySelector("svg");
  const ring = svg.appendChild(element("circle", {class: "ring", r: 22, visibility: "hidden"}));
  follow(svg, event => {
    const [x, y] = position(svg, event);
    let best = -1, distance = 80 * 80;
    for (let i = 0; i < plot.x.length; ++i) {
      const d = (plot.x[i] - x) ** 2 + (plot.y[i] - y) ** 2;
      if (d < distance) { distance = d; best = i; }
    }
    if (best < 0) { tip.hidden = true; ring.setAttribute("visibility", "hidden"); return; }
    ring.setAttribute("cx", plot.x[best]);
    ring.setAttribute("cy", plot.y[best]);
    ring.setAttribute("visibility", "visible");
    const lines = [];
    const sheet = plot.sheets[Math.floor(best / (plot.row * plot.row))];
    if (sheet) {
      const zoom = 96 / plot.tile, place = best % (plot.row * plot.row);
      const tile = line("", "tile");
      Object.assign(tile.style, {
        width: "96px", height: "96px", backgroundImage: `url(${sheet})`, backgroundSize: `${plot.row * 96}px auto`,
        backgroundPosition: `${-(place % plot.row) * plot.tile * zoom}px ${-Math.floor(place / plot.row) * plot.tile * zoom}px`,
      });
      lines.push(tile);
    }
    lines.push(line(plot.classes[plot.kind[best]]), line("image " + plot.index[best], "quiet"));
    showTip(event, lines);
  });
  leave(svg, ring);
  figure.addEventListener("click", event => {
    const button = event.target.closest("button");
    if (!button) return;
    const on = button.getAttribute("aria-pressed") !== "true";
    for (const other of figure.querySelectorAll("button")) other.setAttribute("aria-pressed", on && other === button);
    for (const path of svg.querySelectorAll(".k")) path.classList.toggle("lit", path.dataset.kind === button.dataset.kind);
    svg.classList.toggle("chosen", on);
  });
}
