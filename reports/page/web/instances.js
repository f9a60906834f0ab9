// A chart over all servers: lines while they are few, a row of a heat map for each when they are many.

const FEW = 8;
const LINES = ["blue", "orange", "green", "red", "purple", "sky", "ink", "grey"];
const DASHES = [[], [8, 3], [3, 3], [10, 3, 2, 3], [1, 3], [14, 4], [6, 2, 2, 2], [2, 6]];

function instancesSpec(choice) {
  const shown = (store) => store.servers();
  const many = (store) => choice.name === "state" || shown(store).length > FEW;
  return {
    title: "Servers", get unit() { return choice.unit; },
    heightOf: (store) => (many(store) ? Math.min(520, Math.max(120, 34 + shown(store).length * (shown(store).length > 40 ? 3 : 12))) : 200),
    shape: (store) => `${choice.name} ${many(store)} ${shown(store).length}`,
    get rows() { return many(choice.store) ? (plot) => Math.max(1, shown(plot.view.store).length) : undefined; },
    series: (store) => (many(store) ? [] : shown(store).map((number, place) =>
      line(store, `server ${number}`, LINES[place % LINES.length], ...measured(store, number, choice.name), { dash: DASHES[place % DASHES.length], spread: false }))),
    told: (plot) => (many(plot.view.store) ? `${shown(plot.view.store).length} servers, ${measureOf(choice.name).label}: ${extremes(plot.view.store, choice)}` : undefined),
    table: (plot) => shown(plot.view.store).slice(0, 24).map((number) => ({ label: `server ${number}`, unit: choice.unit, values: plot.view.store.values(...measured(plot.view.store, number, choice.name)) })),
    keys: (plot, point) => (many(plot.view.store) ? ranking(plot.view.store, choice, point, 5).map(([number, value]) => `server ${number} ${choice.say(value)}`).join(", ") : null),
    legend: (plot, point) => (many(plot.view.store) ? heatLegend(plot, choice, point) : []),
    paint: (u, plot, all) => { if (many(plot.view.store)) paintHeat(u, plot, choice, all); },
  };
}

function ranking(store, choice, point, most) {
  const found = [];
  for (const number of store.servers()) {
    const value = store.value(...measured(store, number, choice.name), point);
    if (value !== null) found.push([number, value]);
  }
  return found.sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, most);
}

function scaleOf(store, choice) {
  const most = measureOf(choice.name).most ?? (choice.unit === "permille" ? 1000 : 0);
  if (most) return most;
  let top = 1;
  for (const number of store.servers()) {
    const [group, key, name] = measured(store, number, choice.name);
    const column = store.groups[group][key]?.[name];
    if (column) top = Math.max(top, peak(column, store.length));
  }
  return top;
}

function extremes(store, choice) {
  return choice.name === "state" ? "by colour" : `up to ${spelled(choice.unit, scaleOf(store, choice))}`;
}

const STATE_COLOURS = {
  pending: "#9a9a9a", booting: "#e8b13a", serving: "#1f8fc4", canary: "#d0679f", standby: "#7fb6a8", draining: "#c46a1b", failed: "#b3261e", updating: "#8e6bc9",
};

function heatColours(store, choice, all) {
  if (choice.name === "state") return (value) => rgb(STATE_COLOURS[store.document.states[value]] ?? all.grid);
  const steps = all.ramp.map(rgb);
  const top = scaleOf(store, choice);
  return (value) => steps[Math.min(steps.length - 1, Math.floor((value / top) * steps.length * 0.9999))];
}

// One pixel across per column of pixels (the greatest second of it), one down per server, then stretched.
function paintHeat(u, plot, choice, all) {
  const store = plot.view.store, numbers = store.servers();
  const { left, top, width, height } = u.bbox;
  const across = Math.max(1, Math.floor(width / devicePixelRatio));
  const [from, to] = plot.view.range;
  if (!numbers.length || !store.length) return;
  const image = new ImageData(across, numbers.length);
  const colour = heatColours(store, choice, all);
  const bounds = Array.from({ length: across + 1 }, (_, x) => from + ((to - from) * x) / across);
  const places = bounds.map((second) => (second >= store.end ? store.length : store.at(second)));
  numbers.forEach((number, row) => {
    const [group, key, name] = measured(store, number, choice.name);
    const column = store.groups[group][key]?.[name];
    if (!column) return;
    const source = name === "state" ? column.value : column.high ?? column.value;
    for (let x = 0; x < across; x++) {
      let most = NONE;
      for (let point = places[x]; point < Math.max(places[x + 1], places[x] + 1) && point < store.length; point++) {
        if (source[point] > most) most = source[point];
      }
      if (most === NONE) continue;
      const [r, g, b] = colour(most);
      image.data.set([r, g, b, 255], (row * across + x) * 4);
    }
  });
  const canvas = document.createElement("canvas");
  canvas.width = across;
  canvas.height = numbers.length;
  canvas.getContext("2d").putImageData(image, 0, 0);
  const { ctx } = u;
  ctx.save();
  ctx.imageSmoothingEnabled = false;
  ctx.drawImage(canvas, left, top, width, height);
  ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.fillStyle = all.soft;
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  const step = Math.max(1, Math.ceil((16 * numbers.length * devicePixelRatio) / height));
  for (let row = 0; row < numbers.length; row += step) {
    ctx.fillText(`server ${numbers[row]}`, left - 8 * devicePixelRatio, top + ((row + 0.5) * height) / numbers.length);
  }
  ctx.restore();
}

function heatLegend(plot, choice, point) {
  const store = plot.view.store, all = colours();
  const found = [];
  if (choice.name === "state") {
    const there = new Set(store.servers().flatMap((number) => Array.from(store.groups.servers[number].state.value.subarray(0, store.length))));
    for (const [code, name] of store.document.states.entries()) {
      if (there.has(code) && STATE_COLOURS[name]) found.push(element("div", { class: "key" }, element("i", { class: "chip", style: `background:${STATE_COLOURS[name]}` }), element("span", {}, name)));
    }
  } else {
    const top = scaleOf(store, choice);
    const bar = element("div", { class: "ramp", "aria-hidden": "true" }, ...all.ramp.map((colour) => element("i", { style: `background:${colour}` })));
    found.push(element("div", { class: "scale" }, element("span", {}, spelled(choice.unit, 0)), bar, element("span", {}, spelled(choice.unit, top))));
  }
  if (point !== null) {
    const here = store.servers()[plot.row ?? -1];
    if (here !== undefined) {
      const value = store.value(...measured(store, here, choice.name), point);
      found.push(element("div", { class: "key" }, element("strong", {}, `server ${here}`), element("b", {}, value === null ? "none" : choice.say(value))));
    }
    if (choice.name === "state") return found;
    found.push(element("p", { class: "soft" }, "most at the cursor:"));
    for (const [number, value] of ranking(store, choice, point, 5)) {
      found.push(element("div", { class: "key" }, element("span", {}, `server ${number}`), element("b", {}, choice.say(value))));
    }
  }
  return found;
}
