// SPDX-License-Identifier: Apache-2.0
// Asks the server for the state of each moment and shows it. A slow browser asks less often; nothing queues for it.

import { Curves, DensityPlot, HistogramPlot } from "./plot.js";
import { Gates, element, share } from "./gates.js";

const EVERY_MS = 250;
const PATIENCE_MS = 2000; // for an answer, then nothing here is current
const DISARM_AGAIN_MS = 500;
const CURVE_SECONDS = 600;
const KINDS = ["linear", "log", "arcsinh", "logicle"];
const PARAMETERS = { linear: ["t", "a"], log: ["t", "m"], arcsinh: ["t", "m", "a"], logicle: ["t", "m", "w", "a"] };
const SETTLED = 2000; // events, after which the first axes are fitted once more
const SHOWN_ACTS = 200;
const SHOWN_CELLS = 24;

const $ = (id) => document.getElementById(id);

class Refused extends Error {}

async function ask(path, body, patience = 10000) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(patience),
  });
  if (answer.status === 401) throw new Refused("This page is of a run that has ended. Open the address that `icsort serve --page` printed.");
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error ?? `${answer.status}`);
  return said;
}

const page = {
  ask,
  setUp: null,
  axes: { x: null, y: null, single: null }, // value, scale, low, high; axis: as gates name it; name
  plot: new DensityPlot($("density")),
  histogram: new HistogramPlot($("histogram")),
  rates: new Curves($("rates")),
  aborts: new Curves($("aborts")),
  points: [],
  seen: { acts: 0, images: 0, history: 0 },
  threshold: null, // name of a class test
  fitted: 0, // how many events the axes were fitted to
  byHand: false,

  redraw() {
    page.plot.draw(page.gates.shapes());
    page.drawHistogram();
  },

  drawHistogram() {
    const test = page.threshold && page.gates.test(page.threshold);
    const single = page.axes.single;
    const shows = test && single?.axis?.classes && String(single.axis.classes) === String(test.classes) && single.scale.kind === "linear";
    $("threshold-row").hidden = !test;
    if (test) {
      $("threshold").value = test.posterior;
      $("threshold-value").textContent = test.posterior.toFixed(3);
    }
    page.histogram.draw(shows ? test.posterior : null);
  },

  // Choices of the histogram's threshold.
  thresholds() {
    const tests = page.gates.classTests();
    if (!tests.some(({ name }) => name === page.threshold)) page.threshold = null;
    const select = $("threshold-of");
    select.replaceChildren(new Option("none", ""), ...tests.map(({ name, classes }) => new Option(`${page.gates.owner(name)}: ${classes.join(", ")}`, name)));
    select.value = page.threshold ?? "";
    page.drawHistogram();
  },

  chooseThreshold(name) {
    page.threshold = name || null;
    const test = name && page.gates.test(name);
    const value = test && page.setUp.values.find(({ axis }) => axis?.classes && String(axis.classes) === String(test.classes));
    if (value) page.setAxis("single", { value: value.name, scale: { kind: "linear", t: 1, a: 0 }, low: 0, high: 1 });
    page.thresholds();
  },

  // The whole of an axis that a test has, as the plot's.
  axisOf(axis, scales) {
    const value = page.setUp.values.find((one) => one.axis && (one.axis.value ?? null) === axis.value && String(one.axis.classes ?? "") === String(axis.classes ?? ""));
    return value && { value: value.name, scale: axis.scale ? scales[axis.scale] : null, low: 0, high: 1 };
  },

  async show(x, y) {
    for (const [name, axis] of [["x", x], ["y", y]]) {
      if (!axis) continue;
      if (axis.scale) page.setAxis(name, axis);
      else await page.fit(name, axis.value, "linear");
    }
    page.redraw();
  },

  setAxis(name, axis) {
    const value = page.setUp.values.find((one) => one.name === axis.value);
    page.axes[name] = { ...axis, axis: value?.axis ?? null, label: axis.value + (value?.unit ? `, ${value.unit}` : "") };
    drawAxis(name);
  },

  async fit(name, value, kind) {
    try {
      page.setAxis(name, await ask("fit", { value, kind }));
    } catch (error) {
      say(error);
    }
  },

  async reload() {
    await setUp(true);
  },
};
page.gates = new Gates(page);

function say(error) {
  page.gates.say(error.message, true);
}

// Controls of an axis.
function drawAxis(name) {
  const box = $(`${name === "single" ? "single" : name}-axis`);
  const axis = page.axes[name];
  const legend = box.querySelector("legend");
  const values = document.createElement("select");
  values.setAttribute("aria-label", `Value of ${legend.textContent}`);
  values.append(...page.setUp.values.map((value) => new Option(value.name, value.name)));
  values.value = axis.value;
  const kinds = document.createElement("select");
  kinds.setAttribute("aria-label", `Scale of ${legend.textContent}`);
  kinds.append(...KINDS.map((kind) => new Option(kind, kind)));
  kinds.value = axis.scale.kind;
  const choose = () => {
    page.byHand = true;
    page.fit(name, values.value, kinds.value).then(() => page.gates.refresh());
  };
  values.addEventListener("change", choose);
  kinds.addEventListener("change", choose);
  const fit = element("button", "Fit");
  fit.type = "button";
  fit.title = "Show all events";
  fit.setAttribute("aria-label", `Fit ${legend.textContent} to the events`);
  fit.addEventListener("click", choose);
  const scale = document.createElement("span");
  scale.className = "scale";
  for (const parameter of PARAMETERS[axis.scale.kind]) {
    const label = element("label", `${parameter} `);
    const field = document.createElement("input");
    field.type = "number";
    field.step = "any";
    field.value = axis.scale[parameter] ?? 0;
    field.setAttribute("aria-label", `${parameter} of the scale of ${legend.textContent}`);
    field.addEventListener("change", () => {
      page.byHand = true;
      page.setAxis(name, { ...page.axes[name], scale: { ...axis.scale, [parameter]: Number(field.value) } });
      page.gates.refresh();
    });
    label.append(field);
    scale.append(label);
  }
  box.replaceChildren(legend, values, kinds, fit, scale);
}

// fresh: what was drawn here and not committed goes.
async function setUp(fresh = false) {
  const before = page.setUp;
  page.setUp = await ask("set_up", {});
  const { model, name, replay, values, board } = page.setUp;
  $("what").textContent = `${model} · ${name}${replay ? " · recording" : ` · build ${board.build_id ?? ""}`}`;
  document.title = `icsort · ${model}`;
  const names = values.map((value) => value.name);
  if (!before || !names.includes(page.axes.x.value)) {
    const drawable = values.filter(({ axis, unit, name: value }) => axis?.value && unit !== "us" && !value.startsWith("logit")).map((value) => value.name);
    const logits = names.filter((value) => value.startsWith("logit "));
    const [x, y] = drawable.length > 2 ? drawable.slice(1) : logits.length > 1 ? logits : names;
    page.fitted = 0;
    page.byHand = false;
    const first = values.find(({ axis }) => axis?.classes)?.name ?? "posterior";
    for (const [axis, value] of [["x", x], ["y", y], ["single", first]]) page.setAxis(axis, { value, scale: { kind: "linear", t: 1, a: 0 }, low: 0, high: 1 });
  }
  if (fresh || !page.gates.changed) page.gates.load(page.setUp.desk);
  page.gates.document.tests.filter(({ kind }) => kind === "class").slice(0, 1).forEach(({ name: test }) => page.chooseThreshold(test));
}

// Once there are events, and once more when there are many: until somebody chooses axes.
async function fitFirst(kept) {
  if (page.byHand || page.fitting || (page.fitted && (page.fitted >= SETTLED || kept < SETTLED))) return;
  page.fitting = true;
  page.fitted = kept;
  const drawn = page.gates.document.tests.find((test) => test.y && page.axisOf(test.x, {}) && page.axisOf(test.y, {}));
  if (drawn) {
    const { scales } = page.gates.document;
    await page.show(page.axisOf(drawn.x, scales), page.axisOf(drawn.y, scales));
  } else {
    for (const name of ["x", "y"]) await page.fit(name, page.axes[name].value, "linear");
  }
  page.fitting = false;
  page.gates.refresh();
}

function view() {
  const bare = (axis) => axis && { value: axis.value, scale: axis.scale, low: axis.low, high: axis.high };
  const gate = $("filter").value;
  return {
    x: bare(page.axes.x), y: bare(page.axes.y), single: bare(page.axes.single), gate: gate === "" || gate === undefined ? null : Number(gate), ...page.seen,
  };
}

async function poll() {
  for (;;) {
    const begun = performance.now();
    try {
      if (!page.setUp) await setUp();
      const live = await ask("live", view(), PATIENCE_MS);
      page.heard = performance.now();
      const elsewhere = live.revision !== page.gates.desk.revision && !page.gates.changed;
      if (live.set_up !== page.setUp.set_up || elsewhere) await setUp();
      show(live);
      $("page-latency").textContent = live.event !== null && !live.progress ? `The newest event, ${live.event.toLocaleString("en")}, is shown ${Math.max(0, Math.round((Date.now() / 1000 - live.newest) * 1000)).toLocaleString("en")} ms after it came.` : "";
      if (live.events.kept) fitFirst(live.events.kept);
    } catch (error) {
      blind(error);
    }
    await new Promise((done) => setTimeout(done, Math.max(40, EVERY_MS - (performance.now() - begun))));
  }
}

function alarm(text) {
  const box = $("alarm");
  if (box.textContent !== text) box.textContent = text;
  box.hidden = !text;
}

// Nothing here is current.
function blind(error) {
  document.body.classList.add("blind");
  setState("unknown", "NOT KNOWN");
  document.title = "⚠ NO CONNECTION · icsort";
  alarm(error instanceof Refused ? error.message : `NO CONNECTION to icsort serve (${error.message}). What is shown is old, and the board may be armed. Stop it there: \`icsort disarm\`, or the interlock.`);
}

function setState(kind, text) {
  const state = $("state");
  if (state.textContent === text && state.className === `state ${kind}`) return;
  state.className = `state ${kind}`;
  state.textContent = text;
}

function show(live) {
  document.body.classList.remove("blind");
  document.title = `icsort · ${page.setUp.model}`;
  const { state } = live;
  if (page.setUp.replay) setState("replay", "Replay: no board");
  else if (!live.known) setState("unknown", "NOT KNOWN");
  else if (state.armed) setState("armed", `ARMED by ${live.armed_by ?? "a program past this one"}`);
  else if (state.testing) setState("armed", `TEST PULSES by ${live.armed_by ?? "a program past this one"}`);
  else setState("disarmed", "Disarmed");
  $("arm").hidden = !page.setUp.arms;
  $("arm").disabled = !live.known || state.armed || state.testing;
  $("only-disarms").hidden = page.setUp.arms;
  if (page.disarming) alarm(page.disarming);
  else if (live.lost) alarm(`THE BOARD IS GONE: ${live.lost}. It disarms by its heartbeat; nobody can see whether it has.`);
  else if (!live.known) alarm("THE STATE OF THE BOARD IS NOT KNOWN: it sends no statistics. It may be armed.");
  else if (live.faults.length) alarm(`FAULT: ${live.faults.join(", ")}`);
  else alarm("");

  curves(live);
  health(live);
  bars($("classes"), page.setUp.classes.map((name, index) => [name, live.classes[index] ?? 0]));
  bars($("outcomes"), Object.entries(live.outcomes));
  latency(live.latency);
  acts(live.acts);
  gallery(live.images);
  filter(live.gates);
  page.gates.see(live);
  page.plot.take(live.density, page.axes.x?.label, page.axes.y?.label);
  page.histogram.take(live.histogram, page.axes.single?.label);
  $("density-events").textContent = live.density?.events !== undefined ? `${live.density.events.toLocaleString("en")} of the last ${live.events.kept.toLocaleString("en")} events are within the axes; the fullest place has ${live.density.most.toLocaleString("en")}.` : "";
  $("histogram-events").textContent = live.histogram?.events !== undefined ? `${live.histogram.events.toLocaleString("en")} events.` : "";
  page.redraw();
}

function curves(live) {
  page.points.push(...live.history);
  if (live.history.length) page.seen.history = live.history.at(-1).number;
  const newest = page.points.at(-1);
  if (!newest || !(live.history.length || page.rates.plot === undefined || page.restyle)) return;
  page.restyle = false;
  page.points = page.points.filter(({ time }) => time > newest.time - CURVE_SECONDS);
  page.rates.draw(page.points, [{ name: "events", of: (point) => point.events }, { name: "sorted", of: (point) => point.sorted }]);
  const causes = [...new Set(page.points.flatMap((point) => Object.keys(point.aborts)))].sort();
  $("aborts-none").hidden = causes.length > 0;
  if (causes.length) page.aborts.draw(page.points, causes.map((name) => ({ name: name.toLowerCase(), of: (point) => point.aborts[name] ?? 0 })));
  const aborted = Object.values(newest.aborts).reduce((sum, rate) => sum + rate, 0);
  facts($("rate-figures"), [["events/s", round(newest.events)], ["sorted/s", round(newest.sorted)], ["aborted/s", round(aborted)]].map(([name, text]) => [name, text]));
}

function round(number) {
  return number.toLocaleString("en", { maximumFractionDigits: number < 100 ? 1 : 0 });
}

// Name and text of each, in a description list.
function facts(list, entries) {
  const grouped = list.classList.contains("figures");
  const made = entries.map(([name, text, bad]) => {
    const value = element("dd", text);
    if (bad) value.className = "bad";
    const pair = [element("dt", name), value];
    if (!grouped) return pair;
    const group = document.createElement("div");
    group.append(...pair);
    return [group];
  });
  list.replaceChildren(...made.flat());
}

function health(live) {
  const { state, counters } = live;
  const { board, replay, model_id: model } = page.setUp;
  const count = (name) => (counters[name] ?? 0).toLocaleString("en");
  const entries = [["model", `${page.setUp.model} ${model}`]];
  if (replay) {
    const [done, all] = live.progress ?? [0, 0];
    entries.push(["recording", page.setUp.name], ["played", `${done.toLocaleString("en")} of ${all.toLocaleString("en")} events`]);
  } else {
    const losses = ["MISSED", "DEAD_TIME", "WINDOWS_LOST", "FEATURES_LOST", "RECORDS_LOST", "IMAGES_SKIPPED", "LINE_ERRORS", "LINE_GAPS"].filter((name) => counters[name]);
    entries.push(
      ["build", board.build_id ?? ""],
      ["gate set", live.gate ? `${live.gate.identity}, number ${live.gate.serial}` : "none"],
      ["interlock", live.known ? (state.interlock ? "closed" : "OPEN") : "not known", live.known && !state.interlock],
      ["faults", live.faults.join(", ") || "none", live.faults.length > 0],
      ["disarmed last by", ["nothing", "its host", "its heartbeat", "a fault"][state.disarmed_by ?? 0]],
      ["heartbeats lost", count("HEARTBEATS_LOST")],
      ["link", `${count("LINK_BAD_FRAMES")} bad of ${count("LINK_GOOD_FRAMES")} requests`],
      ["accepted", count("ACCEPTED")],
      ["sorted", count("SORTED")],
      ...losses.map((name) => [name.toLowerCase().replaceAll("_", " "), count(name)]),
    );
  }
  entries.push(["events shown here", live.events.seen.toLocaleString("en")]);
  facts($("health"), entries);
}

function bars(list, entries) {
  const all = entries.reduce((sum, [, count]) => sum + count, 0);
  const most = Math.max(1, ...entries.map(([, count]) => count));
  while (list.children.length > entries.length) list.lastChild.remove();
  entries.forEach(([name, count], index) => {
    let item = list.children[index];
    if (!item) {
      item = document.createElement("li");
      const track = document.createElement("span");
      track.className = "track";
      track.append(Object.assign(document.createElement("div"), { className: "fill" }));
      item.append(Object.assign(document.createElement("span"), { className: "label" }), track, Object.assign(document.createElement("span"), { className: "count" }));
      list.append(item);
    }
    const [label, track, text] = item.children;
    label.textContent = label.title = name;
    track.firstChild.style.width = `${(100 * count) / most}%`;
    text.textContent = share(count, all) || "0";
  });
}

function latency(told) {
  const rows = Object.entries(told ?? {}).map(([name, quantiles]) => {
    const row = document.createElement("tr");
    const head = element("th", name.replace(" to decision", ""));
    head.scope = "row";
    row.append(head, ...quantiles.map((us) => Object.assign(element("td", `${us.toFixed(2)} µs`), { className: "number" })));
    return row;
  });
  $("latency").replaceChildren(...rows);
}

function acts(entries) {
  for (const { number, time, who, what, grave } of entries) {
    const row = document.createElement("tr");
    if (grave) row.className = "grave";
    const when = element("td", new Date(time).toLocaleTimeString("en-GB"));
    when.title = time;
    row.append(when, element("td", who), element("td", what));
    $("log").prepend(row);
    page.seen.acts = number;
  }
  while ($("log").rows.length > SHOWN_ACTS) $("log").lastChild.remove();
}

function filter(gates) {
  const select = $("filter");
  const names = ["all events", ...gates.map(({ name }) => name)];
  if ([...select.options].map(({ text }) => text).join("\n") === names.join("\n")) return;
  const chosen = select.value;
  select.replaceChildren(...names.map((name, index) => new Option(name, index ? index - 1 : "")));
  select.value = [...select.options].some(({ value }) => value === chosen) ? chosen : "";
}

function gallery(images) {
  const { height, width, channels } = page.setUp;
  const list = $("gallery");
  for (const image of images) {
    page.seen.images = image.number;
    const pixels = atob(image.pixels);
    const canvas = document.createElement("canvas");
    canvas.width = width * channels.length;
    canvas.height = height;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Event ${image.event}: ${channels.join(", ")}`);
    const context = canvas.getContext("2d");
    const shown = context.createImageData(canvas.width, height);
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        channels.forEach((_, channel) => {
          const grey = pixels.charCodeAt((row * width + column) * channels.length + channel);
          shown.data.set([grey, grey, grey, 255], 4 * (row * canvas.width + channel * width + column));
        });
      }
    }
    context.putImageData(shown, 0, 0);
    const item = document.createElement("li");
    item.dataset.gates = image.gates ?? 0;
    const decision = element("span", image.class === null ? "its record is not among those kept" : image.outcome);
    if (image.outcome === "sorted") decision.className = "sorted";
    item.append(canvas, element("strong", image.class === null ? `event ${image.event}` : image.answer), decision);
    list.prepend(item);
  }
  while (list.children.length > SHOWN_CELLS) list.lastChild.remove();
  const gate = $("filter").value;
  for (const item of list.children) item.hidden = gate !== "" && !((Number(item.dataset.gates) >>> Number(gate)) & 1);
  if (page.setUp.replay) $("gallery-none").textContent = "A recording has no images.";
  $("gallery-none").hidden = list.children.length > 0;
}

// Arming takes two steps, of this page and within seconds; the server disarms when this page asks nothing more.
async function askToArm() {
  try {
    const step = await ask("ask_to_arm", {});
    page.ticket = step.ticket;
    $("arming-what").textContent = `${step.schedule}; gate set ${step.gate_set}. The board stays armed while this page is open and awake. Within ${step.seconds} s.`;
    $("arming").hidden = false;
    $("arming-cancel").focus();
    clearTimeout(page.stepEnds);
    page.stepEnds = setTimeout(cancelArming, 1000 * step.seconds);
  } catch (error) {
    say(error);
  }
}

function cancelArming() {
  page.ticket = null;
  $("arming").hidden = true;
}

async function armNow() {
  const { ticket } = page;
  cancelArming();
  if (!ticket) return;
  try {
    await ask("arm", { ticket });
  } catch (error) {
    say(error);
  }
}

// Stops, whatever else is under way, and goes on until it is confirmed.
async function disarm() {
  cancelArming();
  if (page.disarming) return;
  page.disarming = "DISARMING …";
  alarm(page.disarming);
  for (;;) {
    try {
      const { confirmed } = await ask("disarm", {}, 4000);
      if (confirmed) break;
      page.disarming = "DISARM was sent, and nobody confirmed it. It is sent again.";
    } catch (error) {
      page.disarming = `DISARM IS NOT CONFIRMED (${error.message}). Open the interlock or switch the sorter off. It is tried again.`;
      if (error instanceof Refused) break;
    }
    alarm(page.disarming);
    await new Promise((done) => setTimeout(done, DISARM_AGAIN_MS));
  }
  if (!page.disarming.startsWith("DISARM IS NOT")) page.disarming = page.setUp?.replay ? "There is no board to disarm." : "Disarmed, and the board has confirmed it.";
  alarm(page.disarming);
  setTimeout(() => {
    page.disarming = "";
  }, 3000);
}

$("arm").addEventListener("click", askToArm);
$("arming-cancel").addEventListener("click", cancelArming);
$("arming-now").addEventListener("click", armNow);
$("disarm").addEventListener("click", disarm);
window.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  event.preventDefault();
  disarm();
}, { capture: true });
$("threshold-of").addEventListener("change", (event) => page.chooseThreshold(event.target.value));
$("threshold").addEventListener("input", (event) => setThreshold(Number(event.target.value)));

function setThreshold(posterior) {
  const test = page.threshold && page.gates.test(page.threshold);
  if (!test) return;
  test.posterior = Math.round(1000 * Math.min(1, Math.max(0, posterior))) / 1000;
  page.gates.edited();
}

// The threshold's line, dragged.
const drag = (event) => {
  if (event.buttons && page.threshold && page.histogram.box) {
    const box = $("histogram").getBoundingClientRect();
    setThreshold(page.histogram.toPoint([event.clientX - box.left, 0])[0]);
  }
};
$("histogram").addEventListener("pointerdown", (event) => {
  $("histogram").setPointerCapture(event.pointerId);
  drag(event);
});
$("histogram").addEventListener("pointermove", drag);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  page.restyle = true;
  page.redraw();
});
new ResizeObserver(() => {
  page.restyle = true;
  page.redraw();
}).observe(document.querySelector("main"));

poll();
