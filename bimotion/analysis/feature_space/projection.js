"use strict";
// Feature spaces as a page. Text reaches the document as text nodes only, so no name in the data can become markup.

const SIZE = 11;
const star = [...Array(10).keys()].map((k) => [k, k % 2 ? 0.5 : 1.3]).map(([k, r]) => `${r * Math.sin((k * Math.PI) / 5)},${-r * Math.cos((k * Math.PI) / 5)}`);
const SHAPES = {
  circle: "M-1 0a1 1 0 1 0 2 0a1 1 0 1 0 -2 0Z", triangle: "M0-1.15L1.1 0.9L-1.1 0.9Z", square: "M-.92-.92H.92V.92H-.92Z",
  diamond: "M0-1.25L1 0L0 1.25L-1 0Z", down: "M0 1.15L1.1-.9L-1.1-.9Z", star: `M${star.join("L")}Z`,
  cross: "M-1.1-.6L-.6-1.1L0-.5L.6-1.1L1.1-.6L.5 0L1.1 .6L.6 1.1L0 .5L-.6 1.1L-1.1 .6L-.5 0Z",
  plus: "M-.4-1.2H.4V-.4H1.2V.4H.4V1.2H-.4V.4H-1.2V-.4H-.4Z",
};
const $ = (selector) => document.querySelector(selector);
function made(tag, attributes, children, namespace) {
  const node = namespace ? document.createElementNS(namespace, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) node.setAttribute(name, value);
  node.append(...children.flat(Infinity));
  return node;
}
const h = (tag, attributes, ...children) => made(tag, attributes, children);
const s = (tag, attributes, ...children) => made(tag, attributes, children, "http://www.w3.org/2000/svg");

let data, style;
const hidden = new Set();
let chosen = null;

/** A node in the colour of a class; a property, for style attributes are forbidden by this page's own policy. */
function coloured(node, name) {
  node.classList.add("class");
  node.style.setProperty("--colour", style.get(name).colour);
  node.dataset.class = name;
  return node;
}

function outlineOf(rings) {
  return rings.map((ring) => `M${ring.map((point) => point.join(" ")).join("L")}Z`).join("");
}

function panelOf(panel, number) {
  const drawing = s("svg", { viewBox: "0 0 1000 1000", tabindex: 0, role: "group", "aria-roledescription": "map" });
  drawing.setAttribute("aria-label", `${panel.name}: arrow keys step through the test clips`);
  for (const { class: name, rings, inner } of panel.regions) {
    drawing.append(coloured(s("path", { class: inner ? "region inner" : "region", d: outlineOf(rings) }), name));
    if (inner) drawing.append(coloured(s("path", { class: "outline", d: outlineOf(rings) }), name));
  }
  panel.points.forEach(([x, y], clip) => {
    const name = data.clips.class[clip];
    const kind = panel.covered[clip] ? "point" : "point alone";
    const shape = { class: kind, d: SHAPES[style.get(name).shape], transform: `translate(${x} ${y}) scale(${SIZE})`, "vector-effect": "non-scaling-stroke" };
    const mark = coloured(s("path", shape), name);
    mark.dataset.clip = clip;
    drawing.append(mark);
  });
  const at = (event) => event.target.dataset?.clip;
  drawing.addEventListener("pointerover", (event) => at(event) !== undefined && choose(Number(at(event))));
  drawing.addEventListener("click", (event) => at(event) !== undefined && choose(Number(at(event))));
  drawing.addEventListener("keydown", (event) => step(event, panel));
  return h("figure", {}, h("figcaption", {}, h("h2", { id: `panel-${number}` }, panel.name), h("p", {}, panel.note)), drawing);
}

/** Ring a clip in every panel and say which it is. */
function choose(clip) {
  chosen = clip;
  for (const ring of document.querySelectorAll(".ring")) ring.remove();
  for (const mark of document.querySelectorAll(".point.chosen")) mark.classList.remove("chosen");
  if (clip === null) return;
  const { id, class: name, cell, corpus } = data.clips;
  const where = data.panels.map((panel) => `${panel.name} ${panel.covered[clip] ? "yes" : "no"}`);
  $("#status").textContent = `${id[clip]}: ${name[clip]}, ${corpus[clip]}, ${cell[clip]}. Covered by training clips: ${where.join(", ")}.`;
  document.querySelectorAll("#panels svg").forEach((drawing, number) => {
    const [x, y] = data.panels[number].points[clip];
    drawing.querySelector(`[data-clip="${clip}"]`).classList.add("chosen");
    drawing.append(s("circle", { class: "ring", cx: x, cy: y, r: 26 }));
  });
}

/** The next visible clip to the right or left (arrow keys), or none (Escape). */
function step(event, panel) {
  if (event.key === "Escape") return choose(null);
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  const order = panel.points.map((_, clip) => clip).filter((clip) => !hidden.has(data.clips.class[clip]));
  order.sort((a, b) => panel.points[a][0] - panel.points[b][0]);
  if (!order.length) return;
  const place = order.indexOf(chosen);
  choose(order[place < 0 ? (by > 0 ? 0 : order.length - 1) : (place + by + order.length) % order.length]);
}

function toggle(button, name) {
  if (!hidden.delete(name)) hidden.add(name);
  button.setAttribute("aria-pressed", !hidden.has(name));
  for (const node of document.querySelectorAll("#panels .class")) node.toggleAttribute("hidden", hidden.has(node.dataset.class));
  if (chosen !== null && hidden.has(data.clips.class[chosen])) choose(null);
}

function legendOf({ name, shape }) {
  const sign = coloured(s("svg", { viewBox: "-1.4 -1.4 2.8 2.8", "aria-hidden": "true" }, s("path", { d: SHAPES[shape], fill: "var(--own)" })), name);
  const button = h("button", { type: "button", "aria-pressed": "true" }, sign, name);
  button.addEventListener("click", () => toggle(button, name));
  return button;
}

async function start() {
  const packed = Uint8Array.from(atob($("#data").textContent), (one) => one.charCodeAt(0));
  data = JSON.parse(await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text());
  style = new Map(data.classes.map((one) => [one.name, one]));
  $("#legend").append(...data.classes.map(legendOf));
  $("#panels").append(...data.panels.map(panelOf));
  const { header, rows, title, notes } = data.numbers;
  const kind = (place) => (place < 2 ? { class: "text" } : {});
  $("#numbers").append(
    h("caption", {}, title, ...notes.map((note) => h("small", {}, note))),
    h("thead", {}, h("tr", {}, header.map((name, place) => h("th", { scope: "col", ...kind(place) }, name)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((text, place) => h("td", kind(place), text))))),
  );
}
start();
