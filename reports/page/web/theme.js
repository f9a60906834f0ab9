// Colours: Okabe and Ito's, as in the figures, by what the reader prefers; on paper always the light ones.

let printing = false;
const dark = matchMedia("(prefers-color-scheme: dark)");

const LIGHT = {
  ink: "#1b1f24", soft: "#5b636d", grid: "#e3e6ea", paper: "#ffffff", card: "#f6f7f8", blue: "#0072b2", orange: "#b86e00", green: "#00805c", red: "#c04000",
  purple: "#a8508a", sky: "#2a86b8", grey: "#777d85", fault: "rgba(192,64,0,.13)", deploy: "rgba(0,114,178,.11)",
  ramp: ["#eef3f7", "#c3dcec", "#8fc0dd", "#4f9cc8", "#1f73a8", "#0b4a78", "#062b4a"],
};
const DARK = {
  ink: "#e8eaed", soft: "#a3abb5", grid: "#2c3238", paper: "#14171a", card: "#1d2126", blue: "#58b2ee", orange: "#eda63a", green: "#2fc796", red: "#ff8a50",
  purple: "#e29ac6", sky: "#8fd0f5", grey: "#98a0a9", fault: "rgba(255,138,80,.17)", deploy: "rgba(88,178,238,.15)",
  ramp: ["#1c242b", "#1e3a4e", "#1f5878", "#2f7fa9", "#56a8d2", "#93cdec", "#d8effb"],
};

function colours() {
  return dark.matches && !printing ? DARK : LIGHT;
}

function ramp(share) { // 0 to 1
  const steps = colours().ramp;
  return steps[Math.min(steps.length - 1, Math.floor(Math.max(0, share) * steps.length))];
}

function rgb(hex) {
  return [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));
}
