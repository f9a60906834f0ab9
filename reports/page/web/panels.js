// Which charts there are, and what each shows.

const CLASSES = [
  ["status_2xx", "2xx", "green", []], ["status_3xx", "3xx", "sky", [2, 2]], ["status_4xx", "4xx", "purple", [8, 3]],
  ["status_5xx", "5xx", "red", [4, 3]], ["status_none", "no answer", "grey", [1, 3]],
];

function line(store, label, colour, group, key, name, more = {}) {
  const scale = more.scale ?? 1;
  const spread = store.merged && more.spread !== false;
  return {
    label, colour, values: store.values(group, key, name, "value", scale),
    ...(spread ? { low: store.values(group, key, name, "low", scale), high: store.values(group, key, name, "high", scale) } : {}), ...more,
  };
}

// Areas on top of each other: the last is drawn first, so that each shows its own part.
function stacked(series) {
  const total = new Array(series[0]?.values.length ?? 0).fill(0);
  for (const one of series) {
    one.drawn = one.values.map((value, point) => (total[point] += value ?? 0));
    one.fill = 0.45;
  }
  return series.reverse();
}

function latencyBounds(store) {
  return store.document.objectives.filter((one) => one.indicator.startsWith("latency_p") && one.below)
    .map((one) => ({ value: one.bound / 1000, label: `${one.name}: ${one.indicator.replace("latency_", "")} below ${milliseconds(one.bound / 1000)}` }));
}

function errorBounds(store) {
  return store.document.objectives.filter((one) => ["error_rate", "availability"].includes(one.indicator))
    .map((one) => ({ value: one.indicator === "availability" ? 1 - one.bound : one.bound, label: `${one.name}: below ${percent(one.indicator === "availability" ? 1 - one.bound : one.bound)}` }));
}

function quotient(above, below) {
  return above.map((value, point) => (value === null || !below[point] ? null : value / below[point]));
}

function ended(store, group = "edges", key = "clients>proxy") {
  if (group === "edges") return store.values(group, key, "ended");
  return CLASSES.map(([name]) => store.values("fleet", null, name)).reduce((sum, more) => sum.map((value, point) => value + (more[point] ?? 0)));
}

const PANELS = {
  requests: {
    title: "Requests by status class", unit: "rate", height: 190,
    series: (store) => stacked(CLASSES.map(([name, label, colour, dash]) => line(store, label, colour, "fleet", null, name, { dash, spread: false }))
      .filter((one, place) => place === 0 || one.values.some((value) => value > 0))),
    keys: (plot, point) => { const value = plot.view.store.value("fleet", null, "arrived", point); return value === null ? null : `at the proxy ${spelled("rate", value)}`; },
  },
  errors: {
    title: "Failed requests", unit: "share", height: 130, least: 0.01, bounds: errorBounds,
    series: (store) => [{ label: "failed", colour: "red", fill: 0.25, values: quotient(store.values("fleet", null, "errors"), ended(store, "fleet")) }],
    keys: (plot, point) => `${spelled("rate", plot.view.store.value("fleet", null, "errors", point))} of them`,
  },
  latency: {
    title: "Latency of answered requests", unit: "us", height: 190, log: true, bounds: latencyBounds,
    series: (store) => [line(store, "p99", "red", "fleet", null, "p99", { dash: [6, 3] }), line(store, "p95", "orange", "fleet", null, "p95", { dash: [10, 2] }), line(store, "p50", "blue", "fleet", null, "p50")],
  },
  sizes: {
    title: "Servers", unit: "count", height: 110,
    series: (store) => [line(store, "serving", "blue", "fleet", null, "serving", { stepped: true, fill: 0.15 }), line(store, "booting", "orange", "fleet", null, "booting", { stepped: true, dash: [4, 3] })],
  },
  proxy: {
    title: "Connections at the proxy", unit: "count", height: 130,
    bounds: (store) => (store.document.limits.max_connections > 0 && store.groups.fleet.connections && peak(store.groups.fleet.connections, store.length) > store.document.limits.max_connections / 4
      ? [{ value: store.document.limits.max_connections, label: "descriptors" }] : []),
    series: (store) => [line(store, "connections", "blue", "fleet", null, "connections"), line(store, "in flight", "green", "fleet", null, "in_flight", { dash: [6, 3] }), line(store, "accept queue", "red", "fleet", null, "queued", { dash: [2, 2] })],
  },
  delays: {
    title: "Delays of the proxy itself", unit: "us", height: 130,
    series: (store) => [line(store, "event loop", "orange", "fleet", null, "event_loop_lag"), line(store, "registry", "blue", "fleet", null, "registry_latency", { dash: [6, 3] })],
  },
  canary: {
    title: "Canary against baseline", unit: "rate", height: 150, choices: ["errors", "p95", "requests", "cpu"],
    series: (store, choice = "errors") => against(store, choice),
  },
};

function peak(column, length) {
  let most = 0;
  const source = column.high ?? column.value;
  for (let point = 0; point < length; point++) most = Math.max(most, source[point]);
  return most;
}

// What can be shown of each server: where it is kept, its unit, and its most where that is known.
const MEASURES = {
  requests: { label: "requests a second", group: "servers", unit: "rate" },
  in_flight: { label: "requests in flight", group: "servers", unit: "count" },
  queued: { label: "waiting for a worker", group: "servers", unit: "count" },
  cpu: { label: "CPU, of its cores", group: "servers", unit: "permille", most: 1000 },
  memory: { label: "memory", group: "servers", unit: "kib" },
  errors: { label: "failures a second", group: "edges", unit: "rate" },
  p95: { label: "p95 at the server", group: "edges", unit: "us" },
  state: { label: "state", group: "servers", unit: "state" },
};

// Custom metrics have columns of their own, by name.
function measureOf(name) {
  return MEASURES[name] ?? { label: name.slice("own:".length), group: "servers", unit: "milli" };
}

function measured(store, number, name) {
  const measure = measureOf(name);
  return [measure.group, measure.group === "servers" ? number : `proxy>server-${number}`, name];
}

function measureUnit(store, name) {
  return name === "memory" && store.document.limits.memory > 0 ? "permille" : measureOf(name).unit;
}

// Means over the canaries and over the servers that serve, second by second.
function against(store, choice) {
  const state = { canary: store.document.states.indexOf("canary"), baseline: store.document.states.indexOf("serving") };
  const unit = choice === "errors" ? "share" : measureUnit(store, choice);
  return Object.entries(state).map(([label, code]) => {
    const values = Array.from({ length: store.length }, (_, point) => {
      let sum = 0, weight = 0;
      for (const number of store.servers()) {
        if (store.value("servers", number, "state", point) !== code) continue;
        const edge = `proxy>server-${number}`;
        const many = store.value("edges", edge, "ended", point) ?? 0;
        if (choice === "errors") { sum += store.value("edges", edge, "errors", point) ?? 0; weight += many; continue; }
        const value = store.value(...measured(store, number, choice), point);
        if (value === null) continue;
        const counts = choice === "p95" ? many : 1;
        sum += value * counts;
        weight += counts;
      }
      return weight ? sum / weight : null;
    });
    return { label, unit, values, colour: label === "canary" ? "orange" : "blue", dash: label === "canary" ? [] : [6, 3], width: label === "canary" ? 2.2 : 1.6 };
  });
}
