// The keyboard, and the help that lists its keys and the signs on the lanes.
"use strict";

/** Each key with what it does. Keys that are words are the names of `KeyboardEvent.key`. */
const KEYS = [
  [["ArrowDown", "j"], "↓ j", "next event", (app) => app.step(1)],
  [["ArrowUp", "k"], "↑ k", "previous event", (app) => app.step(-1)],
  [["J", "Shift+ArrowDown"], "⇧↓ J", "next event of the same server", (app) => app.step(1, app.sameLane())],
  [["K", "Shift+ArrowUp"], "⇧↑ K", "previous event of the same server", (app) => app.step(-1, app.sameLane())],
  [["c"], "c", "next event of the same call: from request to reply", (app) => app.stepCall()],
  [["Home"], "Home", "first event", (app) => app.select(app.filter.list[0] ?? -1)],
  [["End"], "End", "last event", (app) => app.select(app.filter.list.at(-1) ?? -1)],
  [["PageDown"], "PgDn", "20 events on", (app) => app.stepMany(20)],
  [["PageUp"], "PgUp", "20 events back", (app) => app.stepMany(-20)],
  [["ArrowLeft", "a"], "← a", "move left", (app) => app.pan(-120)],
  [["ArrowRight", "d"], "→ d", "move right", (app) => app.pan(120)],
  [["+", "=", "w"], "+ w", "zoom in, around the selected event", (app) => app.zoom(1.6)],
  [["-", "_", "s"], "− s", "zoom out", (app) => app.zoom(1 / 1.6)],
  [["0"], "0", "the whole run", (app) => app.fit()],
  [["f"], "f", "go to the failure", (app) => app.toFailure()],
  [["e"], "e", "even room for events, or for time", (app) => app.toggleScale()],
  [["/"], "/", "search", () => byId("query").select()],
  [["n"], "n", "next hit", (app) => app.stepHit(1)],
  [["N"], "N", "previous hit", (app) => app.stepHit(-1)],
  [["h"], "h", "show or hide idle heartbeats", () => byId("idle").click()],
  [["t"], "t", "light, dark, or as the system", (app) => app.theme.next()],
  [["?"], "?", "this help", () => showHelp()],
  [["Escape"], "Esc", "close, leave the search, select nothing", (app) => app.escape()],
];

const MOUSE = [
  ["wheel", "zoom"],
  ["⇧ wheel, drag", "move"],
  ["⇧ drag, drag the axis", "zoom to a range"],
  ["Alt wheel", "scroll the lanes"],
  ["click", "select an event"],
  ["Alt click a filter", "only this one"],
];

const SIGNS = [
  ["thin band F", "follower; the number is the term, and each term has a colour"],
  ["hatched band C", "candidate"],
  ["thick band L", "leader"],
  ["grey hatching", "the server is down"],
  ["dashed lines beside the band", "the server is disconnected"],
  ["dashed red line across all lanes", "the network changes as a whole, for example by a partition"],
  ["filled arrow", "request; its letter is that of the list: V vote, A append, S snapshot, C client, M other"],
  ["open arrow", "reply"],
  ["dashed arrow", "a rule of the test held it back; ‖ if it never arrived"],
  ["arrow with ✕", "lost; a small ✕ is the moment at which that was known"],
  ["◆ ● □ below a band", "commit index moves, applies, saves"],
  ["▼ above a band", "a command or another act of the tester"],
  ["grey bars", "so many messages that arrows would hide each other; the red part was lost"],
];

function listenToKeys(app) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest?.("input, select, textarea") && event.target.type !== "checkbox";
    if (typing && event.key !== "Escape") return;
    if (byId("help").open) {
      if (event.key === "?") byId("help").close();
      return;
    }
    // Buttons, summaries and boxes that scroll keep the keys that belong to them.
    const scrolls = event.target.closest?.("#panel, pre, #split") && /^(Arrow|Page|Home|End)/.test(event.key);
    if (scrolls) return;
    const name = event.shiftKey && event.key.length > 1 ? `Shift+${event.key}` : event.key;
    const entry = KEYS.find(([names]) => names.includes(name));
    if (!entry) return;
    event.preventDefault();
    entry[3](app);
  });
}

function showHelp() {
  const dialog = byId("help");
  const rows = (list) =>
    el("dl", null, ...list.flatMap(([sign, meaning]) => [el("dt", null, sign), el("dd", null, meaning)]));
  dialog.replaceChildren(
    el(
      "div.help-head",
      null,
      el("h2", { id: "help-title" }, "Keys and signs"),
      el("button", { type: "button", click: () => dialog.close() }, "close"),
    ),
    el(
      "div.help-columns",
      null,
      el("div", null, el("h3", null, "Keys"), rows(KEYS.map(([, sign, meaning]) => [sign, meaning]))),
      el("div", null, el("h3", null, "Mouse"), rows(MOUSE), el("h3", null, "Signs"), rows(SIGNS)),
    ),
  );
  if (!dialog.open) dialog.showModal();
}
