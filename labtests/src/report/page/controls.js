// The tools above the lanes: search, filters and buttons.
"use strict";

class Controls {
  constructor(app) {
    this.app = app;
    const on = (id, event, act) => byId(id).addEventListener(event, act);
    on("tools", "submit", (event) => event.preventDefault());
    on("query", "input", () => this.change({ query: byId("query").value }));
    on("query", "keydown", (event) => {
      if (event.key !== "Enter") return;
      app.stepHit(event.shiftKey ? -1 : 1);
    });
    for (const id of ["only", "idle"]) on(id, "change", () => this.change({ [id]: byId(id).checked }));
    for (const id of ["term", "index", "from", "to"]) on(id, "input", () => this.number(id));
    on("reset", "click", () => {
      app.filter.clear();
      this.change({});
      this.show();
    });
    on("hit-back", "click", () => app.stepHit(-1));
    on("hit-next", "click", () => app.stepHit(1));
    on("zoom-in", "click", () => app.zoom(1.6));
    on("zoom-out", "click", () => app.zoom(1 / 1.6));
    on("fit", "click", () => app.fit());
    on("scale", "click", () => app.toggleScale());
    on("theme", "click", () => app.theme.next());
    on("help-button", "click", () => showHelp());
    on("key", "change", () => app.chooseHistory(Number(byId("key").value)));
    this.makeChips();
    this.makeKeys();
    this.show();
  }

  /** A chip per server and per kind that occurs. */
  makeChips() {
    const { story, filter } = this.app;
    const lanes = Array.from({ length: story.outside + (story.hasOutside ? 1 : 0) }, (_, lane) => lane);
    this.lanes = lanes;
    const occurring = new Set(story.events.map(({ kind }) => kind));
    this.kinds = Object.keys(KINDS).filter((kind) => occurring.has(kind));
    const chip = (what, value, text, title, all, extra) =>
      el(
        `button.chip${extra}`,
        {
          type: "button",
          title,
          "data-value": value,
          "aria-pressed": "true",
          click: (event) => {
            // With Alt only this one, as in many layer lists.
            if (event.altKey) filter[what] = new Set([value]);
            else filter.toggle(what, value, all);
            this.change({});
            this.show();
          },
        },
        text,
      );
    byId("servers").replaceChildren(
      ...lanes.map((lane) => {
        const name = lane === story.outside ? "tester" : `S${lane}`;
        return chip("servers", lane, name, `Events of ${name} (Alt: only these)`, lanes, "");
      }),
    );
    byId("kinds").replaceChildren(
      ...this.kinds.map((kind) =>
        chip(
          "kinds",
          kind,
          KINDS[kind].name,
          `${KINDS[kind].name}: ${KINDS[kind].letter} in the list (Alt: only these)`,
          this.kinds,
          `.kind-${kind}`,
        ),
      ),
    );
    if (story.events.length === 0)
      for (const set of document.querySelectorAll("#tools > .set:not(#zoom)")) set.hidden = true;
    if (story.events.length === 0) byId("scale").hidden = true;
  }

  /** The choice of a key, if there are several histories. */
  makeKeys() {
    const { histories } = this.app.story;
    byId("key-label").hidden = histories.length < 2;
    byId("key").replaceChildren(
      ...histories.map(({ key, verdict }, i) => el("option", { value: i }, `${known(key)}: ${verdict}`)),
    );
    byId("key").value = String(this.app.historyNumber);
  }

  number(id) {
    const input = byId(id);
    const text = input.value.trim().replaceAll(/[\s\u202f]/g, "");
    const value = text === "" ? null : Number(text);
    const isGood = value === null || (Number.isFinite(value) && value >= 0);
    input.setAttribute("aria-invalid", String(!isGood));
    if (isGood) this.change({ [id]: value });
  }

  change(values) {
    Object.assign(this.app.filter, values);
    this.app.filtered();
  }

  /** Shows the filter in the tools, for example after it was read from the hash. */
  show() {
    const { filter } = this.app;
    if (byId("query").value !== filter.query) byId("query").value = filter.query;
    for (const id of ["only", "idle"]) byId(id).checked = filter[id];
    for (const id of ["term", "index", "from", "to"]) {
      byId(id).value = filter[id] ?? "";
      byId(id).setAttribute("aria-invalid", "false");
    }
    this.lanes.forEach((lane, i) =>
      byId("servers").children[i].setAttribute("aria-pressed", String(filter.hasServer(lane))),
    );
    this.kinds.forEach((kind, i) =>
      byId("kinds").children[i].setAttribute("aria-pressed", String(filter.hasKind(kind))),
    );
  }

  /** How many hits there are, and which of them is selected. */
  showHits() {
    const { filter, selected, story } = this.app;
    const at = lowerBound(filter.hits, selected);
    const isOne = filter.hits[at] === selected;
    const hidden = story.events.length - filter.list.length;
    const text = filter.query !== "" ? `${isOne ? `${at + 1} of ` : ""}${counted(filter.hits.length, "hit")}` : "";
    byId("hits").textContent = text;
    byId("query").title = `${counted(filter.list.length, "event")} shown, ${grouped(hidden)} hidden`;
  }
}
