// SPDX-License-Identifier: Apache-2.0
// The gate set as this browser has it: drawn, previewed by the server, committed. Coordinates are those of the scales.

const NEAR = 12; // pixels to a corner
const STEP = 0.005; // of the axis, of an arrow key; times FAR with Shift
const FAR = 10;
const PREVIEW_MS = 150;
const SQUARE = [[0.4, 0.4], [0.6, 0.4], [0.6, 0.6], [0.4, 0.6]];

const $ = (id) => document.getElementById(id);
const same = (a, b) => a && b && ["kind", "t", "m", "w", "a"].every((key) => (a[key] ?? 0) === (b[key] ?? 0));

function empty() {
  return { format: "icsort-gate-set", version: 1, name: "", scales: {}, tests: [], gates: [], directions: [] };
}

export class Gates {
  // page: ask(path, body), axes {x, y}, plot, show(axes), setUp, redraw().
  constructor(page) {
    this.page = page;
    this.document = empty();
    this.desk = { revision: 0, file: null };
    this.changed = false;
    this.chosen = null; // name of a test
    this.corner = 0;
    this.drawing = null; // {kind, corners}
    this.counts = {};
    this.events = 0;
    this.board = [];
    this.asked = 0;
    this.listen();
  }

  // What the server has.
  load(desk) {
    this.desk = desk;
    this.document = desk.gates ? structuredClone(desk.gates) : empty();
    this.changed = false;
    this.chosen = this.document.tests.find((test) => this.shape(test))?.name ?? null;
    this.drawing = null;
    this.refresh();
  }

  test(name) {
    return this.document.tests.find((test) => test.name === name);
  }

  // Name of the gate that a test was drawn for.
  owner(name) {
    return this.document.gates.find((gate) => (gate.all ?? gate.any).includes(name))?.name ?? name;
  }

  classTests() {
    return this.document.tests.filter((test) => test.kind === "class");
  }

  // Whether an axis of a test is that of the plot, and how its places become the plot's; null where it is another.
  through(axis, shown) {
    if (!axis || !shown?.axis) return null;
    if (axis.value !== (shown.axis.value ?? null) || String(axis.classes ?? "") !== String(shown.axis.classes ?? "")) return null;
    const scale = axis.scale ? this.document.scales[axis.scale] : null;
    if (same(scale, shown.scale)) return { to: (v) => v, from: (v) => v };
    const { kind, t, a } = shown.scale;
    if (scale || kind !== "linear") return null;
    return { to: (v) => (v + a) / (t + a), from: (v) => v * (t + a) - a };
  }

  // Corners of a test on the plot's axes; null where it is not drawn on these.
  shape(test) {
    if (test.kind === "class") return null;
    const x = this.through(test.x, this.page.axes.x);
    const y = test.y ? this.through(test.y, this.page.axes.y) : { to: (v) => v, from: (v) => v };
    if (!x || !y) return null;
    if (test.kind === "polygon") return test.corners.map(([a, b]) => [x.to(a), y.to(b)]);
    if (test.kind === "range") {
      const end = (bound, through, other) => (bound === null || bound === undefined ? other : through.to(bound));
      const [left, right] = [end(test.x.min, x, -10), end(test.x.max, x, 10)];
      const [low, high] = test.y ? [end(test.y.min, y, -10), end(test.y.max, y, 10)] : [-10, 10];
      return [[left, low], [right, low], [right, high], [left, high]];
    }
    const turn = (test.angle * Math.PI) / 180;
    return Array.from({ length: 48 }, (_, step) => {
      const [u, v] = [test.radii[0] * Math.cos((step * Math.PI) / 24), test.radii[1] * Math.sin((step * Math.PI) / 24)];
      return [x.to(test.center[0] + u * Math.cos(turn) - v * Math.sin(turn)), y.to(test.center[1] + u * Math.sin(turn) + v * Math.cos(turn))];
    });
  }

  shapes() {
    const found = this.document.tests
      .map((test) => ({ test, corners: this.shape(test) }))
      .filter(({ corners }) => corners)
      .map(({ test, corners }) => ({
        corners, closed: true, name: test.name, label: this.owner(test.name), chosen: test.name === this.chosen && test.kind !== "ellipse", corner: this.corner,
      }));
    if (this.drawing) found.push({ corners: this.drawing.corners, closed: false, name: "", label: "", chosen: true, corner: this.drawing.corners.length - 1 });
    return found;
  }

  // Put corners, of the plot's axes, into the chosen test.
  put(corners) {
    const test = this.test(this.chosen);
    const x = this.through(test.x, this.page.axes.x);
    const y = test.y ? this.through(test.y, this.page.axes.y) : null;
    if (test.kind === "polygon") test.corners = corners.map(([a, b]) => [x.from(a), y.from(b)]);
    if (test.kind === "range") {
      const ends = (values, through) => [Math.min(...values), Math.max(...values)].map((v) => (Math.abs(v) >= 10 ? null : through.from(v)));
      [test.x.min, test.x.max] = ends(corners.map(([a]) => a), x);
      if (test.y) [test.y.min, test.y.max] = ends(corners.map(([, b]) => b), y);
    }
    this.edited();
  }

  move(index, point) {
    const test = this.test(this.chosen);
    const corners = this.shape(test);
    if (test.kind === "range") {
      const opposite = corners[(index + 2) % 4];
      const spread = [point, [opposite[0], point[1]], opposite, [point[0], opposite[1]]];
      this.put(spread);
      // The corner that is held may have become another one.
      const now = this.shape(test);
      this.corner = now.reduce((best, c, i) => (Math.hypot(c[0] - point[0], c[1] - point[1]) < Math.hypot(now[best][0] - point[0], now[best][1] - point[1]) ? i : best), 0);
      return;
    }
    corners[index] = point;
    this.put(corners);
  }

  edited() {
    this.changed = true;
    this.refresh();
  }

  refresh() {
    this.table();
    this.page.redraw();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.preview(), PREVIEW_MS);
  }

  // quiet: what is said stays.
  async preview(quiet = false) {
    const number = ++this.asked;
    if (!this.document.gates.length) {
      this.counts = {};
      this.events = 0;
      this.say("", false);
      this.table();
      return;
    }
    try {
      const seen = await this.page.ask("preview", { gates: this.document, revision: this.desk.revision });
      if (number !== this.asked) return;
      this.counts = seen.gates ?? {};
      this.events = seen.events;
      $("toml").textContent = seen.toml;
      $("changes").replaceChildren(...seen.changes.map((text) => element("li", text)));
      const left = seen.left_out ? `; ${seen.left_out.toLocaleString("en")} left out, the event before them is not known` : "";
      if (!quiet) this.say(seen.events ? `Preview of the last ${seen.events.toLocaleString("en")} events${left}; ${seen.ambiguous.toLocaleString("en")} ambiguous, the integers change ${seen.changed.toLocaleString("en")}.` : "No events to preview yet.", false);
      this.refused = false;
    } catch (error) {
      if (number !== this.asked) return;
      this.counts = {};
      this.refused = true;
      this.say(error.message, true);
    }
    this.table();
  }

  async commit() {
    $("commit").disabled = true;
    this.say("Committing …", false);
    clearTimeout(this.timer);
    this.asked++;
    try {
      const done = await this.page.ask("commit", { gates: this.document, revision: this.desk.revision }, 30000);
      this.desk.revision = done.revision;
      this.desk.identity = done.identity;
      this.changed = false;
      this.say(done.serial === null ? `Saved: set ${done.identity}, ${this.desk.file}. No board is here.` : `In force and read back: set ${done.identity}, the board's number ${done.serial}; saved in ${this.desk.file}.`, false);
      this.preview(true);
    } catch (error) {
      this.say(error.message, true);
    }
    this.table();
  }

  say(text, bad) {
    $("gates-said").textContent = text;
    $("gates-said").classList.toggle("bad", bad);
  }

  // live: of the server. What the board says of its gates, and which set is in force.
  see(live) {
    this.board = live.gates;
    const state = $("gates-state");
    if (!live.gate) state.textContent = this.desk.board ? "The board has no gates yet." : "No board: gates are drawn, previewed and saved.";
    else if (live.gate.identity === this.desk.identity) state.textContent = `In force: set ${live.gate.identity}, that of ${this.desk.file}.`;
    else state.textContent = `In force: set ${live.gate.identity}, of ${live.gate.gates} gates, which is not the one here.`;
    if (this.changed) state.textContent += " Changes here are not committed.";
    for (const row of $("gates").rows) {
      const found = this.board.find(({ name }) => name === row.dataset.gate);
      row.cells[4].textContent = found && live.gate?.identity === this.desk.identity && !this.changed ? share(found.events, found.of) : "";
    }
  }

  table() {
    const focused = document.activeElement?.dataset?.key;
    const rows = this.document.gates.map((gate) => this.row(gate));
    $("gates").replaceChildren(...rows);
    if (focused) $("gates").querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
    const why = !this.desk.file ? "start with --gates FILE to commit" : !this.document.gates.length ? "draw a gate" : !this.document.directions.length ? "let a gate sort to an output" : this.refused ? "refused, see below" : "";
    $("commit").disabled = Boolean(why) || !this.changed;
    $("commit").title = why;
    $("reload").disabled = !this.changed;
    if (why && !this.refused && this.changed) this.say(`To commit: ${why}.`, false);
    this.page.thresholds();
  }

  row(gate) {
    const row = document.createElement("tr");
    row.dataset.gate = gate.name;
    const members = gate.all ?? gate.any;
    const own = members.map((name) => this.test(name)).find((test) => test);
    row.classList.toggle("chosen", Boolean(own) && own.name === this.chosen);
    const choose = element("button", gate.name);
    choose.type = "button";
    choose.dataset.key = `choose ${gate.name}`;
    choose.title = "Show its plot";
    choose.addEventListener("click", () => this.choose(own));
    const output = document.createElement("select");
    output.dataset.key = `output ${gate.name}`;
    output.setAttribute("aria-label", `Output of ${gate.name}`);
    output.append(new Option("nowhere", ""), ...[0, 1, 2, 3, 4, 5].map((number) => new Option(`output ${number}`, number)));
    const direction = this.document.directions.find((one) => one.gate === gate.name);
    output.value = direction ? String(direction.output) : "";
    output.addEventListener("change", () => {
      this.document.directions = this.document.directions.filter((one) => one.gate !== gate.name);
      if (output.value !== "") this.document.directions.push({ output: Number(output.value), gate: gate.name, priority: direction?.priority ?? 0 });
      this.edited();
    });
    const remove = element("button", "✕");
    remove.type = "button";
    remove.setAttribute("aria-label", `Remove ${gate.name}`);
    remove.dataset.key = `remove ${gate.name}`;
    remove.addEventListener("click", () => this.remove(gate));
    const counted = this.counts[gate.name];
    const cells = [choose, members.map((name) => this.words(name)).join(gate.all ? " and " : " or "), output, counted ? share(counted.events, this.events) : "", "", remove];
    cells.forEach((content, index) => {
      const cell = document.createElement("td");
      cell.append(content);
      if (index === 1) cell.className = "passes";
      if (index === 3 || index === 4) cell.className = "number";
      row.append(cell);
    });
    return row;
  }

  words(name) {
    const test = this.test(name);
    if (test?.kind === "class") return `${test.classes.join(", ")} ≥ ${test.posterior}`;
    if (test?.kind === "polygon") return `${test.corners.length} corners`;
    return test?.kind === "range" ? "rectangle" : test?.kind ?? name;
  }

  // Show the plot that a gate was drawn on.
  choose(test) {
    if (!test) return;
    this.chosen = test.name;
    this.corner = 0;
    if (test.kind === "class") this.page.chooseThreshold(test.name);
    else if (!this.shape(test) && test.y) this.page.show(this.page.axisOf(test.x, this.document.scales), this.page.axisOf(test.y, this.document.scales));
    this.refresh();
  }

  remove(gate) {
    const named = this.document.gates.find((one) => one !== gate && (one.all ?? one.any).some((member) => member.replace(/^not /, "").trim() === gate.name));
    if (named) {
      this.say(`${named.name} names ${gate.name}; remove that one first.`, true);
      return;
    }
    this.document.gates = this.document.gates.filter((one) => one !== gate);
    this.document.directions = this.document.directions.filter((one) => one.gate !== gate.name);
    const used = new Set(this.document.gates.flatMap((one) => one.all ?? one.any).map((name) => name.replace(/^not /, "").trim()));
    this.document.tests = this.document.tests.filter((test) => used.has(test.name));
    const scales = new Set(this.document.tests.flatMap((test) => [test.x?.scale, test.y?.scale]));
    for (const name of Object.keys(this.document.scales)) if (!scales.has(name)) delete this.document.scales[name];
    this.edited();
  }

  // The plot's axis as a test has it; its scale gets a name.
  named(shown) {
    const scales = this.document.scales;
    let name = `${shown.value} ${shown.scale.kind}`;
    for (let number = 2; scales[name] && !same(scales[name], shown.scale); number++) name = `${shown.value} ${shown.scale.kind} ${number}`;
    scales[name] = shown.scale;
    return { ...shown.axis, scale: name };
  }

  begin(kind) {
    if (!this.page.axes.x?.axis || !this.page.axes.y?.axis) {
      this.say("Gates cannot ask for one of these values; choose others.", true);
      return;
    }
    this.drawing = { kind, corners: [] };
    this.page.plot.canvas.classList.add("drawing");
    this.page.plot.canvas.focus();
    this.say(kind === "polygon" ? "Click the corners, Enter closes; or Enter at once for a square." : "Drag from corner to corner; or Enter at once for a square.", false);
    this.page.redraw();
  }

  endDrawing(corners) {
    const { kind } = this.drawing;
    this.drawing = null;
    this.page.plot.canvas.classList.remove("drawing");
    if (corners.length < 3) {
      this.page.redraw();
      return;
    }
    this.form(kind, (gate, test) => {
      const axes = { x: this.named(this.page.axes.x), y: this.named(this.page.axes.y) };
      if (kind === "polygon") return { name: test, kind, ...axes, corners };
      const [xs, ys] = [corners.map(([x]) => x), corners.map(([, y]) => y)];
      return {
        name: test, kind: "range",
        x: { ...axes.x, min: Math.min(...xs), max: Math.max(...xs) },
        y: { ...axes.y, min: Math.min(...ys), max: Math.max(...ys) },
      };
    });
  }

  // Ask for name and parent of a new gate, then add it. make: its test of its name.
  form(kind, make) {
    const form = $("gate-form");
    let number = this.document.gates.length + 1;
    const taken = (name) => this.document.gates.some((gate) => gate.name === name) || this.test(name);
    while (taken(`gate ${number}`)) number++;
    $("form-title").textContent = `New ${{ polygon: "polygon", range: "rectangle", class: "class gate" }[kind]}`;
    $("form-name").value = `gate ${number}`;
    $("form-within").replaceChildren(new Option("all events", ""), ...this.document.gates.map(({ name }) => new Option(name, name)));
    $("form-classes").hidden = kind !== "class";
    form.hidden = false;
    $("form-name").focus();
    $("form-name").select();
    form.onsubmit = (event) => {
      event.preventDefault();
      const name = $("form-name").value.trim();
      if (!name || taken(name) || name.startsWith("not ")) {
        this.say("That name is taken, or begins with “not ”; give another.", true);
        return;
      }
      const test = make(name, `${name} region`);
      if (!test) return;
      const within = $("form-within").value;
      this.document.tests.push(test);
      this.document.gates.push({ name, all: within ? [within, test.name] : [test.name], any: null });
      const used = new Set(this.document.directions.map(({ output }) => output));
      const free = [0, 1, 2, 3, 4, 5].find((output) => !used.has(output));
      if (!this.document.directions.length) this.document.directions.push({ output: free, gate: name, priority: 0 });
      form.hidden = true;
      this.chosen = test.name;
      this.corner = 0;
      this.edited();
      if (kind === "class") this.page.chooseThreshold(test.name);
      else this.page.plot.canvas.focus();
    };
    $("form-cancel").onclick = () => {
      form.hidden = true;
      this.page.redraw();
    };
  }

  addClass() {
    const names = this.page.setUp.classes;
    const boxes = names.map((name) => {
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.value = name;
      label.append(box, name);
      return label;
    });
    $("form-classes").replaceChildren(element("legend", "Classes"), ...boxes);
    this.form("class", (_, test) => {
      const classes = boxes.map((label) => label.firstChild).filter((box) => box.checked).map((box) => box.value);
      if (!classes.length) {
        this.say("Choose a class at least.", true);
        return null;
      }
      return { name: test, kind: "class", classes, posterior: 0.9, best: true };
    });
  }

  // Mouse, touch and keyboard on the density plot.
  listen() {
    const canvas = $("density");
    let held = null; // {corner} or {from, last} of a whole shape
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    canvas.addEventListener("pointerdown", (event) => {
      const plot = this.page.plot;
      const pixels = place(event);
      const point = plot.toPoint(pixels);
      if (this.drawing) {
        if (this.drawing.kind === "range") {
          held = { from: point };
          canvas.setPointerCapture(event.pointerId);
        } else {
          const [first] = this.drawing.corners;
          const closes = this.drawing.corners.length > 2 && distance(plot.toPixels(first), pixels) < NEAR;
          if (closes) this.endDrawing(this.drawing.corners);
          else this.drawing.corners.push(point);
          this.page.redraw();
        }
        return;
      }
      const all = this.shapes().sort((a, b) => b.chosen - a.chosen);
      for (const { name, corners } of all) {
        const index = corners.findIndex((corner) => distance(plot.toPixels(corner), pixels) < NEAR);
        if (index >= 0 && this.test(name).kind !== "ellipse") {
          this.chosen = name;
          this.corner = index;
          held = { corner: index };
          canvas.setPointerCapture(event.pointerId);
          this.refresh();
          return;
        }
      }
      const inside = all.find(({ corners }) => within(corners, point));
      if (inside) {
        this.chosen = inside.name;
        this.corner = 0;
        this.refresh();
      }
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!held) return;
      const point = this.page.plot.toPoint(place(event));
      if (held.from) {
        const [[x, y], [u, v]] = [held.from, point];
        this.drawing.corners = [[x, y], [u, y], [u, v], [x, v]];
        this.page.redraw();
      } else {
        this.move(this.corner, point);
      }
    });
    canvas.addEventListener("pointerup", () => {
      if (held?.from && this.drawing) this.endDrawing(this.drawing.corners);
      held = null;
    });
    canvas.addEventListener("dblclick", () => this.drawing?.kind === "polygon" && this.endDrawing(this.drawing.corners.slice(0, -1)));
    canvas.addEventListener("keydown", (event) => this.key(event));
    $("draw-polygon").addEventListener("click", () => this.begin("polygon"));
    $("draw-range").addEventListener("click", () => this.begin("range"));
    $("add-class").addEventListener("click", () => this.addClass());
    $("commit").addEventListener("click", () => this.commit());
    $("reload").addEventListener("click", () => this.page.reload());
  }

  key(event) {
    if (this.drawing) {
      if (event.key === "Enter") this.endDrawing(this.drawing.corners.length ? this.drawing.corners : this.middle());
      else if (event.key === "Backspace") this.drawing.corners.pop();
      else return;
      event.preventDefault();
      this.page.redraw();
      return;
    }
    const test = this.test(this.chosen);
    const corners = test && test.kind !== "ellipse" ? this.shape(test) : null;
    if (!corners) return;
    const { x, y } = this.page.plot;
    const step = STEP * (event.shiftKey ? FAR : 1);
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (by) {
      const [at, up] = corners[this.corner];
      this.move(this.corner, [at + by[0] * step * (x.high - x.low), up + by[1] * step * (y.high - y.low)]);
    } else if (event.key === "]" || event.key === "[") {
      this.corner = (this.corner + (event.key === "]" ? 1 : corners.length - 1)) % corners.length;
      this.page.redraw();
    } else if (event.key === "+" && test.kind === "polygon") {
      const next = corners[(this.corner + 1) % corners.length];
      const here = corners[this.corner];
      corners.splice(this.corner + 1, 0, [(here[0] + next[0]) / 2, (here[1] + next[1]) / 2]);
      this.corner++;
      this.put(corners);
    } else if (event.key === "Delete" && test.kind === "polygon" && corners.length > 3) {
      corners.splice(this.corner, 1);
      this.corner %= corners.length;
      this.put(corners);
    } else {
      return;
    }
    event.preventDefault();
  }

  // A square in the middle of what is shown.
  middle() {
    const { x, y } = this.page.plot;
    return SQUARE.map(([u, v]) => [x.low + u * (x.high - x.low), y.low + v * (y.high - y.low)]);
  }
}

export function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

export function share(count, all) {
  return all ? `${count.toLocaleString("en")} (${((100 * count) / all).toFixed(2)} %)` : "";
}

function distance([x0, y0], [x1, y1]) {
  return Math.hypot(x0 - x1, y0 - y1);
}

function within(corners, [x, y]) {
  let inside = false;
  corners.forEach(([x0, y0], index) => {
    const [x1, y1] = corners[(index + 1) % corners.length];
    if (y0 > y !== y1 > y && x < ((x1 - x0) * (y - y0)) / (y1 - y0) + x0) inside = !inside;
  });
  return inside;
}
