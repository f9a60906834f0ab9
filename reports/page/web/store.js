// What is known of the run, in columns of bounded length. Recent seconds are kept one by one; older ones are merged, and the least and the greatest of them kept.

const RECENT = 1800; // Seconds of a live run that stay as they came.
const OLDER = 1200; // Points that stand for all seconds before those.
const STEP = 300; // So many seconds are merged at a time.
const MOST_SERVERS = 600; // Of a live run; those that are gone for longest are forgotten first.
const MOST_MARKS = 4000; // Of servers and proxy; those of faults, deploys, scaling and alerts are kept up to ten times as many.
const KEPT_KINDS = new Set(["fault", "deploy", "scaling", "alert"]);
const COUNTS = new Set(["arrived", "status_2xx", "status_3xx", "status_4xx", "status_5xx", "status_none", "errors", "ended", "requests"]);
const UNMEANT = new Set(["state"]); // A merged point is what its last second was.

class Column {
  constructor(capacity, spread) {
    this.value = new Float32Array(capacity).fill(NONE);
    // Where a point is one second, its value is its least and its greatest too.
    this.low = spread ? new Float32Array(capacity).fill(NONE) : null;
    this.high = spread ? new Float32Array(capacity).fill(NONE) : null;
  }
  grow(capacity) {
    for (const name of ["value", "low", "high"]) {
      if (!this[name]) continue;
      const larger = new Float32Array(capacity).fill(NONE);
      larger.set(this[name]);
      this[name] = larger;
    }
  }
  // Puts the points [from, to) into one, at place.
  merge(place, from, to, spans, last) {
    let total = 0, weight = 0, low = NONE, high = NONE, latest = NONE;
    for (let point = from; point < to; point++) {
      const value = this.value[point];
      if (value === NONE) continue;
      latest = value;
      total += value * spans[point];
      weight += spans[point];
      const least = this.low ? this.low[point] : value;
      if (low === NONE || least < low) low = least;
      high = Math.max(high, this.high ? this.high[point] : value);
    }
    this.value[place] = last || !weight ? latest : total / weight;
    if (this.low) { this.low[place] = low; this.high[place] = high; }
  }
  move(from, to, place) {
    for (const name of ["value", "low", "high"]) {
      if (!this[name]) continue;
      this[name].copyWithin(place, from, to);
      this[name].fill(NONE, place + to - from, to);
    }
  }
}

class Store {
  constructor(document) {
    this.document = document;
    this.live = document.live;
    this.length = 0; // Points.
    this.capacity = Math.max(document.frame.points, 64);
    this.first = new Int32Array(this.capacity); // First second of a point.
    this.span = new Int32Array(this.capacity); // Seconds that it stands for.
    this.old = 0; // So many points are merged ones.
    this.groups = { fleet: {}, servers: {}, edges: {} };
    this.marks = [];
    this.open = new Map(); // What has begun and not ended, by kind and name.
    this.merged = document.frame.width > 1;
    this.take(document.frame);
  }
  get end() { // The second after the last one.
    return this.length ? this.first[this.length - 1] + this.span[this.length - 1] : 0;
  }
  columns(frame) {
    const found = [["fleet", null, frame.fleet]];
    for (const group of ["servers", "edges"]) {
      for (const key of Object.keys(frame[group])) found.push([group, key, frame[group][key]]);
    }
    return found;
  }
  column(group, key, name) {
    const home = key === null ? this.groups[group] : (this.groups[group][key] ??= {});
    if (!home[name]) home[name] = new Column(this.capacity, this.merged && !UNMEANT.has(name));
    return home[name];
  }
  all() {
    const { fleet, servers, edges } = this.groups;
    return [fleet, ...Object.values(servers), ...Object.values(edges)];
  }
  // A frame's seconds; those that are there already are replaced, those left out have no values.
  take(frame) {
    const points = frame.points;
    let place = this.length;
    if (this.length && frame.first < this.end) {
      place = this.at(frame.first);
      if (this.span[place] !== frame.width) { this.mark(frame.marks); return; } // Merged by now: too late.
    } else if (this.length && frame.first > this.end) {
      for (let missing = Math.max(this.end, frame.first - RECENT); missing < frame.first; missing++) this.point(missing, 1);
      place = this.length;
    }
    for (let point = 0; point < points; point++) {
      if (place + point >= this.length) this.point(frame.first + point * frame.width, frame.width);
    }
    if (points) {
      for (const [group, key, columns] of this.columns(frame)) {
        for (const name of Object.keys(columns)) {
          const [, plain, part] = /^(.*?)(?:\.(low|high))?$/.exec(name);
          const column = this.column(group, key, plain);
          const kept = column[part ?? "value"];
          if (!kept) continue;
          // Where a point is several seconds, a count is their sum.
          const sum = frame.width > 1 && part === undefined && COUNTS.has(name);
          kept.set(sum ? Float32Array.from(columns[name], (value) => (value === NONE ? NONE : value / frame.width)) : columns[name], place);
          // A second is its own least and greatest, beside older points that stand for several.
          if (frame.width === 1 && column.low) { column.low.set(columns[name], place); column.high.set(columns[name], place); }
        }
      }
    }
    this.mark(frame.marks);
    if (this.live) this.bound();
  }
  point(first, span) {
    if (this.length === this.capacity) {
      this.capacity += 600;
      for (const name of ["first", "span"]) {
        const larger = new Int32Array(this.capacity);
        larger.set(this[name]);
        this[name] = larger;
      }
      for (const columns of this.all()) for (const column of Object.values(columns)) column.grow(this.capacity);
    }
    this.first[this.length] = first;
    this.span[this.length] = span;
    this.length += 1;
  }
  // Merges the oldest of the recent seconds when there are too many, and pairs of older points when those are.
  bound() {
    if (this.length - this.old >= RECENT + STEP) {
      const width = this.old ? this.span[0] : 2;
      this.fold(this.old, this.old + STEP, width);
    }
    while (this.old > OLDER) this.fold(0, this.old, this.span[0] * 2);
    if (Object.keys(this.groups.servers).length > MOST_SERVERS) this.forget();
  }
  fold(from, to, width) {
    if (!this.merged) {
      this.merged = true;
      for (const columns of this.all()) {
        for (const [name, column] of Object.entries(columns)) {
          if (UNMEANT.has(name)) continue;
          column.low = column.value.slice();
          column.high = column.value.slice();
        }
      }
    }
    const groups = [];
    for (let point = from; point < to; ) {
      let next = point + 1;
      let seconds = this.span[point];
      while (next < to && seconds + this.span[next] <= width) seconds += this.span[next++];
      groups.push([point, next, seconds]);
      point = next;
    }
    for (const columns of this.all()) {
      for (const [name, column] of Object.entries(columns)) {
        groups.forEach(([a, b], place) => column.merge(from + place, a, b, this.span, UNMEANT.has(name)));
        column.move(to, this.length, from + groups.length);
      }
    }
    const firsts = groups.map(([a]) => this.first[a]);
    groups.forEach(([, , seconds], place) => {
      this.first[from + place] = firsts[place];
      this.span[from + place] = seconds;
    });
    for (const name of ["first", "span"]) this[name].copyWithin(from + groups.length, to, this.length);
    this.length -= to - from - groups.length;
    this.old = from === 0 && to === this.old ? groups.length : this.old + groups.length;
  }
  forget() {
    const seen = Object.entries(this.groups.servers).map(([number, columns]) => {
      let last = this.length - 1;
      while (last >= 0 && columns.state.value[last] === NONE) last--;
      return [number, last];
    });
    seen.sort((a, b) => a[1] - b[1] || a[0] - b[0]);
    for (const [number] of seen.slice(0, seen.length - MOST_SERVERS)) {
      delete this.groups.servers[number];
      delete this.groups.edges[`proxy>server-${number}`];
    }
  }
  mark(marks) {
    for (const one of marks) {
      const name = `${one.kind}/${one.name}`;
      if (one.phase === "ends") {
        const begun = this.open.get(name);
        if (begun) { begun.end = one.t / 1e9; this.open.delete(name); continue; }
      }
      // What was said of a server ends with it.
      if (one.name === "terminated") {
        for (const [key, begun] of this.open) {
          if (begun.kind === "proxy" && begun.nodes.some((node) => one.nodes.includes(node))) { begun.end = one.t / 1e9; this.open.delete(key); }
        }
      }
      const mark = { ...one, at: one.t / 1e9, end: one.phase === "begins" ? (one.until > 0 ? one.until / 1e9 : null) : one.t / 1e9 };
      this.marks.push(mark);
      if (one.phase === "begins") this.open.set(name, mark);
    }
    if (!this.live) return;
    for (const [most, kept] of [[MOST_MARKS, false], [10 * MOST_MARKS, true]]) {
      let many = this.marks.filter((one) => KEPT_KINDS.has(one.kind) === kept).length - most;
      if (many > 0) this.marks = this.marks.filter((one) => KEPT_KINDS.has(one.kind) !== kept || many-- <= 0);
    }
  }
  // The point that holds a second.
  at(second) {
    let low = 0, high = this.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.first[middle] <= second) low = middle; else high = middle - 1;
    }
    return low;
  }
  // The middles of the points, in seconds.
  times() {
    return Array.from({ length: this.length }, (_, point) => this.first[point] + this.span[point] / 2);
  }
  // A column as a chart takes it: null where there is nothing. part: value, low or high.
  values(group, key, name, part = "value", scale = 1) {
    const home = key === null ? this.groups[group] : this.groups[group][key];
    const column = home?.[name];
    if (!column) return new Array(this.length).fill(null);
    const source = column[part] ?? column.value;
    return Array.from({ length: this.length }, (_, point) => (source[point] === NONE ? null : source[point] / scale));
  }
  value(group, key, name, point) {
    const home = key === null ? this.groups[group] : this.groups[group][key];
    const found = home?.[name]?.value[point];
    return found === undefined || found === NONE ? null : found;
  }
  // Over all seconds; null: none has a value.
  total(group, key, name) {
    const home = key === null ? this.groups[group] : this.groups[group][key];
    const column = home?.[name];
    if (!column) return null;
    let sum = 0, some = false;
    for (let point = 0; point < this.length; point++) {
      if (column.value[point] === NONE) continue;
      sum += column.value[point] * this.span[point];
      some = true;
    }
    return some ? sum : null;
  }
  servers() {
    return Object.keys(this.groups.servers).map(Number).sort((a, b) => a - b);
  }
}
