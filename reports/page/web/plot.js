// A chart on the run's time axis: uPlot with our axes, cursor, zoom and keys, a text alternative and a table of its figures.

const AXIS = 74;
const PAPER = 500; // Pixels that fit beside the legend on a sheet of A4.

class Plot {
  // spec: {anchor, title, says, unit, height, log, series(store): [{label, unit, colour, dash, values, low, high, fill, stepped}], paint(u, plot), keys(plot): point => text}
  constructor(view, spec, home) {
    this.view = view;
    this.spec = spec;
    this.home = home;
    this.body = home.querySelector(".plot");
    this.legend = home.querySelector(".legend");
    this.body.tabIndex = 0;
    this.body.setAttribute("role", "application");
    this.body.setAttribute("aria-roledescription", "chart");
    this.body.addEventListener("keydown", (event) => this.key(event));
    this.table = new FigureTable(this, home);
    this.build();
    new ResizeObserver(calmly(() => this.resize())).observe(this.body);
  }
  get height() { return this.spec.heightOf?.(this.view.store) ?? this.spec.height ?? 170; }
  get width() { return printing ? PAPER : Math.max(this.body.clientWidth, 200); }
  build() {
    this.chart?.destroy();
    this.body.replaceChildren();
    this.series = this.spec.series(this.view.store);
    const all = colours();
    const uplot = {
      width: this.width, height: this.height, legend: { show: false }, ms: 1e-3, padding: [8, 30, 0, 0],
      cursor: {
        y: false, points: { show: (u, place) => u.series[place].point !== false && this.shows(u, place) },
        drag: { x: true, y: false, setScale: false },
        bind: { dblclick: () => () => { this.view.zoom(null); return null; } },
      },
      scales: { x: { time: false, range: () => this.view.range }, y: this.scale() },
      axes: [this.axis(all, true), this.axis(all, false)],
      series: [{}, ...this.lines(all)], bands: this.bands(all),
      hooks: {
        setCursor: [(u) => this.hovered(u)], setSelect: [(u) => this.selected(u)],
        drawClear: [(u) => this.shade(u, all)], draw: [(u) => this.spec.paint?.(u, this, all)],
      },
    };
    this.chart = new uPlot(uplot, this.data(), this.body);
    this.caption();
  }
  shows(u, place) { return Boolean(u.series[place].stroke && u.series[place].alpha !== 0); }
  scale() {
    if (this.spec.rows) return { range: () => [this.spec.rows(this), 0] };
    if (this.spec.log) {
      return { distr: 3, range: (u, low, high) => {
        const most = Math.log10(Math.max(high ?? 10, 10, ...this.bounds().map((one) => one.value * 1.2)));
        return [10 ** Math.floor(Math.log10(Math.max(low ?? 1, 1))), 10 ** (Math.ceil(most * 3) / 3)];
      } };
    }
    return { range: (u, low, high) => [0, Math.max((high ?? 0) * 1.08, this.spec.least ?? 1)] };
  }
  axis(all, across) {
    const font = "12px system-ui, sans-serif";
    const common = { stroke: all.soft, font, grid: { stroke: all.grid, width: 1 }, ticks: { stroke: all.grid, width: 1, size: 4 } };
    if (across) return { ...common, size: 26, space: 70, incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400], values: (u, ticks) => ticks.map(clock) };
    if (this.spec.rows) return { ...common, size: AXIS, splits: () => [], values: () => [] };
    const unit = this.spec.unit;
    return { ...common, size: AXIS, space: 30, values: (u, ticks) => ticks.map((tick) => (tick === null ? "" : this.spec.log && !/^[125]/.test(String(Math.round(tick))) ? "" : spelled(unit, tick))) };
  }
  bounds() { return this.spec.bounds?.(this.view.store) ?? []; }
  // The lines of a series: its own, and the edges of the band between least and greatest.
  lines(all) {
    const found = [];
    for (const one of this.series) {
      const stroke = all[one.colour];
      const path = one.stepped ? uPlot.paths.stepped({ align: 0 }) : undefined;
      found.push({ label: one.label, stroke, width: one.width ?? 1.6, dash: one.dash, fill: one.fill && !(one.drawn && one !== this.series.at(-1)) ? alpha(stroke, one.fill) : undefined, paths: path, spanGaps: false, points: { show: false } });
    }
    for (const one of this.series) {
      if (one.low) for (const part of ["low", "high"]) found.push({ label: `${one.label} ${part}`, stroke: "transparent", alpha: 0, width: 0, points: { show: false }, point: false });
    }
    return found;
  }
  bands(all) {
    const found = [];
    // What is stacked is filled down to the next one.
    this.series.forEach((one, place) => {
      if (one.drawn && place + 1 < this.series.length) found.push({ series: [place + 1, place + 2], fill: alpha(all[one.colour], one.fill) });
    });
    let place = this.series.length + 1;
    for (const one of this.series) {
      if (!one.low) continue;
      found.push({ series: [place + 1, place], fill: alpha(all[one.colour], 0.22) });
      place += 2;
    }
    return found;
  }
  data() {
    const times = this.view.store.times();
    const values = this.series.map((one) => one.drawn ?? one.values);
    const spread = this.series.flatMap((one) => (one.low ? [one.low, one.high] : []));
    return [times, ...values, ...spread];
  }
  // New seconds came, or another stretch is shown.
  refresh() {
    const before = this.series.map((one) => one.label).join();
    this.series = this.spec.series(this.view.store);
    const now = this.series.map((one) => one.label).join();
    if (before !== now || this.chart.series.length !== this.data().length || this.height !== this.chart.height) { this.build(); return; }
    this.chart.setData(this.data(), true);
    this.caption();
  }
  rescale() {
    const [min, max] = this.view.range;
    this.chart.setScale("x", { min, max });
    this.chart.redraw();
  }
  resize() {
    const width = this.width;
    if (Math.abs(width - this.chart.width) > 1) this.chart.setSize({ width, height: this.chart.height });
  }
  hovered(u) {
    if (u.cursor.event) this.view.point(u.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : null, this);
    this.row = u.cursor.left >= 0 && this.spec.rows ? Math.floor(u.posToVal(u.cursor.top, "y")) : null; // Under the pointer.
    this.read();
  }
  // Another chart, the map or a key moved the cursor.
  follow(source) {
    if (source === this) return;
    this.row = null;
    const u = this.chart;
    if (this.view.cursor === null) u.setCursor({ left: -10, top: -10 }, false);
    else u.setCursor({ left: u.valToPos(this.view.cursor, "x"), top: 10 }, false);
    this.read();
  }
  selected(u) {
    if (u.select.width > 4) this.view.zoom(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  }
  key(event) {
    const act = {
      ArrowLeft: () => this.view.step(event.shiftKey ? -10 : -1), ArrowRight: () => this.view.step(event.shiftKey ? 10 : 1),
      Home: () => this.view.point(this.view.range[0] + 0.5), End: () => this.view.point(this.view.range[1] - 0.5),
      "+": () => this.view.scale(0.5), "=": () => this.view.scale(0.5), "-": () => this.view.scale(2),
      Escape: () => { this.view.point(null); this.view.zoom(null); },
    }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
    if (this.view.cursor !== null) announce(`${this.spec.title}, ${this.told(this.view.store.at(this.view.cursor))}`);
  }
  // Faults and deploys behind the curves.
  shade(u, all) {
    const { ctx } = u;
    const { top, height, left, width } = u.bbox;
    const [from, to] = this.view.range;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    for (const mark of this.view.store.marks) {
      if (mark.kind !== "fault" && mark.kind !== "deploy") continue;
      const end = mark.end ?? this.view.store.end;
      if (end < from || mark.at > to || mark.phase === "at" && mark.kind === "deploy") continue;
      const a = u.valToPos(mark.at, "x", true);
      const b = u.valToPos(end, "x", true);
      ctx.fillStyle = mark.kind === "fault" ? all.fault : all.deploy;
      ctx.fillRect(a, top, Math.max(b - a, devicePixelRatio), height);
      if (mark.kind === "fault") {
        ctx.fillStyle = all.red;
        ctx.fillRect(a, top, devicePixelRatio, height);
      }
    }
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    for (const [place, bound] of this.bounds().entries()) {
      const y = u.valToPos(bound.value, "y", true);
      ctx.strokeStyle = all.red;
      ctx.setLineDash([6 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(left, y);
      ctx.lineTo(left + width, y);
      ctx.stroke();
      ctx.fillStyle = all.red;
      // Beside each other, and below the line where there is no room above it.
      ctx.textAlign = place % 2 ? "left" : "right";
      const below = y - top < 14 * devicePixelRatio;
      ctx.fillText(bound.label, place % 2 ? left + 6 : left + width - 4, y + (below ? 12 : -4) * devicePixelRatio);
    }
    ctx.restore();
  }
  // The values at a point, in words.
  told(point) {
    const store = this.view.store;
    if (!store.length) return "no second yet";
    const time = store.span[point] > 1 ? `${clock(store.first[point])} to ${clock(store.first[point] + store.span[point])}` : clock(store.first[point]);
    const more = this.spec.keys?.(this, point);
    const values = this.series.map((one) => `${one.label} ${spelled(one.unit ?? this.spec.unit, one.values[point])}`);
    return `${time}: ${[...values, ...(more ? [more] : [])].join(", ")}`;
  }
  // The legend, with the values at the cursor; without one, of all that is shown: the mean, or what a series says of itself.
  read() {
    const store = this.view.store;
    const point = this.view.cursor === null || !store.length ? null : store.at(this.view.cursor);
    const all = colours();
    const rows = this.series.map((one) => {
      const line = drawn("svg", { width: 26, height: 10, "aria-hidden": "true" },
        drawn("line", { x1: 0, x2: 26, y1: 5, y2: 5, stroke: all[one.colour], "stroke-width": 3, "stroke-dasharray": (one.dash ?? []).join(" ") }));
      const text = point === null ? "" : spelled(one.unit ?? this.spec.unit, one.values[point]);
      return element("div", { class: "key" }, line, element("span", {}, one.label), element("b", {}, text));
    });
    if (this.spec.legend) rows.push(...this.spec.legend(this, point));
    this.legend.replaceChildren(...rows);
  }
  caption() {
    this.read();
    const values = this.series.map((one) => {
      const some = one.values.filter((value) => value !== null);
      const unit = one.unit ?? this.spec.unit;
      if (!some.length) return `${one.label}: nothing recorded`;
      let low = Infinity, high = -Infinity;
      for (const value of some) { if (value < low) low = value; if (value > high) high = value; }
      return `${one.label} ${spelled(unit, low)} to ${spelled(unit, high)}`;
    });
    const text = this.spec.told?.(this) ?? values.join("; ");
    this.body.setAttribute("aria-label", `${this.spec.title}. ${text}. Arrow keys move through time, plus and minus zoom, Escape shows all.`);
    this.table.stale();
  }
}

function alpha(hex, share) {
  const [r, g, b] = rgb(hex);
  return `rgba(${r},${g},${b},${share})`;
}

// Says something to screen readers.
function announce(text) {
  const place = document.getElementById("said");
  if (place) place.textContent = text;
}
