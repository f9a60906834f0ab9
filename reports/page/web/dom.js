// Elements. Texts are always set as texts: names of a scenario are no markup.

const SVG = "http" + "://www.w3.org/2000/svg"; // A name, which nothing fetches.

function element(name, attributes = {}, ...inside) {
  return filled(document.createElement(name), attributes, inside);
}

function drawn(name, attributes = {}, ...inside) {
  return filled(document.createElementNS(SVG, name), attributes, inside);
}

function filled(made, attributes, inside) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  for (const one of inside) made.append(one);
  return made;
}

// Calls at most once a frame of the screen.
function calmly(act) {
  let due = false;
  return () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => { due = false; act(); });
  };
}
