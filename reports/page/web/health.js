// How healthy a part is, by the objectives: as reports/profiler/map.py says it, for a moment instead of a window.

const HEALTH = {
  good: ["green", "✓", "within the objectives"], warning: ["orange", "!", "beyond 80% of what an objective allows"], bad: ["red", "✗", "beyond what an objective allows"],
  down: ["red", "✕", "answers nobody"], idle: ["grey", "○", "nothing goes through"], unknown: ["grey", "·", "not recorded"],
};

const NEAR = 0.8; // Of what an objective allows: from there on it is a warning.

function limits(objectives) {
  let errors = Infinity, latency = Infinity;
  for (const one of objectives) {
    if (one.indicator === "error_rate" && one.below) errors = Math.min(errors, one.bound);
    if (one.indicator === "availability" && !one.below) errors = Math.min(errors, 1 - one.bound);
    if (/^latency_p9/.test(one.indicator) && one.below) latency = Math.min(latency, one.bound / 1000);
  }
  return { errors, latency };
}

// rate: a second; errors: a share; p95: us. Null is not known.
function judged(limit, { rate, errors, p95 }) {
  if (rate === null) return ["unknown", ""];
  if (rate === 0) return ["idle", "no request"];
  const over = [];
  if (errors !== null && errors > 0 && errors >= limit.errors) over.push(["bad", `${percent(errors)} fail, ${percent(limit.errors)} allowed`]);
  else if (errors !== null && errors > 0 && errors >= limit.errors * NEAR) over.push(["warning", `${percent(errors)} fail, ${percent(limit.errors)} allowed`]);
  // Without an objective about it, a failure in ten is bad, any other a warning.
  else if (errors !== null && errors > 0 && limit.errors === Infinity) over.push([errors >= 0.1 ? "bad" : "warning", `${percent(errors)} fail`]);
  if (p95 !== null && p95 >= limit.latency) over.push(["bad", `p95 ${milliseconds(p95)}, ${milliseconds(limit.latency)} allowed`]);
  else if (p95 !== null && p95 >= limit.latency * NEAR) over.push(["warning", `p95 ${milliseconds(p95)}, ${milliseconds(limit.latency)} allowed`]);
  if (!over.length) return ["good", ""];
  const worst = over.some(([level]) => level === "bad") ? "bad" : "warning";
  return [worst, over.map(([, why]) => why).join("; ")];
}
