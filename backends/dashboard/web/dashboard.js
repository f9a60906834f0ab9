// Feeds the page of a run that is still under way, says what happens as it happens, and asks for faults.
"use strict";
(() => {
  const MOST_NEWS = 100; // Lines of what happened.
  const AGAIN = 2000; // Milliseconds until a stream that was refused is asked for again, and between two documents.

  const live = document.querySelector('meta[name="windtunnel-dashboard"]')?.content === "live";
  if (!live) return; // A finished run is all on the page.

  const page = window.windtunnelPage;
  const words = {
    live: ["flying", "good"], growing: ["being written: not flying, or not yet", "note"],
    "cut off": ["cut off: nothing has been written for some time", "bad"], ended: ["ended", "good"],
    lost: ["connection lost, trying again", "bad"], beginning: ["connecting", "note"],
  };
  let known = 0; // Seconds that the page has.
  let stream = null;
  let beginning = false;
  let begun = 0; // When, by the browser's clock.
  let told = { state: "beginning", allowed: false };
  let types = {};

  // Elements; texts are always set as texts.

  function make(name, attributes = {}, ...inside) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value); else made.setAttribute(key, value);
    }
    made.append(...inside);
    return made;
  }

  const state = make("p", { id: "live-state", role: "status" });
  const clock = make("p", { class: "soft", id: "live-clock" });
  const news = make("ol", { id: "live-news", role: "log", "aria-live": "polite", "aria-labelledby": "live-news-title", tabindex: "0" });
  const inForce = make("ul", { id: "live-faults", "aria-labelledby": "live-faults-title" });
  const answer = make("p", { id: "live-answer", role: "status", "aria-live": "polite" });
  const form = make("form", { id: "live-form", "aria-labelledby": "live-start-title", onsubmit: start });
  const startTitle = make("h3", { id: "live-start-title" }, "Start a fault");
  const notAllowed = make("p", { class: "soft" }, "Faults can be started here if the flight was started with --allow-faults.");
  const rows = make("tbody");
  const head = ["server", "state", "requests/s", "in flight", "memory", "cpu"].map((name, place) => make("th", { scope: "col", class: place > 1 ? "n" : "" }, name));
  const loads = make("div", { id: "live-loads", tabindex: "0", role: "region", "aria-labelledby": "live-loads-title" }, make("table", {}, make("thead", {}, make("tr", {}, ...head)), rows));
  const force = make("div", {}, make("h3", { id: "live-faults-title" }, "Faults in force"), inForce);
  const section = make("section", { id: "live", "aria-labelledby": "live-title" },
    make("h2", { id: "live-title" }, "Live"), state, clock,
    make("div", { class: "live-parts" },
      make("div", {}, make("h3", { id: "live-news-title" }, "As it happens"), news, make("h3", { id: "live-loads-title" }, "Load per server"), loads),
      make("div", {}, force, notAllowed, startTitle, form, answer)));
  const main = document.querySelector("main") ?? document.body;
  main.prepend(section);

  function say() {
    const [text, tone] = told.flight === false && told.state === "live" ? ["watched", "good"] : words[told.state] ?? [told.state, "note"];
    if (state.textContent !== text) state.textContent = text;
    state.className = tone;
    const able = Boolean(told.allowed);
    form.hidden = startTitle.hidden = !able;
    notAllowed.hidden = able || told.state !== "live" || told.flight === false;
    force.hidden = told.flight === false;
  }

  const seconds = (ns) => `${(ns / 1e9).toFixed(1)} s`;

  // What happens.

  async function begin() {
    if (beginning) return;
    beginning = true;
    stream?.close();
    stream = null;
    try {
      await new Promise((done) => setTimeout(done, Math.max(0, begun + AGAIN - performance.now())));
      begun = performance.now();
      const response = await fetch("/document");
      if (!response.ok) throw new Error((await response.json()).message);
      const first = await response.json();
      if (first.state === "ended") return location.reload();
      told = { state: first.state, allowed: first.allowed, flight: first.flight };
      const documentOfRun = await page.unpack(first.document);
      known = first.seconds;
      page.load(documentOfRun);
      later();
      news.replaceChildren();
      for (const mark of documentOfRun.frame.marks.slice(-MOST_NEWS)) tell(mark);
      for (const frame of first.frames) take(frame, first.seconds);
      listen(first.after);
      await faults();
    } catch (error) {
      // What cannot be fetched will be told again; anything else is a mistake of ours.
      if (!(error instanceof TypeError)) console.error(error);
      told = { ...told, state: "lost" };
      setTimeout(begin, AGAIN);
    } finally {
      beginning = false;
      say();
    }
  }

  function listen(after) {
    const from = known;
    stream = new EventSource(`/events?after=${encodeURIComponent(after)}`);
    stream.addEventListener("state", (event) => {
      const before = told.state;
      told = JSON.parse(event.data);
      if (told.state === "ended") return location.reload();
      say();
      if (before !== told.state) faults();
    });
    stream.addEventListener("frame", (event) => take(JSON.parse(event.data), from));
    stream.addEventListener("document", begin);
    stream.addEventListener("error", () => {
      told = { ...told, state: "lost" };
      say();
      if (stream && stream.readyState === EventSource.CLOSED) setTimeout(begin, AGAIN);
    });
  }

  // A frame, of which the document, which tells all seconds up to *from*, may have told a part.
  function take(frame, from) {
    if (frame.points && frame.first < known) return;
    const marks = frame.marks.filter((mark) => frame.points || mark.t >= from * 1e9);
    if (!frame.points && !marks.length) return;
    page.append({ ...frame, marks });
    if (frame.points) {
      known = frame.first + frame.points * frame.width;
      later();
    }
    marks.forEach(tell);
    if (marks.some((mark) => mark.kind === "fault")) faults();
  }

  function tell(mark) {
    const line = make("li", {}, make("time", {}, seconds(mark.t)), make("span", { class: mark.tone === "note" ? "" : mark.tone }, mark.text));
    const below = news.scrollHeight - news.scrollTop - news.clientHeight < 40;
    news.append(line);
    while (news.children.length > MOST_NEWS) news.firstChild.remove();
    if (below) news.scrollTop = news.scrollHeight;
  }

  // Once a frame of the screen: while nobody looks at the page nothing is drawn.
  let due = false;
  function later() {
    if (due) return;
    due = true;
    requestAnimationFrame(() => { due = false; now(); });
  }

  function now() {
    const { store } = page;
    if (!store.length) return;
    const total = (name) => store.total("fleet", null, name) ?? 0;
    const ended = ["2xx", "3xx", "4xx", "5xx", "none"].reduce((sum, one) => sum + total(`status_${one}`), 0);
    const many = (value) => Math.round(value).toLocaleString("en");
    const end = store.document.end;
    // A fleet that is known by its registry alone has no end, and nobody sees its requests.
    clock.textContent = end ? `${known} s of ${end} s at most; ${many(ended)} requests ended, ${many(total("errors"))} failed` : `${known} s`;
    const limit = store.document.limits.memory;
    const point = store.length - 1;
    const of = (number, name) => store.value("servers", number, name, point);
    const there = store.servers().filter((number) => of(number, "state") !== null);
    while (rows.children.length > there.length) rows.lastChild.remove();
    while (rows.children.length < there.length) rows.append(make("tr", {}, make("th", { scope: "row" }), make("td"), ...[1, 2, 3, 4].map(() => make("td", { class: "n" }))));
    there.forEach((number, place) => {
      const memory = of(number, "memory");
      const texts = [
        String(number), store.document.states[of(number, "state")], many(of(number, "requests")), many(of(number, "in_flight")),
        limit > 0 ? `${(memory / 10).toFixed(1)}%` : `${(memory / 1024).toFixed(0)} MiB`, `${(of(number, "cpu") / 10).toFixed(1)}%`,
      ];
      [...rows.children[place].children].forEach((cell, column) => { if (cell.textContent !== texts[column]) cell.textContent = texts[column]; });
    });
  }

  // Faults.

  async function faults() {
    let found;
    try {
      const response = await fetch("/faults");
      found = await response.json();
    } catch {
      return; // The stream says that the connection is lost.
    }
    inForce.replaceChildren(...(found.in_force ?? []).map((one) => {
      const who = one.targets.map((target) => (typeof target === "number" ? `server ${target}` : target)).join(", ");
      const text = `${one.name}: ${one.type}${who ? ` of ${who}` : ""}${one.until >= 0 ? `, until ${seconds(one.until)}` : ""}`;
      const item = make("li", {}, make("span", {}, text));
      if (found.allowed) item.append(make("button", { type: "button", "aria-label": `Stop ${one.name}`, onclick: () => stop(one.name) }, "Stop"));
      return item;
    }));
    if (!inForce.children.length) inForce.append(make("li", { class: "soft" }, "none"));
    if (found.allowed && !form.children.length) {
      types = found.types;
      build();
    }
  }

  function build() {
    const field = (name, text, input) => [make("label", { for: `live-${name}` }, text), input];
    const kind = make("select", { id: "live-type", name: "type", onchange: details }, ...Object.keys(types).map((one) => make("option", { value: one }, one)));
    form.append(
      ...field("type", "Type", kind), make("p", { id: "live-does", class: "soft" }),
      ...field("role", "Target", make("select", { id: "live-role", name: "role", onchange: who })),
      ...field("count", "How many", make("input", { id: "live-count", name: "count", placeholder: "1, or all" })),
      ...field("for", "For", make("input", { id: "live-for", name: "for", placeholder: "such as 10s; empty: until stopped" })),
      make("p", { id: "live-attributes" }),
      ...field("token", "Token", make("input", { id: "live-token", name: "token", type: "password", autocomplete: "off", required: "" })),
      make("p", {}, make("button", { type: "submit" }, "Start")));
    details();
  }

  const part = (name) => document.getElementById(`live-${name}`);

  function show(name, shown) {
    part(name).hidden = !shown;
    form.querySelector(`label[for="live-${name}"]`).hidden = !shown;
  }

  function details() {
    const kind = types[part("type").value];
    part("does").textContent = kind.does;
    part("role").replaceChildren(...kind.roles.map((role) => make("option", { value: role }, role)));
    show("for", kind.lasts);
    who();
    for (const old of form.querySelectorAll(".live-attribute")) old.remove();
    const made = kind.attributes.flatMap((one) => {
      const id = `live-attribute-${one.name}`;
      const required = one.default === null ? { required: "" } : {};
      const input = one.words.length
        ? make("select", { id, name: one.name, class: "live-attribute" }, ...one.words.map((word) => make("option", word === one.default ? { value: word, selected: "" } : { value: word }, word || "none")))
        : make("input", { id, name: one.name, class: "live-attribute", placeholder: one.unit, title: one.meaning, ...required });
      return [make("label", { for: id, class: "live-attribute" }, one.name.replaceAll("_", " ")), input];
    });
    part("attributes").before(...made);
  }

  function who() {
    show("count", ["app", "canary", "standby"].includes(part("role").value));
  }

  async function ask(path, body) {
    try {
      const response = await fetch(path, {
        method: "POST", headers: { "Content-Type": "application/json", "windtunnel-token": part("token").value }, body: JSON.stringify(body),
      });
      const found = await response.json();
      answer.className = response.ok ? "good" : "bad";
      return response.ok ? found : (answer.textContent = found.message, null);
    } catch {
      answer.className = "bad";
      answer.textContent = "the dashboard could not be reached";
      return null;
    }
  }

  async function start(event) {
    event.preventDefault();
    const wanted = { type: part("type").value, target: { role: part("role").value } };
    const count = part("count").value.trim();
    if (!part("count").hidden && count) wanted.target.count = /^[0-9]+$/.test(count) ? Number(count) : count;
    const length = part("for").value.trim();
    if (!part("for").hidden && length) wanted.for = length;
    for (const input of form.querySelectorAll("input.live-attribute, select.live-attribute")) {
      const value = input.value.trim();
      if (value) (wanted.attributes ??= {})[input.name] = /^[0-9]+(\.[0-9]+)?$/.test(value) ? Number(value) : value;
    }
    const found = await ask("/faults", wanted);
    if (!found) return;
    answer.textContent = `${found.name} has begun${found.targets.length ? "" : ", and hits nobody"}`;
    faults();
  }

  async function stop(name) {
    if (!part("token").value) { answer.className = "bad"; answer.textContent = "expected the flight's token"; part("token").focus(); return; }
    if (await ask("/faults/stop", { name })) { answer.textContent = `${name} is over`; faults(); }
  }

  say();
  begin();
})();
