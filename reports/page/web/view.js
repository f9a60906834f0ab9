// What all charts share: the time under the cursor, and the stretch of the run that is shown.

class View {
  constructor(store) {
    this.store = store;
    this.cursor = null; // Seconds; null: nowhere.
    this.from = null; // Zoom, in seconds; null: the whole run.
    this.to = null;
    this.listeners = { cursor: [], zoom: [], data: [] };
  }
  on(what, act) { this.listeners[what].push(act); }
  tell(what, source) { for (const act of this.listeners[what]) act(source); }
  get range() {
    const end = this.store.live ? Math.max(this.store.end, 60) : Math.max(this.store.end, this.store.document.end, 1);
    return this.from === null ? [0, end] : [this.from, this.to];
  }
  point(second, source) {
    if (second !== null) second = Math.min(Math.max(second, 0), Math.max(this.store.end - 0.001, 0));
    if (second === this.cursor) return;
    this.cursor = second;
    this.tell("cursor", source);
  }
  zoom(from, to) {
    const end = Math.max(this.store.end, 1);
    if (from === null || to - from >= end) { this.from = this.to = null; }
    else {
      const length = Math.max(to - from, 2);
      this.from = Math.min(Math.max(from, 0), Math.max(end - length, 0));
      this.to = this.from + length;
    }
    this.tell("zoom");
  }
  scale(factor) { // Around the cursor, or the middle.
    const [from, to] = this.range;
    const middle = this.cursor === null ? (from + to) / 2 : this.cursor;
    this.zoom(middle - (middle - from) * factor, middle + (to - middle) * factor);
  }
  step(direction) {
    const point = this.cursor === null ? this.store.at(this.range[0]) - (direction > 0 ? 1 : 0) : this.store.at(this.cursor);
    const next = Math.min(Math.max(point + direction, 0), this.store.length - 1);
    const second = this.store.first[next] + this.store.span[next] / 2;
    this.point(second);
    const [from, to] = this.range;
    if (this.from !== null && (second < from || second > to)) this.zoom(second - (to - from) / 2, second + (to - from) / 2);
  }
}
