// What the panel says: the selected event, its call, and every server at that moment.
"use strict";

class Panel {
  constructor(app) {
    this.app = app;
    this.box = byId("panel");
    /** How many rows of the logs are shown; a button shows more. */
    this.logRows = FEW_ROWS;
    // Whoever holds a key down steps faster than this is drawn.
    this.draw = oncePerFrame(() => this.drawNow());
  }

  drawNow() {
    const { app } = this;
    const parts = [];
    if (app.operations) parts.push(this.history());
    if (app.story.events.length > 0) {
      if (app.selected < 0) parts.unshift(this.leaders());
      else parts.unshift(this.event(), this.servers());
    }
    const shows = app.selected < 0 || app.operation ? parts.reverse() : parts;
    const focused = this.box.contains(document.activeElement)
      ? document.activeElement.getAttribute("aria-label")
      : undefined;
    this.box.replaceChildren(...shows);
    this.scrollToFocus();
    if (focused === undefined) return;
    // Whoever steps with a button of the panel finds the focus on the same button.
    const again = [...this.box.querySelectorAll("[aria-label]")].find(
      (one) => one.getAttribute("aria-label") === focused && !one.disabled,
    );
    (again ?? this.box).focus({ preventScroll: true });
  }

  /** While nothing is selected: who led when. */
  leaders() {
    const { app } = this;
    const { segments } = app.states;
    const leaders = segments.flatMap((list, server) =>
      list.filter(({ role, alive }) => role === "leader" && alive !== false).map((one) => ({ ...one, server })),
    );
    leaders.sort((a, b) => a.from - b.from);
    // A leader that is disconnected or connected meanwhile is still the same.
    const terms = leaders.filter(
      (one, i) => leaders.findIndex(({ server, term }) => server === one.server && term === one.term) === i,
    );
    const show = ({ from }) => {
      const at = lowerBound(app.story.times, from);
      app.select(at);
    };
    return el(
      "section",
      { "aria-label": "Leaders" },
      el(
        "p.none",
        null,
        "Click an event, or step with ↓ and ↑, to see it and the servers at that moment. ? shows all keys and signs.",
      ),
      terms.length === 0 ? null : el("h2", null, "Leaders"),
      el(
        "ol.leaders",
        null,
        ...terms
          .slice(0, 200)
          .map((one) =>
            el(
              "li",
              null,
              el(
                "button",
                { type: "button", click: () => show(one) },
                roleBadge("leader", one.term),
                el("strong", null, `S${one.server}`),
                el("span", null, `term ${known(one.term)}`),
                el("small", null, `from ${ms(one.from)} ms`),
              ),
            ),
          ),
      ),
      terms.length > 200 ? el("p.facts", null, `${terms.length - 200} more are left out.`) : null,
    );
  }

  event() {
    const { app } = this;
    const { story } = app;
    const event = story.events[app.selected];
    const facts = [
      story.string(event.method),
      event.call !== undefined ? `#${event.call}` : "",
      event.term !== undefined ? `term ${event.term}` : "",
      rangeOf(event),
      event.idle ? "idle heartbeat" : "",
    ]
      .filter(Boolean)
      .join(" · ");
    const detail = story.string(event.detail);
    return el(
      "section.event",
      { "aria-label": "Event" },
      el(
        "div.steps",
        null,
        el("strong", null, story.place(event)),
        this.stepper(
          "of this server",
          event.server !== undefined || event.client !== undefined ? () => app.sameLane() : null,
          "K",
          "J",
        ),
        this.stepper("of all", () => () => true, "↑", "↓"),
      ),
      el(
        "p.what",
        null,
        el(`span.kind.kind-${event.kind}`, { title: KINDS[event.kind].name }, KINDS[event.kind].letter),
        el("span", null, story.text(event)),
      ),
      el("p.facts", null, `${ms(event.at)} ms · event ${event.n} · ${event.kind} ${event.what ?? ""}`),
      facts ? el("p.facts", null, facts) : null,
      event.why !== undefined ? el("p.because", null, story.string(event.why)) : null,
      event.n === story.failure ? el("p.because.failed", null, "The failure was found here.") : null,
      this.call(event),
      detail ? el("pre.detail", { tabindex: "0", "aria-label": "Detail" }, detail) : null,
    );
  }

  stepper(words, wanted, back, next) {
    const step = (by) => () => this.app.step(by, wanted());
    const off = wanted === null;
    return el(
      "span.stepper",
      null,
      el(
        "button",
        {
          type: "button",
          disabled: off,
          click: step(-1),
          title: `Previous event ${words} (${back})`,
          "aria-label": `Previous event ${words}`,
        },
        "◀",
      ),
      el("span", null, words),
      el(
        "button",
        {
          type: "button",
          disabled: off,
          click: step(1),
          title: `Next event ${words} (${next})`,
          "aria-label": `Next event ${words}`,
        },
        "▶",
      ),
    );
  }

  /** The events of the same call, with the time from one to the next. */
  call(event) {
    const events = this.app.calls.of(event);
    if (events.length < 2) return null;
    return el(
      "ol.call",
      { "aria-label": "The events of this call" },
      ...events.map((one, i) => {
        const later = i === 0 ? `${ms(one.at)} ms` : `+${ms(one.at - events[i - 1].at)} ms`;
        return el(
          "li",
          null,
          el(
            "button",
            { type: "button", "aria-current": one === event ? "true" : null, click: () => this.app.select(one.n) },
            `${STEPS[one.what] ?? ""} ${one.what}`,
            el("small", null, later),
          ),
        );
      }),
    );
  }

  servers() {
    const { app } = this;
    const { story } = app;
    const event = story.events[app.selected];
    const servers = app.statesAtSelection();
    if (servers.length === 0) return el("span", null);
    const changed = new Map((event.state ?? []).map((change) => [change.server, change]));
    const guilty = new Set(story.head.failure?.servers ?? []);
    const cell = (server, fact, text) =>
      el(changed.get(server)?.[fact] !== undefined ? "td.changed" : "td", null, text);
    const row = (state, server) => {
      const links =
        state.alive === false
          ? "down"
          : state.connected === false
            ? "cut off"
            : state.connected === undefined
              ? "?"
              : "up";
      const log = state.log;
      return el(
        state.alive === false ? "tr.down" : "tr",
        null,
        el(
          "th",
          { scope: "row" },
          `S${server}`,
          guilty.has(server) ? el("span.bad", { title: "The failure names it" }, " ✖") : null,
        ),
        cell(server, "role", roleBadge(state.role, state.term)),
        cell(server, "term", known(state.term)),
        cell(server, "vote", state.vote === null ? "–" : state.vote === undefined ? "?" : `S${state.vote}`),
        cell(server, "log", log ? String(log.last) : "?"),
        cell(server, "commit", known(state.commit)),
        cell(server, "applied", known(state.applied)),
        cell(server, changed.get(server)?.alive !== undefined ? "alive" : "connected", links),
      );
    };
    const heads = ["", "role", "term", "vote", "last", "commit", "applied", "links"];
    return el(
      "section",
      { "aria-label": "Servers at this moment" },
      el("h2", null, `Servers just after this event`),
      el(
        "table.states",
        null,
        el("thead", null, el("tr", null, ...heads.map((head) => el("th", { scope: "col" }, head)))),
        el("tbody", null, ...servers.map(row)),
      ),
      this.network(event.n),
      logTable(app, servers, event),
    );
  }

  /** The last event that changed the network as a whole, such as a partition. */
  network(n) {
    const { story } = this.app;
    const at = story.network.findLast((one) => one <= n);
    if (at === undefined) return null;
    const event = story.events[at];
    return el(
      "p.network",
      null,
      "Network: ",
      el("button.link", { type: "button", click: () => this.app.select(at) }, story.text(event)),
      ` at ${ms(event.at)} ms`,
    );
  }

  history() {
    const { app } = this;
    const { operations } = app;
    const { history } = operations;
    const chosen = app.operation;
    return el(
      "section",
      { "aria-label": "History" },
      el("h2", null, `Operations on key ${known(history.key)}: ${history.verdict}`),
      chosen
        ? el(
            "div.operation",
            null,
            el("p.what", null, `${chosen.name ?? ""} C${known(chosen.client)}: ${sayOperation(chosen)}`),
            el(
              "p.facts",
              null,
              `${ms(chosen.call)} ms to ${chosen.return === null || chosen.return === undefined ? "never" : `${ms(chosen.return)} ms`}` +
                (Number.isInteger(chosen.order)
                  ? ` · place ${chosen.order + 1} in the order`
                  : chosen.misfit
                    ? " · fits nowhere"
                    : " · not in the order"),
            ),
          )
        : null,
      el("pre.explanation", { tabindex: "0" }, history.text ?? ""),
      el(
        "p.facts",
        null,
        "Green: in the longest order found. Its number is its place, and the tick is a moment at which it may have taken effect. ",
        "Red ✖: fits nowhere after this order. Dashed: never returned.",
      ),
    );
  }

  /** Brings the entries that the event is about into sight. */
  scrollToFocus() {
    const box = this.box.querySelector(".logs");
    const row = box?.querySelector("[data-focus]");
    if (row) box.scrollTop = row.offsetTop - box.clientHeight / 2;
  }
}

const rangeOf = (event) => {
  const [first, last] = [event.first ?? event.last, event.last ?? event.first];
  return first === undefined ? "" : first === last ? `index ${first}` : `index ${first}–${last}`;
};

/** A role as a sign of its own shape. */
function roleBadge(role, term) {
  const colour = Number.isInteger(term) ? `term-${term % TERM_COLOURS}` : "term-none";
  return el(
    `span.role.${ROLE_LETTERS[role] ? role : "unknown"}.${colour}`,
    { title: role ?? "unknown" },
    roleLetter(role),
  );
}
