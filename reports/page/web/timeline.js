// Rows of what happened, on the same axis as the charts: bars for what lasts, signs for what is a moment.

const ROWS = [
  ["fault", "faults"], ["deploy", "deploys"], ["scaling", "scaling"], ["alert", "alerts"], ["server", "servers"], ["proxy", "proxy"],
  ["registry", "registry"], ["cloud", "cloud"], ["other", "other"],
];
const SIGNS = { bad: "x", good: "o", note: "v" };

function timelineSpec() {
  const rows = (store) => {
    const there = new Set(store.marks.map((one) => one.kind));
    const found = ROWS.filter(([kind]) => there.has(kind) || kind === "fault" || kind === "scaling");
    return found;
  };
  return {
    title: "Timeline", unit: "count", heightOf: (store) => 40 + 24 * rows(store).length,
    rows: (plot) => rows(plot.view.store).length,
    series: () => [],
    told: (plot) => {
      const store = plot.view.store;
      const counts = rows(store).map(([kind, label]) => `${store.marks.filter((one) => one.kind === kind).length} in ${label}`);
      return counts.join(", ");
    },
    keys: (plot, point) => around(plot.view.store, point).slice(0, 6).map((one) => one.text).join("; ") || "nothing",
    legend: (plot, point) => {
      if (point === null) return [element("p", { class: "soft" }, "Under the cursor: what happened.")];
      const found = around(plot.view.store, point);
      const lines = found.slice(0, 5).map((one) => element("p", { class: `said ${one.tone}` }, `${SYMBOLS[one.tone]} ${clock(one.at)} ${one.text}`));
      if (found.length > 5) lines.push(element("p", { class: "soft" }, `and ${found.length - 5} more`));
      return lines.length ? lines : [element("p", { class: "soft" }, "nothing")];
    },
    paint: (u, plot, all) => paintMarks(u, plot.view, rows(plot.view.store), all),
  };
}

const SYMBOLS = { bad: "✗", good: "✓", note: "·" };

// What lasts at a point, and what happened in it.
function around(store, point) {
  const from = store.first[point], to = from + store.span[point];
  const near = store.marks.filter((one) => one.at < to && (one.end ?? Infinity) >= from);
  const rank = (one) => (one.kind === "fault" ? 0 : one.kind === "deploy" ? 1 : one.kind === "scaling" ? 2 : 3);
  return near.sort((a, b) => rank(a) - rank(b) || b.at - a.at);
}

function paintMarks(u, view, rows, all) {
  const { ctx } = u;
  const { left, top, width } = u.bbox;
  const px = devicePixelRatio;
  const tone = { bad: all.red, good: all.green, note: all.blue };
  const [from, to] = view.range;
  ctx.save();
  ctx.font = `${12 * px}px system-ui, sans-serif`;
  ctx.textBaseline = "middle";
  rows.forEach(([kind, label], row) => {
    const y = u.valToPos(row + 0.5, "y", true);
    ctx.textAlign = "right";
    ctx.fillStyle = all.soft;
    ctx.fillText(label, left - 8 * px, y);
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, u.bbox.height);
    ctx.clip();
    let free = -Infinity;
    for (const mark of view.store.marks) {
      if (mark.kind !== kind) continue;
      const end = mark.end ?? view.store.end;
      if (end < from || mark.at > to) continue;
      const a = u.valToPos(mark.at, "x", true), b = u.valToPos(end, "x", true);
      ctx.fillStyle = ctx.strokeStyle = tone[mark.tone];
      if (mark.phase !== "at") {
        ctx.globalAlpha = 0.35;
        ctx.fillRect(a, y - 8 * px, Math.max(b - a, 2 * px), 16 * px);
        ctx.globalAlpha = 1;
        ctx.fillRect(a, y - 8 * px, 1.5 * px, 16 * px);
      }
      if (mark.phase === "at") sign(ctx, SIGNS[mark.tone], a, y, 4 * px);
      // A name where there is room for it.
      if ((kind === "fault" || (mark.phase !== "at" && (kind === "deploy" || kind === "alert"))) && a + 4 * px > free) {
        const text = mark.name;
        const wide = ctx.measureText(text).width;
        const x = mark.phase === "at" ? a + 8 * px : Math.max(a, left) + 5 * px;
        if (x + wide < left + width) {
          ctx.textAlign = "left";
          ctx.fillStyle = all.ink;
          ctx.fillText(text, x, y);
          free = x + wide + 6 * px;
        }
      }
    }
    ctx.restore();
  });
  ctx.restore();
}

function sign(ctx, shape, x, y, size) {
  ctx.beginPath();
  ctx.lineWidth = size / 2.5;
  if (shape === "x") {
    ctx.moveTo(x - size, y - size); ctx.lineTo(x + size, y + size);
    ctx.moveTo(x - size, y + size); ctx.lineTo(x + size, y - size);
    ctx.stroke();
  } else if (shape === "o") { ctx.arc(x, y, size, 0, 2 * Math.PI); ctx.fill(); }
  else { ctx.moveTo(x - size, y - size); ctx.lineTo(x + size, y - size); ctx.lineTo(x, y + size); ctx.fill(); }
}
