// Numbers and times in words, as the tables write them (reports/wording.py).

const NONE = -1;

function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const s = String(whole % 60).padStart(2, "0");
  const m = Math.floor(whole / 60);
  return m < 60 ? `${m}:${s}` : `${Math.floor(m / 60)}:${String(m % 60).padStart(2, "0")}:${s}`;
}

function grouped(value, digits = 0) {
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function short(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return `${grouped(value / 1e6, size >= 1e7 ? 0 : 1)}M`;
  if (size >= 1e4) return `${grouped(value / 1e3)}k`;
  return grouped(value, size > 0 && size < 10 && !Number.isInteger(value) ? 1 : 0);
}

function milliseconds(us) {
  const ms = us / 1000;
  if (ms >= 10000) return `${grouped(ms / 1000, 1)} s`;
  if (ms >= 1000) return `${grouped(ms / 1000, 2)} s`;
  return `${grouped(ms, ms < 10 ? 2 : ms < 100 ? 1 : 0)} ms`;
}

function percent(share) {
  const value = share * 100;
  if (value === 0 || value === 100) return `${value}%`;
  return `${grouped(value, value < 1 || (value >= 99.9 && value < 100) ? 3 : value < 10 ? 2 : 1)}%`;
}

// How a value of a unit is written; null: nothing was recorded.
const SPELL = {
  count: (value) => short(value),
  rate: (value) => `${short(value)}/s`,
  us: (value) => milliseconds(value),
  permille: (value) => percent(value / 1000),
  share: (value) => percent(value),
  milli: (value) => short(value / 1000),
  kib: (value) => `${short(value / 1024)} MiB`,
};

function spelled(unit, value) {
  return value === null || value === undefined ? "none" : SPELL[unit](value);
}
