// Starts the page.
"use strict";

/** The head of the page: which run this is, and how to see it again. */
function showHead(story) {
  const { head } = story;
  const name = [head.part, head.test].filter(Boolean).join(" ") || document.title;
  byId("name").textContent = name;
  const failed = head.passed === false;
  byId("verdict").textContent = failed ? "✖ failed" : head.passed === true ? "✔ passed" : "? undecided";
  byId("verdict").className = failed ? "failed" : head.passed === true ? "passed" : "";
  const facts = [
    head.seed !== undefined && head.seed !== null ? `seed ${head.seed}` : "",
    head.world ?? "",
    head.servers > 0 ? counted(head.servers, "server") : "",
    story.events.length > 0 ? counted(story.events.length, "event") : "",
    story.events.length === 0 && story.histories.length > 0
      ? counted(
          story.histories.reduce((sum, { operations }) => sum + operations.length, 0),
          "operation",
        )
      : "",
    head.end_ms > 0 ? `${ms(head.end_ms / 1000, 10)} s` : "",
  ];
  byId("facts").textContent = facts.filter(Boolean).join(" · ");
  byId("again").hidden = !head.replay;
  byId("replay").textContent = head.replay ?? "";
  byId("copy").addEventListener("click", () => copy(head.replay));
  const message = head.failure?.message;
  byId("failure").hidden = !head.failure;
  if (!head.failure) return;
  const lines = String(message ?? "").split("\n");
  byId("failure-line").textContent = lines.find((line) => line.trim() !== "") ?? "The run failed.";
  byId("failure-text").textContent = String(message ?? "");
}

/** Copies a text; if the browser forbids that, selects it. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    byId("copy").textContent = "copied";
  } catch {
    getSelection().selectAllChildren(byId("replay"));
    byId("copy").textContent = "press Ctrl+C";
  }
  setTimeout(() => (byId("copy").textContent = "copy"), 1500);
}

/** The line between lanes and list can be dragged, and moved with the arrow keys. */
function makeSplit(app) {
  const [split, left] = [byId("split"), byId("left")];
  const set = (share) => {
    const kept = Math.min(0.85, Math.max(0.2, share));
    left.style.setProperty("--share", `${kept * 100}%`);
    split.setAttribute("aria-valuenow", String(Math.round(kept * 100)));
    app.list.draw();
  };
  const shareNow = () => byId("stage").offsetHeight / left.offsetHeight;
  split.addEventListener("pointerdown", (event) => split.setPointerCapture(event.pointerId));
  split.addEventListener("pointermove", (event) => {
    if (!split.hasPointerCapture(event.pointerId)) return;
    const box = left.getBoundingClientRect();
    set((event.clientY - box.top) / box.height);
  });
  split.addEventListener("keydown", (event) => {
    if (event.key === "ArrowUp") set(shareNow() - 0.05);
    if (event.key === "ArrowDown") set(shareNow() + 0.05);
  });
}

/** What tests may ask: what is in view, what is selected, and where an event is drawn. See docs/PAGE.md. */
function makeHook(app) {
  window.raftlab = {
    ready: true,
    app,
    state() {
      const { view, filter, selected, story, operation } = app;
      return {
        from: view.from,
        to: view.to,
        selected,
        failure: story.failure,
        shown: filter.list.length,
        hits: filter.hits.length,
        dense: app.dense === true,
        arrows: app.arrows ?? 0,
        drawn: app.drawn ?? 0,
        theme: document.documentElement.dataset.theme,
        related: [...app.related],
        operation: operation ? operation.i : null,
        key: app.operations ? app.operations.history.key : null,
        even: view.scale !== EVEN_TIME,
        legs: app.targets
          .filter(({ leg }) => leg)
          .map(({ leg }) => ({ call: leg.call, what: leg.what, fate: leg.fate, dashed: leg.dashed })),
      };
    },
    /** Where an event is on the screen, in CSS pixels; null if it is not in view. */
    positionOf(n) {
      const event = app.story.events[n];
      const y = event && heightOf(app, event);
      const x = event && app.view.x(event.at);
      if (y === undefined || x < app.view.left || x > app.view.left + app.view.width) return null;
      const box = byId("canvas").getBoundingClientRect();
      return { x: box.left + x, y: box.top + y - byId("stage").scrollTop };
    },
    /** Where an operation's bar is on the screen. */
    positionOfOperation(i) {
      const target = app.targets.find(({ operation }) => operation?.i === i);
      if (!target) return null;
      const box = byId("canvas").getBoundingClientRect();
      const [left, top, width, height] = target.box;
      return { x: box.left + left + width / 2, y: box.top + top + height / 2 };
    },
    /** The servers just after an event, with their logs as lists. */
    serversAfter: (n) =>
      app.states.after(n).map((server) => ({
        ...server,
        log: server.log ? { base: server.log.base, entries: server.log.entries } : undefined,
      })),
  };
}

function start() {
  const story = readStory(byId("story").textContent);
  showHead(story);
  document.body.classList.toggle("no-events", story.events.length === 0);
  const app = new App(story);
  makeSplit(app);
  makeHook(app);
  byId("to-failure").addEventListener("click", (event) => {
    event.preventDefault();
    app.toFailure();
  });
  app.panel.draw();
  if (!app.readHash()) app.showFirst();
  window.addEventListener("hashchange", () => app.readHash());
  // When the first frame is done, in ms since the browser began to open the page. The benchmark asks for it.
  requestAnimationFrame(() => setTimeout(() => (window.raftlab.openedAfter = performance.now())));
}

/** Says what is wrong, in place of the page. */
function showBroken(error) {
  const isOurs = error instanceof Damaged;
  document.body.classList.add("is-broken");
  const words = isOurs ? error.message : `The page failed to show this run: ${error.message}`;
  byId("main").replaceChildren(
    el(
      "div.broken",
      { role: "alert" },
      el("h2", null, "This run can't be shown"),
      el("p", null, words),
      el(
        "p",
        null,
        "The command that wrote this page can write it again. raftlab replay SEED TEST prints the same run as text.",
      ),
    ),
  );
  if (!isOurs) console.error(error);
  window.raftlab = { ready: true, broken: words };
}

try {
  start();
} catch (error) {
  showBroken(error);
}
