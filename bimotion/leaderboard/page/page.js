"use strict";
// The board as a page. Text reaches the document as text nodes only, so no name in the data can become markup.

const CELLS = ["eng_eld", "eng_adu", "zho_eld", "zho_adu"];
const BASES = ["in-group/inference", "zero-shot/zero-shot"];
const WORDS = { eng: "English", zho: "Mandarin", yue: "Cantonese", deu: "German", fas: "Persian", urd: "Urdu", eld: "elders", adu: "adults" };
const PAGE_ROWS = 100;
const FLAGS = {
  reproduced: ["R", "good", "Reproduced: the keeper of this board ran the model again, or made the run, and the predictions agree."],
  recomputed: ["✓", "", "Recomputed, so not ranked: every score was computed again from the predictions and the keeper's own references; who made the predictions, and how, only the submitter says."],
  claimed: ["?", "warn", "Claimed, so not ranked: the scores are those of the predictions as they were sent."],
  contaminated: ["C", "bad", "Contaminated: by its own statement, or by what is known of it, the model was trained on a corpus that it is tested on here."],
  undeclared: ["N", "warn", "Not declared: its makers do not say what the model was trained on before; “nothing of ours” would be said."],
  known: ["K", "warn", "Known, not declared: a public page says that the model was trained on data which its statement does not name."],
  unproved: ["U", "", "Organisation unproved: nobody has shown that who sent it belongs to the organisation whose name it has."],
  same: ["=", "bad", "Same predictions, but for rounding or a little noise, stand under another name."],
  odd: ["O", "", "Looks odd: a figure of this entry is one that honest entries hardly ever have. No verdict, and no reason for a rank: its own page says what was measured and what else explains it."],
  age: ["A", "", "Assumed ages: the ages of some speakers tested are assumed from how the corpus was made, not known."],
  shared: ["S", "", "Shared speakers: speakers tested may be heard in training, which makes a test easier."],
  incomplete: ["I", "warn", "Incomplete: clips of a corpus were missing, so it is compared with runs on the same clips alone."],
  synthetic: ["SYN", "bad", "SYNTHETIC: made by formulas, not people; a board for practice."],
  adapted: ["T", "warn", "Target audio seen: adapted without labels to the sound of clips from the cell that it is tested in."],
  baseline: ["B", "", "Baseline: a model that the keeper of this board made; any speech model should beat it."],
  human: ["H", "", "A human rater of one corpus, drawn at random for each test clip: no ceiling of what can be learnt from labels, never ranked."],
  printed: ["P", "", "As printed in the paper: other code, no interval, never ranked."],
};
const ODDITIES = {
  "confidence": "Confidence knows what is right", "better across": "Better when trained elsewhere", "margin": "Far above the best other model",
  "shared errors": "Errors of another model", "many runs": "One of many runs",
};
const RESERVATIONS = {
  "ᶜ": "one class is tested, or can be predicted: it says nothing about emotion", "ˢ": "one speaker: it says nothing about others",
  "ᵃ": "the age of every speaker is assumed, not known", "ᵏ": "of this checkpoint: one seed, and the numbers depend on it",
};
const GAPS = { "corpus and age": "corpus and age: adults less elders", "corpus and language": "corpus and language: English less Mandarin", worst: "worst cell", transfer: "share of in-group kept" };
// the presets of `bimotion evaluate`
const VIEWS = { benchmark: { split: "folds", schema: "valence" }, paper: { split: "paper", schema: "emotion" } };
const KINDS = { track: "Track", split: "Split", schema: "Schema", protocol: "Protocol", target: "Target audio" };

const $ = (selector) => document.querySelector(selector);
function made(tag, attributes, children, namespace) {
  const node = namespace ? document.createElementNS(namespace, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name === "onclick") node.addEventListener("click", value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}
const h = (tag, attributes, ...children) => made(tag, attributes, children);
const s = (tag, attributes, ...children) => made(tag, attributes, children, "http://www.w3.org/2000/svg");

const known = (value) => value !== null && value !== undefined;
const percent = (value) => (known(value) ? (100 * value).toFixed(1) : "–");
const interval = (one) => (known(one?.low) ? `${percent(one.low)}–${percent(one.high)}` : "no interval");
const signed = (value) => (known(value) ? `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(100 * value).toFixed(1)}` : "–");
const words = (name) => name.split(/[_@]/).map((part) => WORDS[part] ?? part).join(" ");
const cells = (names) => (names.length ? names.join(" + ") : "nothing");
const parameters = (n) => {
  if (!known(n)) return "–";
  const [unit, scale] = n >= 1e9 ? ["B", 1e9] : n >= 1e6 ? ["M", 1e6] : n >= 1e3 ? ["k", 1e3] : ["", 1];
  return `${(n / scale).toFixed(n / scale < 10 && unit ? 1 : 0)} ${unit}`.trim();
};
const people = (score) => {
  if (!score.n_utterances) return "";
  if (!score.n_speakers) return "speakers unknown";
  return `${score.n_speakers} speaker${score.n_speakers === 1 ? "" : "s"}${score.n_speaker_unknown ? " + unknown" : ""}`;
};
const evidence = (score) =>
  `${score.n_utterances} clips, ${score.n_speakers} known speakers` +
  (score.n_speaker_unknown ? `, ${score.n_speaker_unknown} clips of unknown speakers` : "") + `; ${Object.keys(score.corpora).join(", ")}` +
  (score.reason ? `. ${score.reason}` : "");

/** With its organisation: that of the folder, where the model's own name has none. */
function fullName(entry) {
  const [organisation, named] = entry.id.split("/")[0].split("__", 2);
  return organisation && named && !entry.model.includes("/") ? `${organisation}/${entry.model}` : entry.model;
}
const adaptation = ({ adapt }) => adapt && `${adapt.title}, ${adapt.setting}`;
const windowHeard = ({ options }) => options.window && `window ${options.window}`;

function mark(kind, detail) {
  const [letter, tone, text] = FLAGS[kind];
  const full = detail ? `${text} ${detail}` : text;
  return h("abbr", { class: `mark ${tone}`, title: full }, h("span", { "aria-hidden": "true" }, letter), h("span", { class: "hidden" }, full));
}
const listed = (lists) => Object.entries(lists).map(([name, items]) => `${name}: ${items.join(", ")}`).join("; ");
function flagsOf(entry) {
  const { flags } = entry;
  const found = [[flags.status, flags.status_reason && `(${flags.status_reason})`]];
  if (Object.keys(flags.contaminated).length) found.push(["contaminated", `(${listed(flags.contaminated)})`]);
  if (flags.undeclared) found.push(["undeclared"]);
  if (flags.not_declared.length) found.push(["known", `(${flags.not_declared.join(", ")})`]);
  if (flags.same_predictions.length) found.push(["same", `(${flags.same_predictions.join(", ")})`]);
  if (entry.oddities.length) found.push(["odd", `(${entry.oddities.map((one) => ODDITIES[one.kind]).join("; ")})`]);
  if (Object.keys(flags.incomplete).length)
    found.push(["incomplete", `(${Object.entries(flags.incomplete).map(([name, n]) => `${name} ${n}`).join("; ")})`]);
  if (Object.keys(flags.assumed_age).length) found.push(["age", `(${listed(flags.assumed_age)})`]);
  if (Object.keys(flags.shared_speakers).length)
    found.push(["shared", `(${Object.entries(flags.shared_speakers).map(([name, why]) => `${name}: ${why}`).join("; ")})`]);
  if (flags.synthetic) found.push(["synthetic"]);
  if (entry.adapt?.target_seen) found.push(["adapted", `(${adaptation(entry)})`]);
  if (flags.baseline) found.push(["baseline"]);
  if (!known(flags.organisation_proof)) found.push(["unproved"]);
  return found;
}

/** Interval as a line over [from, to], its value as a tick. Numbers stand beside it as text. */
function whisker(one, { from = 0, to = 1, zero = null } = {}) {
  if (!known(one?.value)) return null;
  const x = (value) => ((Math.min(Math.max(value, from), to) - from) / (to - from)) * 100;
  const line = (kind, left, right, top, bottom) => s("line", { class: kind, x1: left, x2: right, y1: top, y2: bottom });
  return s(
    "svg", { class: "whisker", viewBox: "0 0 100 9", preserveAspectRatio: "none", "aria-hidden": "true" },
    line("axis", 0, 100, 8.5, 8.5),
    known(zero) && line("zero", x(zero), x(zero), 0, 9),
    known(one.low) && line("range", x(one.low), x(one.high), 4.5, 4.5),
    line("point", x(one.value), x(one.value), 1, 8),
  );
}
/** Share of the colour of a heat map; a property, for style attributes are forbidden by this page's own policy. */
function heated(node, value) {
  if (known(value)) {
    node.classList.add("heat");
    node.style.setProperty("--share", value);
  }
  return node;
}

// --- rows of the ranking ----------------------------------------------------------------------------------------------

function rowOf(entry) {
  const base = BASES.find((name) => entry.headline[name]);
  const tested = {};
  for (const score of entry.scores) {
    if (BASES.includes(`${score.transfer}/${score.method}`) && CELLS.includes(score.test)) tested[score.test] ??= score;
  }
  const gap = entry.gaps.find((one) => one.kind === "corpus and age" && one.of === "mean") ?? entry.gaps.find((one) => one.kind === "corpus and age");
  return {
    entry, tested, gap, model: fullName(entry), mean: entry.headline[base], cross: entry.headline["cross-all/inference"],
    track: entry.track, split: entry.split_rule, schema: entry.schema, protocol: entry.protocol, target: entry.adapt?.target_seen ? "seen" : "not seen",
    kind: entry.flags.baseline ? "baseline" : "entry",
  };
}
function printedRow(reference) {
  const tested = {};
  for (const score of reference.scores) if (score.transfer === "in-group" && score.method === "inference") tested[score.test] = score;
  const headline = (name) => (known(reference.headline[name]) ? { value: reference.headline[name] } : undefined);
  return {
    reference, tested, model: reference.model, mean: headline(BASES[0]), cross: headline("cross-all/inference"),
    track: reference.track, split: reference.split_rule, schema: reference.schema, protocol: null, target: null, kind: "reference",
  };
}

function humanRow(one) {
  const tested = {};
  for (const [cell, rated] of Object.entries(one.cells)) tested[cell] = { ...rated, value: rated.weighted_f1 };
  return { human: one, tested, model: one.model, track: null, split: one.split_rule, schema: one.schema, protocol: null, target: null, kind: "reference" };
}

const COLUMNS = [
  { id: "rank", label: "Rank", text: true, first: "ascending", key: (row) => (row.entry?.ranking ?? row.entry?.recomputed_ranking)?.rank },
  { id: "model", label: "Model", text: true, first: "ascending", key: (row) => row.model.toLowerCase() },
  { id: "mean", label: "Mean of cells", title: "Mean over the four cells of BiMotion; in practice, with incomplete corpora, over those that it names", first: "descending", key: (row) => row.mean?.value },
  ...CELLS.map((cell) => ({
    id: cell, label: cell, title: words(cell), first: "descending", key: (row) => row.tested[cell]?.value, kind: "second",
  })),
  { id: "gap", label: "Corpus and age", title: "Cells of adults less cells of elders, mean over languages, in points: they hold different corpora too; none where labels differ", first: "descending", key: (row) => row.gap?.value, kind: "third" },
  { id: "cross", label: "Cross-all", title: "Trained on the other language and the other age group, mean of 4 cells", first: "descending", key: (row) => row.cross?.value, kind: "third" },
  { id: "size", label: "Parameters", first: "ascending", key: (row) => row.entry?.n_parameters, kind: "third" },
];
const letter = (group) => (group > 26 ? letter(Math.floor((group - 1) / 26)) : "") + String.fromCharCode(65 + ((group - 1) % 26));

const state = { track: "", split: "", schema: "", protocol: "", target: "", q: "", below: false, sort: "mean", order: "descending", page: 0 };
let board, rows, defaults, opened;

/** Below the line: what the keeper has not run again, or nobody else can. */
const isBelow = (row) => Boolean(row.entry) && !row.entry.ranking;

/** The rows that fit the filters: those of the ranking, then those below the line; in the chosen order. */
function chosen() {
  const q = state.q.trim().toLowerCase();
  const found = rows.filter((row) =>
    Object.keys(KINDS).every((kind) => !state[kind] || row[kind] === null || row[kind] === state[kind]) &&
    (!q || row.model.toLowerCase().includes(q) || row.entry?.key.startsWith(q) || row.entry?.adapt?.title.toLowerCase().includes(q)));
  const { key } = COLUMNS.find((column) => column.id === state.sort);
  const sign = state.order === "ascending" ? 1 : -1;
  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  return found.sort((one, other) => {
    if (isBelow(one) !== isBelow(other)) return isBelow(one) ? 1 : -1;
    const [a, b] = [key(one), key(other)];
    if (known(a) !== known(b)) return known(a) ? -1 : 1; // what is not known stands last in either order
    return (known(a) && sign * compare(a, b)) || compare(-(one.mean?.value ?? -1), -(other.mean?.value ?? -1)) || compare(one.model, other.model);
  });
}

/** Cell -> a score that stands for the clips and speakers of all shown rows; null where these differ. */
function shared(found) {
  const told = {};
  for (const cell of CELLS) {
    const scores = found.map((row) => row.entry && row.tested[cell]).filter(Boolean);
    const one = new Set(scores.map((score) => `${score.n_utterances} ${people(score)}`)).size === 1;
    told[cell] = one ? scores[0] : null;
  }
  return told;
}

function header(told) {
  const heads = COLUMNS.map((column) => {
    const sorted = state.sort === column.id;
    const click = () => {
      state.order = sorted ? (state.order === "ascending" ? "descending" : "ascending") : column.first;
      Object.assign(state, { sort: column.id, page: 0 });
      remember();
      overview();
      $(`#ranking th[data-column="${column.id}"] button`).focus();
    };
    return h(
      "th", { scope: "col", "data-column": column.id, class: `${column.text ? "text" : ""} ${column.kind ?? ""}`, "aria-sort": sorted ? state.order : null },
      h("button", { type: "button", title: column.title, onclick: click }, column.label),
      told[column.id] && [h("small", {}, people(told[column.id])), h("small", {}, `${told[column.id].n_utterances} clips`)],
    );
  });
  $("#ranking thead").replaceChildren(h("tr", {}, heads));
}

/** The marks of a number of which little is left, with their meaning. */
function reserved(score) {
  const marks = [...(score?.reservations ?? "")];
  return marks.length ? h("abbr", { class: "dagger", title: marks.map((one) => RESERVATIONS[one] ?? one).join("; ") }, marks.join("")) : null;
}

/** The marks of a mean over scores: each of theirs, once. */
const marksOf = (scores) => [...new Set(scores.flatMap((score) => [...(score.reservations ?? "")]))].join("");

/** The meaning of the marks that stand behind some scores. */
function meanings(scores) {
  const shown = Object.keys(RESERVATIONS).filter((one) => scores.some((score) => score.reservations.includes(one)));
  return shown.map((one) => `${one} ${RESERVATIONS[one]}`).join("; ");
}

function scoreCell(row, cell, told) {
  const score = row.tested[cell];
  if (!score) return h("td", { class: "second missing" }, "–");
  const dirty = row.entry?.flags.contaminated[cell];
  const assumed = row.entry?.flags.assumed_age[cell];
  const node = h(
    "td", { class: "second", title: row.entry && evidence(score) },
    h("span", { class: "value" }, percent(score.value)),
    reserved(score) ?? (assumed && h("abbr", { class: "dagger", title: `Ages assumed: ${assumed.join(", ")}` }, "†")),
    dirty && mark("contaminated", `(${dirty.join(", ")})`),
    row.entry && [whisker(score), h("small", {}, interval(score))],
    row.entry && !told && [h("small", {}, people(score)), h("small", {}, `${score.n_utterances} clips`)],
  );
  return heated(node, score.value);
}

/** Which cells a mean is over, where it is not all of them. */
function over(row) {
  const cells = CELLS.filter((cell) => row.tested[cell]);
  return cells.length < CELLS.length ? `over ${cells.join(", ")}` : null;
}

/** A rank; in brackets that of an entry below the line, among all that were recomputed. */
function rankCell(entry) {
  const ranking = entry?.ranking ?? entry?.recomputed_ranking;
  if (!ranking) return h("td", { class: "rank" }, h("span", { class: "missing" }, "–"));
  const among = entry.ranking ? `among ${ranking.of}` : `among ${ranking.of} that were recomputed or reproduced`;
  return h("td", { class: "rank" }, entry.ranking ? h("b", {}, ranking.rank) : h("span", { class: "missing" }, `(${ranking.rank})`),
    h("small", { title: `95 % interval of the rank ${among}; tie group ${letter(ranking.tie_group)}: not separable from its first model` },
      `${ranking.low === ranking.high ? ranking.low : `${ranking.low}–${ranking.high}`} · tie ${letter(ranking.tie_group)}`));
}

/** The line between the ranking and what is not in it: how much that is and why, and the switch that shows it. */
function line(below) {
  const count = (kind, word) => { const n = below.filter(kind).length; return n ? `${n} ${word}` : null; };
  const is = (status) => ({ entry }) => entry.flags.status === status;
  const kinds = [count(is("recomputed"), "only recomputed, which nobody ran again"), count(is("claimed"), "only claimed"),
    count(is("reproduced"), "reproduced, but of models that are not public or without all that a rank needs")].filter(Boolean);
  const toggle = () => { Object.assign(state, { below: !state.below, page: 0 }); remember(); overview(); $("#ranking .line button").focus(); };
  return h("tr", { class: "line" }, h("td", { colspan: COLUMNS.length, class: "text" },
    `Not ranked: ${kinds.join(", ")}. Ranks in brackets are among all that were recomputed. `,
    h("button", { type: "button", "aria-expanded": String(state.below), onclick: toggle }, state.below ? "hide" : `show ${below.length}`)));
}

function rankingRow(row, start, several, told) {
  const { entry } = row;
  const asked = several && entry ? h("small", {}, `${entry.track} · ${entry.split_rule} · ${entry.schema} · ${entry.protocol} · clips ${entry.data_fingerprint.slice(0, 6)}`) : null;
  const extra = entry && (entry.adapt || entry.options.window || entry.seeds.length > 1)
    ? h("small", {}, [adaptation(entry), windowHeard(entry), entry.seeds.length > 1 && `${entry.seeds.length} seeds`].filter(Boolean).join(" · ")) : null;
  return h(
    "tr", { class: `${row.kind} ${start ? "group" : ""}`, "data-id": entry?.id },
    rankCell(entry),
    h("th", { scope: "row", class: "model" },
      entry ? h("a", { href: address(entry.id) }, row.model) : row.model,
      h("span", { class: "marks" }, entry ? flagsOf(entry).map(([kind, detail]) => mark(kind, detail)) : row.human ? mark("human") : mark("printed", `(${row.reference.source})`)),
      asked, extra),
    h("td", { class: "mean" }, h("span", { class: "value" }, percent(row.mean?.value)), reserved(row.mean && { reservations: marksOf(Object.values(row.tested)) }),
      entry && [whisker(row.mean), row.mean && h("small", {}, interval(row.mean)), row.mean && h("small", { class: "over" }, over(row))]),
    CELLS.map((cell) => scoreCell(row, cell, told[cell])),
    h("td", { class: "third" }, signed(row.gap?.value), reserved(row.gap), known(row.gap?.low) && h("small", {}, `${signed(row.gap.low)} to ${signed(row.gap.high)}`)),
    h("td", { class: "third" }, percent(row.cross?.value), reserved(row.cross && { reservations: marksOf((entry?.scores ?? []).filter((score) => `${score.transfer}/${score.method}` === "cross-all/inference")) }), known(row.cross?.low) && h("small", {}, interval(row.cross))),
    h("td", { class: "third" }, parameters(entry?.n_parameters)),
  );
}

function overview() {
  const fitting = chosen();
  const below = fitting.filter(isBelow);
  const found = state.below ? fitting : fitting.filter((row) => !isBelow(row));
  const classes = new Set(found.filter((row) => row.entry).map((row) => row.entry.comparable));
  const last = Math.max(0, Math.ceil(found.length / PAGE_ROWS) - 1);
  state.page = Math.min(state.page, last);
  const shown = found.slice(state.page * PAGE_ROWS, (state.page + 1) * PAGE_ROWS);
  const told = shared(found);
  header(told);
  let group = null;
  const lines = shown.flatMap((row, index) => {
    const own = row.entry?.ranking?.tie_group;
    const start = classes.size === 1 && known(own) && known(group) && own !== group && ["mean", "rank"].includes(state.sort);
    group = own ?? group;
    const drawn = rankingRow(row, start, classes.size > 1, told);
    return isBelow(row) && (index === 0 || !isBelow(shown[index - 1])) ? [line(below), drawn] : [drawn];
  });
  if (below.length && !state.below && state.page === last) lines.push(line(below));
  $("#ranking tbody").replaceChildren(...lines);
  const entries = found.filter((row) => row.entry).length;
  $("#status").textContent = fitting.length
    ? `${entries} of ${board.entries.length} entries` + (classes.size > 1 ? `, in ${classes.size} classes that cannot be compared: a rank holds within its own (choose track, split, schema and protocol)` : classes.size === 1 ? ", all comparable" : "")
    : "Nothing fits. Widen the filters, or clear the search.";
  const turn = (by, label) => h("button", { type: "button", disabled: state.page + by < 0 || state.page + by > last, onclick: () => { state.page += by; remember(); overview(); $("#status").scrollIntoView(); } }, label);
  $("#pager").replaceChildren(...(last ? [turn(-1, "Previous"), `Page ${state.page + 1} of ${last + 1}`, turn(1, "Next")] : []));
  cost(found);
  for (const kind of Object.keys(KINDS)) $("#filters").elements[kind].value = state[kind];
  $("#filters").elements.view.value = Object.keys(VIEWS).find((name) => Object.entries(VIEWS[name]).every(([kind, value]) => state[kind] === value)) ?? "";
  $("#filters").elements.q.value = state.q;
  $("#filters").elements.below.checked = state.below;
}

// --- quality against cost ---------------------------------------------------------------------------------------------

function cost(found) {
  const points = found.filter((row) => row.mean && known(row.entry?.n_parameters) && row.entry.n_parameters > 0);
  $("#cost").hidden = !points.length;
  if (!points.length) return;
  const levels = found.filter((row) => row.mean && !known(row.entry?.n_parameters)).slice(0, 6);
  const [width, height, left, right, top, bottom] = [900, 380, 44, 150, 14, 40];
  const decades = points.map((row) => Math.log10(row.entry.n_parameters));
  const [low, high] = [Math.floor(Math.min(...decades)), Math.max(Math.floor(Math.min(...decades)) + 1, Math.ceil(Math.max(...decades)))];
  const ceiling = Math.min(1, Math.ceil(10 * Math.max(...[...points, ...levels].map((row) => row.mean.high ?? row.mean.value))) / 10);
  const x = (n) => left + ((Math.log10(n) - low) / (high - low)) * (width - left - right);
  const y = (value) => height - bottom - (value / ceiling) * (height - top - bottom);
  const text = (at, down, content, kind, anchor) => s("text", { x: at, y: down, class: kind, "text-anchor": anchor }, content);
  const grid = [];
  for (let tenth = 0; tenth <= Math.round(10 * ceiling); tenth += ceiling > 0.5 ? 2 : 1) {
    const down = y(tenth / 10);
    grid.push(s("line", { class: "grid", x1: left, x2: width - right, y1: down, y2: down }), text(left - 8, down + 4, tenth * 10, null, "end"));
  }
  for (let decade = low; decade <= high; decade += 1) grid.push(text(x(10 ** decade), height - bottom + 18, parameters(10 ** decade), null, "middle"));
  grid.push(text((left + width - right) / 2, height - 4, "parameters", null, "middle"));
  let best = -1, above = -100;
  const front = new Set();
  for (const row of [...points].sort((a, b) => a.entry.n_parameters - b.entry.n_parameters || b.mean.value - a.mean.value)) {
    if (row.mean.value > best) { front.add(row); best = row.mean.value; }
  }
  const dots = points.map((row) => {
    const [at, down] = [x(row.entry.n_parameters), y(row.mean.value)];
    const told = `${row.model}: ${percent(row.mean.value)} (${interval(row.mean)}), ${parameters(row.entry.n_parameters)} parameters`;
    return s("a", { href: address(row.entry.id), "aria-label": told }, s("title", {}, told),
      known(row.mean.low) && s("line", { class: "range", x1: at, x2: at, y1: y(row.mean.low), y2: y(row.mean.high) }),
      s("circle", { cx: at, cy: down, r: 4 }));
  });
  const short = (name) => (name.length > 28 ? `${name.slice(0, 27)}…` : name);
  const names = [...front].sort((a, b) => y(a.mean.value) - y(b.mean.value)).flatMap((row) => {
    const down = y(row.mean.value) + 4;
    if (down - above < 12) return [];
    above = down;
    return [text(x(row.entry.n_parameters) + 8, down, short(row.model), "label")];
  });
  let under = -100;
  const dashed = levels.sort((a, b) => b.mean.value - a.mean.value).map((row) => {
    const down = y(row.mean.value);
    under = Math.max(down + 4, under + 12);
    return [s("line", { class: "level", x1: left, x2: width - right, y1: down, y2: down }), text(width - right + 6, under, short(`${row.model} ${percent(row.mean.value)}`))];
  });
  $("#cost .plot").replaceChildren(s("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Mean weighted F1 over number of parameters" }, grid, dashed, dots, names));
}

// --- one model --------------------------------------------------------------------------------------------------------

const address = (id) => `#/run/${encodeURIComponent(id)}`;
const facts = (pairs) => h("dl", { class: "facts" }, pairs.filter(([, value]) => known(value) && value !== "").map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
const region = (label, table) => h("div", { class: "scroll", role: "region", "aria-label": label, tabindex: "0" }, table);

function matrix(entry) {
  const tests = [...new Set(entry.scores.map((score) => score.test))];
  const printed = entry.split_rule === "paper" && entry.schema === "emotion" ? board.references.flatMap((one) => one.scores) : [];
  const sections = [
    ["Trained on one cell", (score) => score.method !== "distance" && score.train.length === 1],
    ["Trained on several cells", (score) => score.method === "augmentation"],
    ["Language distance: ESD and YueMotion alone", (score) => score.method === "distance"],
    ["Trained on nothing here", (score) => score.method === "zero-shot"],
  ];
  const body = sections.flatMap(([title, belongs]) => {
    const scores = entry.scores.filter(belongs);
    const trains = [...new Set(scores.map((score) => cells(score.train)))];
    if (!trains.length) return [];
    return [
      h("tr", { class: "section" }, h("th", { colspan: tests.length + 1, scope: "rowgroup" }, title)),
      ...trains.map((train) => h("tr", {}, h("th", { scope: "row" }, train.split(" + ").map((name, n) => [n ? " + " : "", h("span", { title: words(name) }, name)])), tests.map((test) => {
        const score = scores.find((one) => cells(one.train) === train && one.test === test);
        if (!score) return h("td", {});
        const paper = printed.find((one) => one.method === score.method && one.test === test && cells(one.train) === train);
        return heated(h("td", { title: `${score.transfer}: ${evidence(score)}`, class: score.transfer === "in-group" ? "diagonal" : null },
          h("span", { class: "value" }, percent(score.value)), reserved(score), h("small", {}, interval(score)), h("small", {}, people(score)),
          paper && h("small", {}, h("i", {}, `paper ${percent(paper.value)}`))), score.value);
      }))),
    ];
  });
  return h("table", { class: "matrix" },
    h("caption", {}, "Weighted F1 in %: a row trains, a column tests; outlined: trained in the cell that is tested. ", meanings(entry.scores)),
    h("thead", {}, h("tr", {}, h("th", { scope: "col", class: "text" }, "Trained on"), tests.map((test) => h("th", { scope: "col", title: words(test) }, `on ${test}`)))),
    h("tbody", {}, body));
}

function gapTable(gaps) {
  const lines = gaps.map((gap) => {
    const ratio = gap.kind === "transfer";
    const points = ratio || gap.kind === "worst" ? (value) => (ratio ? (known(value) ? value.toFixed(2) : "–") : percent(value)) : signed;
    const scale = ratio ? { from: 0, to: 1.5, zero: 1 } : gap.kind === "worst" ? {} : { from: -1, to: 1, zero: 0 };
    return h("tr", {}, h("th", { scope: "row" }, GAPS[gap.kind] ?? gap.kind), h("td", { class: "text" }, gap.of),
      h("td", {}, points(gap.value), reserved(gap)), h("td", {}, known(gap.low) ? `${points(gap.low)} to ${points(gap.high)}` : gap.reason ?? "–"),
      h("td", { class: "wide-whisker" }, whisker(gap, scale)));
  });
  return h("table", { class: "list" },
    h("caption", {}, "Differences in points, ratios as they are. Cells hold different corpora, which these differences mix with age and language: they have no p, and none is given where labels differ."),
    h("thead", {}, h("tr", {}, ["Difference", "Of", "Value", "95 % interval", ""].map((label, n) => h("th", { scope: "col", class: n < 2 ? "text" : null }, label || h("span", { class: "hidden" }, "Drawn"))))),
    h("tbody", {}, lines));
}

function settingTable(entry) {
  const heads = ["Transfer", "Trained on", "Tested on", "Weighted F1", "95 % interval", "", "Clips", "Speakers", "By corpus", "Never trained", "Corpus told", "Language told"];
  return h("table", { class: "list" },
    h("caption", {}, "Every setting. Intervals are over speakers; where none is published their number is stated (latent). Told: how often a regression on the same features names the corpus, and the language, of clips of one class (in brackets by chance), as the run recorded it: far above chance, a transfer may be of microphones and sentences."),
    h("thead", {}, h("tr", {}, heads.map((label, n) => h("th", { scope: "col", class: n < 3 || n > 7 ? "text" : null }, label || h("span", { class: "hidden" }, "Drawn"))))),
    h("tbody", {}, entry.scores.map((score) => h("tr", {},
      h("th", { scope: "row" }, score.method === "inference" ? score.transfer : `${score.transfer}, ${score.method}`),
      h("td", { class: "text" }, cells(score.train)), h("td", { class: "text" }, score.test), h("td", {}, percent(score.value), reserved(score)),
      h("td", {}, known(score.low) ? interval(score) : score.reason ?? "–"), h("td", {}, whisker(score)), h("td", {}, score.n_utterances),
      h("td", {}, people(score), h("small", {}, `${score.n_clusters} speakers (${score.clusters})`)),
      h("td", { class: "text" }, Object.entries(score.corpora).map(([name, value]) => `${name} ${percent(value)}`).join(", ")),
      h("td", { class: "text" }, score.untrained.join(", ") || "–"), h("td", {}, aboveChance(score.confound?.corpus, score.confound?.corpus_chance)),
      h("td", {}, aboveChance(score.confound?.language, score.confound?.language_chance))))));
}
const aboveChance = (recall, chance) => (known(recall) ? `${(100 * recall).toFixed(0)} (${(100 * chance).toFixed(0)})` : "–");

const pOf = (p) => (p < 0.0005 ? "p < 0.001" : `p ${p.toFixed(3)}`); // no p-value is 0
/** A contrast of the age result: value, interval and p, or that it is a case study. */
function contrast(one) {
  const span = known(one.reach) ? `${signed(one.value - one.reach)} to ${signed(one.value + one.reach)}; ${pOf(one.p_holm ?? one.p)}` : "case study";
  return h("td", {}, signed(one.value), known(one.value) && h("small", {}, span));
}
function ageTable(ages) {
  return h("table", { class: "list" },
    h("caption", {}, "Recall of speakers (mean over classes, %) by age, within one corpus, one model trained once: change a decade within genders, and elders less adults of the same gender, sentence and class, in points; p by permuting speakers, Holm-corrected over the rows. Of fewer than two speakers in an age group: a case study."),
    h("thead", {}, h("tr", {}, ["Corpus", "Trained on", "Adults + elders", "Adults", "Elders", "Slope a decade", "Elders less adults, matched"].map((label, n) => h("th", { scope: "col", class: n < 2 ? "text" : null }, label)))),
    h("tbody", {}, ages.map((one) => h("tr", {}, h("th", { scope: "row" }, one.corpus), h("td", { class: "text" }, one.train.replaceAll("+", " + ")),
      h("td", {}, `${one.n_adults} + ${one.n_elders}`), h("td", {}, percent(one.adults)), h("td", {}, percent(one.elders)), contrast(one.slope), contrast(one.matched)))));
}

function oddTable(oddities) {
  return h("table", { class: "list" },
    h("caption", {}, "No verdict: fewer than 1 % of honest entries of the material that the thresholds were set by are marked, and each mark has innocent explanations. None changes a rank or a status. Runs are only counted: from the fourth on."),
    h("thead", {}, h("tr", {}, ["Mark", "Figure", "Marked from", "What was measured, and what else explains it"].map((label, n) => h("th", { scope: "col", class: n === 0 || n === 3 ? "text" : null }, label)))),
    h("tbody", {}, oddities.map((one) => h("tr", {}, h("th", { scope: "row" }, ODDITIES[one.kind]), h("td", {}, one.figure), h("td", {}, one.threshold), h("td", { class: "text" }, one.explanation)))));
}

/** What the keeper's own run gave. */
function reproduction({ reproduction: made }) {
  if (!made) return null;
  const sets = `${made.training_sets.length} of ${made.n_training_sets} training sets` + (known(made.draw) ? `, drawn by seed ${made.draw}` : "");
  return `${made.reproduced ? "reproduced" : "not reproduced"}: ${sets}; ${made.n_predictions} predictions, ${(100 * made.same_decisions).toFixed(2)} % of the decisions the same, probabilities differ by ${made.mean_difference.toPrecision(2)} on average and ${made.largest_difference.toPrecision(2)} at most; on ${made.device}, ${made.finished.slice(0, 10)}` +
    (made.model_differs.length ? `; the keeper's model differs: ${made.model_differs.join("; ")}` : "");
}

/** What is said of a rank on an entry's own page. */
function place({ ranking, recomputed_ranking: other, flags, reproduction: made }) {
  const among = (one, what) => `rank ${one.rank} of ${one.of}${what} (${one.low} to ${one.high}), tie group ${letter(one.tie_group)}`;
  if (ranking) return `; ${among(ranking, "")}`;
  const secret = flags.status === "reproduced" && made && !made.is_public ? "its model is not public" : null;
  const reason = flags.few_seeds ?? secret ?? flags.status_reason;
  return `; not ranked${reason ? `: ${reason}` : ""}${other ? `; ${among(other, " that were recomputed")}` : ""}`;
}

/** What is known of an entry, then what only its submitter states; weights and options are known once the keeper has run it again. */
function stated(entry) {
  const used = [["Weights", weights(entry)], ["Options", Object.entries(entry.options).map(([name, value]) => `${name} ${value}`).join(", ")]];
  const isReproduced = entry.flags.status === "reproduced" && !entry.reproduction?.model_differs.length;
  const training = entry.known_training;
  return [
    facts([
      ["Trainings", entry.n_trainings], ["Seeds", entry.seeds.join(", ")], ["Clips", entry.data_fingerprint], ["Calibration error", calibrations(entry)],
      ["Run again by the keeper", reproduction(entry)], ["Receipt signed by", entry.signed_by ?? (entry.flags.status === "claimed" ? null : "nobody")],
      ["Hidden test", entry.steps_percent && `only the host has the labels; numbers are in steps of ${entry.steps_percent} %`],
      ...(isReproduced ? used : []), ["Organisation", entry.flags.organisation_proof ?? "unproved"],
      ["Known training data", training && `${training.data_sets.join(", ")} (${training.source})`],
    ]),
    h("h2", {}, "Stated by the submitter"),
    facts([
      ["Trained on", entry.trained_on ?? "not declared"], ["Not recognised", entry.not_recognised.join(", ")], ["Parameters", parameters(entry.n_parameters)], ["Device", entry.device],
      ...(isReproduced ? [] : used), ["Finished", entry.finished.slice(0, 10)], ["bimotion", entry.version],
    ]),
  ];
}
const calibrations = (entry) => entry.scores.filter((score) => known(score.calibration_error)).map((score) => `${score.test} ${score.calibration_error.toFixed(3)}`).join(", ");

function detail(entry) {
  const row = rowOf(entry);
  const between = (gap) => gap.kind !== "transfer";
  $("#detail").replaceChildren(...[
    h("p", {}, h("a", { href: overviewAddress() }, "← All models")),
    h("h2", { tabindex: "-1" }, row.model),
    entry.adapt && h("p", { class: "small" }, `Adapted: ${adaptation(entry)}`),
    h("p", { class: "small" }, `${entry.track} · ${entry.split_rule} split · schema ${entry.schema} · protocol ${entry.protocol} · run ${entry.key}`),
    h("p", { class: "lead" }, percent(row.mean?.value), reserved(row.mean && { reservations: marksOf(Object.values(row.tested)) }), h("small", {},
      row.mean ? `mean of ${over(row) ? `${Object.keys(row.tested).length} cells (${over(row)})` : "the four cells"}, 95 % interval ${interval(row.mean)}` : "no mean: not all four cells were run",
      place(entry))),
    h("ul", { class: "notes" }, flagsOf(entry).map(([kind, more]) => h("li", {}, h("span", { class: `mark ${FLAGS[kind][1]}`, "aria-hidden": "true" }, FLAGS[kind][0]), h("span", {}, `${FLAGS[kind][2]} ${more ?? ""}`)))),
    entry.oddities.length > 0 && [h("h2", {}, "What looks odd"), region("What looks odd", oddTable(entry.oddities))],
    ...stated(entry),
    h("h2", {}, "Age, within corpora"), entry.ages.length ? region("Age within corpora", ageTable(entry.ages)) : h("p", {}, entry.steps_percent ? "A hidden test tells none." : "No training set was tested on both age groups of a corpus whose ages are known."),
    h("h2", {}, "Train × test"), region("Train by test matrix", matrix(entry)),
    h("h2", {}, "Differences between cells"), entry.gaps.length ? region("Differences between cells", gapTable(entry.gaps.filter(between))) : h("p", {}, entry.steps_percent ? "A hidden test tells none." : "Too few cells to compare."),
    entry.gaps.some((gap) => !between(gap)) && h("details", {}, h("summary", {}, "What transfer keeps of each in-group score"), region("Transfer ratios", gapTable(entry.gaps.filter((gap) => !between(gap))))),
    h("h2", {}, "Every number"), region("All settings", settingTable(entry)),
  ].flat().filter(Boolean));
}

function weights(entry) { // of a repository on the Hub: a branch moves, and anybody can open a pull request there
  const isCommit = /^[0-9a-f]{40}$/.test(entry.revision ?? "");
  if (isCommit || entry.flags.baseline || !entry.model.includes("/")) return entry.revision;
  return `${entry.revision ?? "no revision"} (no commit of ${entry.model}: which weights these were, nobody can tell)`;
}

// --- addresses --------------------------------------------------------------------------------------------------------

function overviewAddress() {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) if (value !== defaults[name]) query.set(name, String(value));
  return `#/${query.size ? `?${query}` : ""}`;
}
const remember = () => history.replaceState(null, "", overviewAddress());

function show() {
  const run = location.hash.match(/^#\/run\/(.+)$/);
  let wanted = null;
  try {
    wanted = run && board.entries.find((entry) => entry.id === decodeURIComponent(run[1]));
  } catch { /* an address that nobody made here: the overview */ }
  $("#detail").hidden = !wanted;
  $("#overview").hidden = Boolean(wanted);
  if (wanted) {
    detail(wanted);
    opened = wanted.id;
    document.title = `${fullName(wanted)} · BiMotion leaderboard`;
    scrollTo(0, 0);
    $("#detail h2").focus();
    return;
  }
  const query = new URLSearchParams(location.hash.split("?")[1] ?? "");
  for (const [name, value] of Object.entries(defaults)) {
    const given = query.get(name);
    state[name] = given === null ? value : typeof value === "boolean" ? given === "true" : typeof value === "number" ? Math.max(0, Number.parseInt(given, 10) || 0) : given;
  }
  if (!COLUMNS.some((column) => column.id === state.sort)) state.sort = defaults.sort;
  document.title = "BiMotion leaderboard";
  overview();
  const back = opened && [...document.querySelectorAll("#ranking tbody tr")].find((line) => line.dataset.id === opened);
  if (back) back.querySelector("a").focus();
  opened = null;
}

function furnish() {
  $("#filters").elements.view.append(h("option", { value: "" }, "as filtered"), ...Object.keys(VIEWS).map((value) => h("option", { value }, value)));
  for (const [kind, label] of Object.entries(KINDS)) {
    const values = [...new Set(rows.map((row) => row[kind]).filter(known))].sort();
    $("#filters").elements[kind].append(h("option", { value: "" }, `any ${label.toLowerCase()}`), ...values.map((value) => h("option", { value }, value)));
  }
  $("#filters").addEventListener("input", (event) => {
    const { name, type, checked, value } = event.target;
    if (name === "view") Object.assign(state, { protocol: "" }, VIEWS[value]);
    else state[name] = type === "checkbox" ? checked : value;
    state.page = 0;
    remember();
    overview();
  });
  $("#filters").addEventListener("submit", (event) => event.preventDefault());
  const tie = [["1–3 · tie A", "95 % interval of a rank, then its tie group. A rank can be “4, 4–4” in tie group A: the model is fourth beyond doubt among its own pairs, and still its distance from the first is not significant once all pairs are counted (t-test by speakers)."],
    ["speakers", "A number that rests on few speakers says little, however many clips there are. “+ unknown”: clips whose speaker is not published."], ["†", "The ages of some speakers of this cell are assumed."]];
  $("#legend dl").append(...Object.entries(RESERVATIONS).flatMap(([one, meaning]) => [h("dt", {}, one), h("dd", {}, `Behind a score: ${meaning}.`)]), ...Object.keys(FLAGS).flatMap((kind) => [h("dt", {}, h("span", { class: `mark ${FLAGS[kind][1]}` }, FLAGS[kind][0])), h("dd", {}, FLAGS[kind][2])]),
    ...tie.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]));
  const keys = Object.entries(board.keys).map(([name, fingerprint]) => `${name} (${fingerprint})`);
  $("#receipts").textContent = keys.length
    ? `Receipts of this board are signed. Only what one of these keys signed counts as more than claimed: ${keys.join(", ")}.`
    : "Receipts of this board are not signed: that an entry is more than claimed, whoever can write to its folder can say.";
  $("#excluded").hidden = !board.excluded.length;
  $("#excluded summary").textContent = `${board.excluded.length} submission${board.excluded.length === 1 ? "" : "s"} not on the board, and why`;
  $("#excluded ul").append(...board.excluded.map((one) => h("li", {}, `${one.id}: ${one.reason}`)));
}

async function start() {
  const packed = Uint8Array.from(atob($("#board").textContent), (one) => one.charCodeAt(0));
  const text = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  board = JSON.parse(text);
  rows = [...board.entries.map(rowOf), ...board.references.map(printedRow), ...board.human.map(humanRow)];
  const first = board.comparable[0];
  if (first) Object.assign(state, { track: first.track, split: first.split_rule, schema: first.schema, protocol: first.protocol });
  state.below = !first?.n_ranked; // else a board of which nothing was run again would open empty
  defaults = { ...state };
  furnish();
  $("#loading").hidden = true;
  addEventListener("hashchange", show);
  show();
}
start();
