// The page's one entry: windtunnelPage.load(document), then append(frame) for each second of a live run.

class PageParts {
  constructor(known) {
    this.store = new Store(known);
    this.view = new View(this.store);
    this.plots = [];
    this.choice = { name: "requests", store: this.store, unit: "rate", say: (value) => this.say(value) };
    this.map = null;
    this.begin();
  }
  say(value) {
    return this.choice.name === "state" ? this.store.document.states[value] : spelled(this.choice.unit, value);
  }
  begin() {
    const { view } = this;
    const specs = { timeline: timelineSpec(), instances: instancesSpec(this.choice), ...PANELS };
    specs.canary = { ...PANELS.canary, choice: "errors" };
    for (const home of document.querySelectorAll("figure[data-chart]")) {
      const name = home.dataset.chart;
      if (name === "map") this.map = new FleetMap(view, home);
      else if (specs[name]) this.plots.push(this.plot(home, name, specs[name]));
    }
    const follow = calmly(() => { this.map?.draw(); this.bar(); });
    view.on("cursor", (source) => { for (const plot of this.plots) plot.follow(source); follow(); });
    view.on("zoom", () => { for (const plot of this.plots) { plot.rescale(); plot.table.stale(); } this.bar(); });
    this.controls();
    dark.addEventListener("change", () => this.redraw());
    for (const [event, on] of [["beforeprint", true], ["afterprint", false]]) {
      window.addEventListener(event, () => { printing = on; this.print(on); });
    }
    this.bar();
  }
  plot(home, name, spec) {
    const chosen = home.querySelector("select");
    const own = { ...Object.getOwnPropertyDescriptors(spec) };
    const made = Object.defineProperties({}, own);
    if (name === "canary") {
      const series = spec.series;
      made.choice = chosen?.value ?? "errors";
      made.series = (store) => series(store, made.choice);
      Object.defineProperty(made, "unit", { get: () => (made.choice === "errors" ? "share" : measureUnit(this.store, made.choice)) });
      made.least = 0.001;
      chosen?.addEventListener("change", () => { made.choice = chosen.value; plot.build(); });
    }
    if (name === "instances") {
      this.measure(chosen?.value ?? "requests");
      chosen?.addEventListener("change", () => { this.measure(chosen.value); plot.build(); });
    }
    const plot = new Plot(this.view, made, home);
    return plot;
  }
  measure(name) {
    this.choice.name = name;
    this.choice.unit = measureUnit(this.store, name);
  }
  controls() {
    const press = (id, act) => document.getElementById(id)?.addEventListener("click", act);
    this.slider = document.getElementById("time");
    this.slider?.addEventListener("input", () => this.view.point(Number(this.slider.value)));
    press("whole", () => { this.view.point(null); this.view.zoom(null); });
    press("closer", () => this.view.scale(0.5));
    press("wider", () => this.view.scale(2));
    document.querySelector(".timebar")?.removeAttribute("hidden");
  }
  // The bar that says what time is shown, and the fleet's figures then.
  bar() {
    const { store, view, slider } = this;
    const at = view.cursor, point = at === null ? (store.live ? store.length - 1 : null) : store.at(at);
    if (slider) {
      slider.max = Math.max(store.end - 1, 0);
      if (at !== null) slider.value = at;
      slider.setAttribute("aria-valuetext", at === null ? "the whole run" : clock(at));
    }
    const place = document.getElementById("now");
    if (!place) return;
    if (!store.length) { place.textContent = "no second yet"; return; }
    let when, values;
    if (point === null) {
      const sum = (name) => store.total("fleet", null, name) ?? 0;
      const many = CLASSES.reduce((all, [name]) => all + sum(name), 0);
      when = "whole run";
      values = [["ended", grouped(many)], ["failed", many ? percent(sum("errors") / many) : "none"]];
    } else {
      const of = (name) => store.value("fleet", null, name, point);
      const many = CLASSES.reduce((all, [name]) => all + (of(name) ?? 0), 0);
      when = clock(store.first[point]);
      values = [["requests", `${short(many)}/s`], ["failed", many ? percent(of("errors") / many) : "none"], ["p50", spelled("us", of("p50"))], ["p95", spelled("us", of("p95"))], ["p99", spelled("us", of("p99"))], ["serving", spelled("count", of("serving"))]];
    }
    place.replaceChildren(element("b", { class: "when" }, when), ...values.map(([name, value]) => element("span", {}, `${name} `, element("b", {}, value))));
  }
  // Another document of the same run: cursor, zoom and choices stay.
  renew(known) {
    this.store = this.view.store = this.choice.store = new Store(known);
    this.redraw();
    this.bar();
  }
  redraw() {
    for (const plot of this.plots) plot.build();
    this.map?.draw();
  }
  print(on) {
    for (const details of document.querySelectorAll("details:not(.figures)")) {
      if (on && !details.open) { details.open = true; details.dataset.opened = "1"; }
      else if (!on && details.dataset.opened) { details.open = false; delete details.dataset.opened; }
    }
    this.redraw();
  }
  append(frame) {
    this.store.take(frame);
    this.due ??= calmly(() => {
      for (const plot of this.plots) plot.refresh();
      this.map?.draw();
      this.bar();
    });
    this.due();
  }
}

const FORMAT = 1;
let parts = null;

window.windtunnelPage = {
  // Shows a document; its frame's columns are lists of numbers. Of a live run frames follow.
  load(known) {
    if (known.format !== FORMAT) throw new Error(`expected a document of format ${FORMAT}, got ${known.format}`);
    document.documentElement.dataset.ready = "yes"; // Charts have no size before.
    if (parts) parts.renew(known);
    else parts = new PageParts(known);
  },
  // Adds a frame: the next second, or one that is there already and is replaced.
  append(frame) { parts.append(frame); },
  // The document in a text (packing.py).
  unpack,
  // Moves the cursor to a second; null takes it away.
  at(second) { parts.view.point(second); },
  get store() { return parts?.store ?? null; },
  get view() { return parts?.view ?? null; },
};

const embedded = document.getElementById("windtunnel-document");
if (embedded) {
  unpack(embedded.textContent).then(windtunnelPage.load).catch((error) => {
    const place = document.getElementById("said");
    if (place) { place.textContent = `The charts cannot be drawn: ${error.message}`; place.className = "message error"; }
    throw error;
  });
}
