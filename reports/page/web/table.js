// The figures behind a chart, as a table: made when it is opened, with at most so many rows.

const MOST_ROWS = 120;

class FigureTable {
  constructor(plot, home) {
    this.plot = plot;
    this.details = home.querySelector("details.figures");
    this.fresh = false;
    this.details?.addEventListener("toggle", () => { if (this.details.open) this.fill(); });
  }
  stale() {
    this.fresh = false;
    if (this.details?.open) this.fill();
  }
  fill() {
    if (this.fresh) return;
    this.fresh = true;
    const { store, range } = this.plot.view;
    const [from, to] = range;
    const first = store.length ? store.at(from) : 0, last = store.length ? store.at(to) : -1;
    const step = Math.max(1, Math.ceil((last - first + 1) / MOST_ROWS));
    const series = this.plot.spec.table?.(this.plot) ?? this.plot.series;
    const head = element("tr", {}, element("th", { scope: "col" }, "time"), ...series.map((one) => element("th", { scope: "col", class: "n" }, one.label)));
    const rows = [];
    for (let point = first; point <= last; point += step) {
      rows.push(element("tr", {}, element("th", { scope: "row" }, clock(store.first[point])),
        ...series.map((one) => element("td", { class: "n" }, spelled(one.unit ?? this.plot.spec.unit, one.values[point])))));
    }
    const told = step > 1 ? `Every ${step}th of ${last - first + 1} points from ${clock(from)} to ${clock(to)}; zoom in for more.` : `From ${clock(from)} to ${clock(to)}.`;
    const table = element("table", {}, element("caption", {}, told), element("thead", {}, head), element("tbody", {}, ...rows));
    this.details.querySelector(".wide").replaceChildren(table);
  }
}
