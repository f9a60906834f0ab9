// The map: clients, proxy, servers, dependencies, registry, autoscaler and cloud; what goes between them; at the time under the cursor, or over the whole run.

const WINDOW = 5; // Seconds up to the cursor that the map's figures are of.
const FEW_NODES = 8; // More servers stand in a grid.
const CONTROL = ["registry", "autoscaler", "cloud"];

// What the document says of a node or an edge over the whole run.
function known(part) {
  return { rate: part.rate, errors: part.errors, p95: part.p95_ns === null ? null : part.p95_ns / 1000 };
}

class FleetMap {
  constructor(view, home) {
    this.view = view;
    this.home = home;
    this.body = home.querySelector(".plot");
    this.legend = home.querySelector(".legend");
    this.details = home.querySelector("details.figures");
    this.limit = limits(view.store.document.objectives);
    this.chosen = null;
    this.details?.addEventListener("toggle", () => this.tabulate());
    this.body.addEventListener("keydown", (event) => this.key(event));
    this.draw();
  }
  // Nodes and edges, with servers that came after the document was written.
  parts() {
    const { document: told, groups } = this.view.store;
    const nodes = [...told.nodes], edges = [...told.edges];
    const there = new Set(nodes.map((one) => one.id));
    const called = [...new Set(told.nodes.filter((one) => one.kind === "dependency").map((one) => one.id))];
    for (const number of this.view.store.servers()) {
      const id = `server-${number}`;
      if (there.has(id)) continue;
      nodes.push({ id, kind: "app", name: `server ${number}`, version: "", rate: null, errors: null, p95_ns: null, health: "unknown", why: "" });
      for (const [source, target] of [["proxy", id], ...called.map((one) => [id, one])]) {
        edges.push({ source, target, rate: null, errors: null, p95_ns: null, health: "unknown", why: "" });
      }
    }
    return [nodes.filter((one) => one.kind !== "app" || !this.view.store.live || groups.servers[one.id.slice(7)]), edges];
  }
  // Figures of an edge: of the seconds up to the cursor, or of the whole run, as the profiler has them.
  flow(edge) {
    const store = this.view.store, key = `${edge.source}>${edge.target}`;
    if (this.view.cursor === null && (edge.rate !== null || !store.groups.edges[key])) return known(edge);
    if (!store.groups.edges[key]) return { rate: null, errors: null, p95: null };
    if (this.view.cursor === null) {
      const many = store.total("edges", key, "ended"), wrong = store.total("edges", key, "errors");
      return { rate: many / Math.max(store.end, 1), errors: many ? wrong / many : null, p95: null };
    }
    const last = store.at(this.view.cursor), first = store.at(Math.max(0, store.first[last] - WINDOW + 1));
    let many = 0, wrong = 0, seconds = 0, slow = 0, answered = 0;
    for (let point = first; point <= last; point++) {
      seconds += store.span[point];
      const here = (store.value("edges", key, "ended", point) ?? 0) * store.span[point];
      many += here;
      wrong += (store.value("edges", key, "errors", point) ?? 0) * store.span[point];
      const value = store.value("edges", key, "p95", point);
      if (value !== null) { slow += value * here; answered += here; } // The mean of the seconds' own.
    }
    return { rate: many / seconds, errors: many ? wrong / many : null, p95: answered ? slow / answered : null };
  }
  // Figures of all nodes, by id.
  figures(nodes, edges) {
    const store = this.view.store, point = this.view.cursor === null ? null : store.at(this.view.cursor);
    const found = new Map();
    for (const edge of edges) {
      edge.now = this.flow(edge);
      [edge.level, edge.reason] = this.view.cursor === null && edge.health !== "unknown" ? [edge.health, edge.why] : judged(this.limit, edge.now);
    }
    const into = new Map(edges.filter((edge) => ["clients", "proxy"].includes(edge.source)).map((edge) => [edge.target, edge]));
    const faults = point === null ? [] : around(store, point).filter((one) => one.kind === "fault");
    for (const node of nodes) {
      const now = ["clients", "proxy", "app"].includes(node.kind) ? into.get(node.kind === "clients" ? "proxy" : node.id)?.now : undefined;
      const whole = point === null && node.rate !== null;
      const figure = { ...(whole ? known(node) : now ?? { rate: null, errors: null, p95: null }), state: "" };
      [figure.level, figure.why] = point === null && node.health !== "unknown" ? [node.health, node.why] : now ? judged(this.limit, figure) : ["unknown", ""];
      if (node.kind === "app") this.server(node, figure, point);
      const hit = faults.filter((one) => one.nodes.includes(node.id)).map((one) => one.name);
      if (hit.length) figure.why = [`fault ${hit.join(", ")}`, figure.why].filter(Boolean).join("; ");
      figure.hit = hit.length > 0;
      found.set(node.id, figure);
    }
    this.most = Math.max(...nodes.filter((one) => one.kind === "app").map((one) => found.get(one.id).rate ?? 0), 0);
    return found;
  }
  server(node, figure, point) {
    const store = this.view.store, number = node.id.slice(7);
    const at = point ?? store.length - 1;
    const code = store.value("servers", number, "state", at);
    figure.state = code === null ? "gone" : store.document.states[code];
    if (point === null && figure.rate) return;
    if (figure.state === "failed") [figure.level, figure.why] = ["down", "its process is dead"];
    else if (figure.state === "gone") [figure.level, figure.why] = ["idle", "not there"];
    else if (figure.state !== "serving" && figure.state !== "canary" && !figure.rate) [figure.level, figure.why] = ["idle", figure.state];
    for (const name of ["in_flight", "queued", "cpu", "memory"]) figure[name] = store.value("servers", number, name, at);
  }
  draw() {
    const [nodes, edges] = this.parts();
    const figures = this.figures(nodes, edges);
    const places = this.layout(nodes);
    const all = colours();
    const svg = drawn("svg", { viewBox: `0 0 1000 ${places.height}`, role: "group", "aria-label": this.summary(nodes, figures), class: places.grid ? "map grid" : "map" });
    for (const edge of edges) this.edge(svg, edge, places, all);
    for (const node of nodes) this.node(svg, node, figures.get(node.id), places, all);
    const focused = this.body.contains(document.activeElement) ? document.activeElement.dataset?.id : null;
    this.body.replaceChildren(svg);
    this.now = [nodes, edges, figures];
    if (focused) this.body.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
    this.tell();
    this.tabulate();
  }
  summary(nodes, figures) {
    const when = this.view.cursor === null ? "over the whole run" : `at ${clock(this.view.cursor)}`;
    const counts = {};
    for (const node of nodes) { const { level } = figures.get(node.id); counts[level] = (counts[level] ?? 0) + 1; }
    return `Map of the fleet ${when}: ${Object.entries(counts).map(([level, many]) => `${many} ${level}`).join(", ")}. Arrow keys go from part to part.`;
  }
  layout(nodes) {
    const servers = nodes.filter((one) => one.kind === "app"), others = nodes.filter((one) => one.kind === "dependency");
    const control = nodes.filter((one) => CONTROL.includes(one.kind));
    const grid = servers.length > FEW_NODES;
    const across = Math.max(1, Math.ceil(Math.sqrt(servers.length * 1.5)));
    const cell = grid ? Math.min(44, 380 / across) : 0;
    const tall = grid ? Math.ceil(servers.length / across) * cell : Math.max(servers.length, 1) * 70;
    const main = Math.max(tall, others.length * 80, 200);
    const top = 24, middle = top + main / 2;
    const at = new Map([["clients", [70, middle, 26]], ["proxy", [270, middle, 30]]]);
    servers.forEach((one, place) => {
      if (grid) at.set(one.id, [430 + (place % across) * cell + cell / 2, middle - tall / 2 + Math.floor(place / across) * cell + cell / 2, cell / 2]);
      else at.set(one.id, [560, middle + (place - (servers.length - 1) / 2) * 70, 20]);
    });
    others.forEach((one, place) => at.set(one.id, [900, middle + (place - (others.length - 1) / 2) * 80, 22]));
    control.forEach((one, place) => at.set(one.id, [270 + place * 290, top + main + 66, 20]));
    return { at, grid, cell, tall, middle, across, height: top + main + (control.length ? 112 : 24), servers: servers.length };
  }
  edge(svg, edge, places, all) {
    const a = places.at.get(edge.source), b = places.at.get(edge.target);
    if (!a || !b) return;
    const control = CONTROL.some((kind) => edge.source.startsWith(kind) || edge.target.startsWith(kind));
    const server = edge.source.startsWith("server") || edge.target.startsWith("server");
    if (control && server) return; // Each server writes to the registry: said, not drawn.
    if (places.grid && server) {
      if (edge.target !== `server-${this.firstServer()}`) return;
      const y = places.middle;
      svg.append(drawn("path", { d: `M${a[0] + a[2]} ${y}H420`, stroke: all.soft, "stroke-width": 3, fill: "none" }));
      svg.append(drawn("text", { x: (a[0] + a[2] + 420) / 2, y: y - 8, class: "flow" }, `${places.servers} servers`));
      return;
    }
    const { rate, errors, p95 } = edge.now;
    const stroke = control || edge.level === "unknown" || edge.level === "idle" ? all.grey : all[HEALTH[edge.level][0]];
    const wide = control ? 1.2 : Math.min(7, 1.2 + Math.sqrt(rate ?? 0) / 6);
    const dash = control || edge.level === "unknown" ? "3 4" : edge.level === "bad" ? "8 3" : null;
    if (server && edge.now.rate === 0) return; // Nothing goes there.
    const from = edge.source.startsWith("server") ? [a[0] + 112, a[1]] : control && edge.source === "proxy" ? [a[0], a[1] + 56] : a;
    const along = Math.abs(a[1] - b[1]) < 4 || control ? `M${from[0]} ${from[1]}L${b[0]} ${b[1]}` : `M${from[0]} ${from[1]}C${(from[0] + b[0]) / 2} ${a[1]} ${(from[0] + b[0]) / 2} ${b[1]} ${b[0]} ${b[1]}`;
    svg.append(drawn("path", { d: along, stroke, "stroke-width": wide, "stroke-dasharray": dash, fill: "none", opacity: 0.8 }));
    if (control || (rate === null)) return;
    const symbol = ["warning", "bad", "down"].includes(edge.level) ? `${HEALTH[edge.level][1]} ` : "";
    const words = [`${symbol}${short(rate)}/s`, ...(errors ? [`${percent(errors)} fail`] : []), ...(p95 === null ? [] : [`p95 ${milliseconds(p95)}`])];
    if (edge.source === "clients") {
      words.forEach((word, row) => svg.append(drawn("text", { x: (a[0] + b[0]) / 2, y: a[1] - 10 - (words.length - 1 - row) * 15, class: "flow" }, word)));
    } else {
      // At the server's end, where there is room for it.
      const out = edge.source.startsWith("server");
      svg.append(drawn("text", { x: out ? from[0] + 4 : b[0] - 28, y: (out ? a[1] : b[1]) - 8, class: out ? "flow start" : "flow end" }, words.join(" · ")));
    }
  }
  firstServer() { return this.parts()[0].find((one) => one.kind === "app")?.id.slice(7); }
  node(svg, node, figure, places, all) {
    const place = places.at.get(node.id);
    if (!place) return;
    const [x, y, room] = place;
    const [colour, symbol] = HEALTH[figure.level];
    const most = this.most ?? 1;
    const share = node.kind === "app" && figure.rate !== null ? Math.sqrt(figure.rate / Math.max(most, figure.rate, 1e-9)) : 1;
    const group = drawn("g", { class: `node ${figure.level}${this.chosen === node.id ? " chosen" : ""}`, "data-id": node.id, role: "img", tabindex: this.chosen === node.id || (!this.chosen && node.id === "clients") ? 0 : -1, "aria-label": this.words(node, figure),
      onmouseenter: () => this.choose(node.id), onfocus: () => this.choose(node.id), onclick: () => this.choose(node.id) });
    group.append(drawn("title", {}, this.words(node, figure)));
    const quiet = figure.level === "idle" || figure.level === "unknown";
    const fill = quiet ? all.card : all[colour];
    const ink = quiet ? all.soft : all.paper;
    if (places.grid && node.kind === "app") {
      const half = room * (0.45 + 0.47 * share);
      group.append(drawn("rect", { x: x - room, y: y - room, width: 2 * room, height: 2 * room, fill: "transparent" }));
      group.append(drawn("rect", { x: x - half, y: y - half, width: 2 * half, height: 2 * half, rx: 2, fill, stroke: figure.hit ? all.red : all.grey, "stroke-width": figure.hit ? 2.5 : 0.6 }));
      if (figure.level !== "good") group.append(drawn("text", { x, y: y + room * 0.38, class: "symbol", style: `fill:${ink};font-size:${Math.max(9, room * 1.2)}px` }, symbol));
      if (places.cell >= 36) group.append(drawn("text", { x, y: y + room - 2, class: "number", style: `fill:${ink};font-size:10px` }, node.id.slice(7)));
    } else {
      const radius = node.kind === "app" ? 11 + 11 * share : room;
      if (node.kind === "app" || node.kind === "dependency") group.append(drawn("circle", { cx: x, cy: y, r: radius, fill, stroke: figure.hit ? all.red : all.grey, "stroke-width": figure.hit ? 3 : 1 }));
      else group.append(drawn("rect", { x: x - radius, y: y - radius * 0.8, width: 2 * radius, height: 1.6 * radius, rx: 8, fill, stroke: figure.hit ? all.red : all.grey, "stroke-width": figure.hit ? 3 : 1 }));
      group.append(drawn("text", { x, y: y + 6, class: "symbol", style: `fill:${ink};font-size:17px` }, symbol));
      const beside = node.kind === "app";
      const label = node.version ? `${node.name} (${node.version})` : node.name;
      group.append(drawn("text", { x: beside ? x + radius + 8 : x, y: beside ? y + (figure.state && figure.state !== "serving" ? -2 : 5) : y + radius + 18, class: beside ? "name start" : "name" }, label));
      if (beside && figure.state && figure.state !== "serving") group.append(drawn("text", { x: x + radius + 8, y: y + 14, class: "state start" }, figure.state));
    }
    svg.append(group);
  }
  words(node, figure) {
    const found = [node.version ? `${node.name}, version ${node.version}` : node.name];
    if (figure.state) found.push(figure.state);
    found.push(HEALTH[figure.level][2] + (figure.why ? ` (${figure.why})` : ""));
    if (figure.rate !== null && figure.rate !== undefined) found.push(`${short(figure.rate)} requests a second`);
    if (figure.errors !== null && figure.errors !== undefined) found.push(`${percent(figure.errors)} fail`);
    if (figure.p95 !== null && figure.p95 !== undefined) found.push(`p95 ${milliseconds(figure.p95)}`);
    return found.join(", ");
  }
  choose(id) {
    if (this.chosen === id) return;
    this.body.querySelector(".chosen")?.classList.remove("chosen");
    this.body.querySelectorAll('[tabindex="0"]').forEach((one) => one.setAttribute("tabindex", "-1"));
    this.chosen = id;
    const node = this.body.querySelector(`[data-id="${CSS.escape(id)}"]`);
    node?.classList.add("chosen");
    node?.setAttribute("tabindex", "0");
    this.tell();
  }
  key(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const nodes = [...this.body.querySelectorAll(".node")];
    const next = nodes[(nodes.findIndex((one) => one.dataset.id === this.chosen) + step + nodes.length) % nodes.length];
    next?.focus();
  }
  // What is chosen, beside the map; and what the signs mean.
  tell() {
    const [nodes, , figures] = this.now;
    const node = nodes.find((one) => one.id === this.chosen) ?? nodes.find((one) => one.id === "proxy");
    const figure = figures.get(node.id);
    const unit = measureUnit(this.view.store, "memory");
    const rows = [["state", figure.state || null], ["requests", figure.rate === null ? null : `${short(figure.rate)}/s`], ["failed", figure.errors === null || figure.errors === undefined ? null : percent(figure.errors)],
      ["p95", figure.p95 === null || figure.p95 === undefined ? null : milliseconds(figure.p95)], ["in flight", figure.in_flight ?? null], ["waiting", figure.queued ?? null],
      ["CPU", figure.cpu === undefined || figure.cpu === null ? null : percent(figure.cpu / 1000)], ["memory", figure.memory ? spelled(unit, figure.memory) : null]];
    const told = rows.filter(([, value]) => value !== null).map(([name, value]) => element("div", { class: "key" }, element("span", {}, name), element("b", {}, String(value))));
    const all = colours();
    const signs = Object.entries(HEALTH).map(([, [colour, symbol, text]]) => element("div", { class: "key small" }, element("span", { class: "sign", style: `color:${all[colour]}` }, symbol), element("span", {}, text)));
    this.legend.replaceChildren(
      element("p", { class: "when" }, this.view.cursor === null ? "the whole run" : `${WINDOW} s up to ${clock(this.view.cursor)}`),
      element("p", {}, element("strong", {}, node.name), ` ${HEALTH[figure.level][1]} ${figure.why || HEALTH[figure.level][2]}`), ...told, element("hr"), ...signs);
  }
  tabulate() {
    if (!this.details?.open) return;
    const [nodes, , figures] = this.now;
    const head = element("tr", {}, ...["part", "health", "why", "requests/s", "failed", "p95"].map((name, place) => element("th", { scope: "col", class: place > 2 ? "n" : null }, name)));
    const rows = nodes.map((node) => {
      const figure = figures.get(node.id);
      const cells = [figure.level, figure.why, figure.rate === null || figure.rate === undefined ? "" : short(figure.rate), figure.errors === null || figure.errors === undefined ? "" : percent(figure.errors), figure.p95 === null || figure.p95 === undefined ? "" : milliseconds(figure.p95)];
      return element("tr", {}, element("th", { scope: "row" }, node.name), ...cells.map((text, place) => element("td", { class: place > 1 ? "n" : null }, text)));
    });
    this.details.querySelector(".wide").replaceChildren(element("table", {}, element("caption", {}, this.view.cursor === null ? "Over the whole run" : `At ${clock(this.view.cursor)}`), element("thead", {}, head), element("tbody", {}, ...rows)));
  }
}
