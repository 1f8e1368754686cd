// The events as rows of text. Only the rows in sight are in the document, so 50,000 of them cost nothing.
"use strict";

const ROW_HEIGHT = 22;

/** Browsers lay out no elements taller than some ten million pixels. */
const TALLEST = 8e6;

class List {
  constructor(app) {
    this.app = app;
    this.box = byId("list");
    this.rows = byId("rows");
    const redraw = oncePerFrame(() => this.draw());
    this.box.addEventListener("scroll", redraw, { passive: true });
    this.rows.addEventListener("click", (event) => {
      const row = event.target.closest("[data-n]");
      if (row) app.select(Number(row.dataset.n), { from: "list" });
    });
  }

  /** The events have changed, or the size. */
  update() {
    const { list } = this.app.filter;
    this.rows.style.height = `${Math.min(TALLEST, list.length * ROW_HEIGHT)}px`;
    this.draw();
  }

  /** Scrolls so that the selected event is in sight; with `middle`, to the middle. */
  reveal(middle) {
    const { filter, selected } = this.app;
    if (selected < 0) return this.draw();
    const top = lowerBound(filter.list, selected) * ROW_HEIGHT;
    const { scrollTop, clientHeight } = this.box;
    if (middle || top < scrollTop || top + ROW_HEIGHT > scrollTop + clientHeight) {
      const outside = top < scrollTop - clientHeight || top > scrollTop + 2 * clientHeight;
      const goal = middle || outside ? top - clientHeight / 2 : top < scrollTop ? top : top + ROW_HEIGHT - clientHeight;
      this.box.scrollTop = Math.max(0, goal);
    }
    this.draw();
  }

  /** While nothing is selected: scrolls to what is in view on the lanes. */
  follow(time) {
    const { story, filter } = this.app;
    this.box.scrollTop = lowerBound(filter.list, lowerBound(story.times, time)) * ROW_HEIGHT;
  }

  draw() {
    const { app } = this;
    const { list } = app.filter;
    if (list.length === 0) {
      this.box.removeAttribute("aria-activedescendant");
      const why = app.story.events.length === 0 ? "This page has no events." : "No event passes the filters.";
      this.rows.replaceChildren(el("p.none", null, why));
      return;
    }
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW_HEIGHT) - 4);
    const last = Math.min(list.length, first + Math.ceil(this.box.clientHeight / ROW_HEIGHT) + 9);
    this.rows.replaceChildren(...list.slice(first, last).map((n, i) => this.row(n, first + i)));
    if (byId(`row-${app.selected}`)) this.box.setAttribute("aria-activedescendant", `row-${app.selected}`);
    else this.box.removeAttribute("aria-activedescendant");
  }

  row(n, at) {
    const { app } = this;
    const { story, filter } = app;
    const event = story.events[n];
    const related = app.related.has(n);
    const classes = ["div", "row", related ? "related" : "", n === story.failure ? "failed" : ""]
      .filter(Boolean)
      .join(".");
    const step = event.to !== undefined ? (STEPS[event.what] ?? "") : "";
    return el(
      classes,
      {
        role: "option",
        id: `row-${n}`,
        "data-n": n,
        style: `top:${at * ROW_HEIGHT}px`,
        "aria-selected": String(n === app.selected),
        "aria-posinset": at + 1,
        "aria-setsize": filter.list.length,
      },
      el("span.at", null, ms(event.at)),
      el("span.place", null, story.place(event)),
      el(`span.kind.kind-${event.kind}`, { title: KINDS[event.kind].name }, KINDS[event.kind].letter),
      el("span.step", { title: event.what, "aria-label": event.what }, step),
      el(
        "span.text",
        null,
        ...this.marked(story.text(event)),
        event.why !== undefined ? el("span.why", null, ...this.marked(` — ${story.string(event.why)}`)) : null,
      ),
    );
  }

  /** A text with the searched words marked. */
  marked(text) {
    const query = this.app.filter.query.toLowerCase();
    const short = text.length > 400 ? `${text.slice(0, 400)}…` : text;
    if (query === "") return [short];
    const pieces = [];
    const lower = short.toLowerCase();
    let at = 0;
    // Lower case may have another length, in some languages; then nothing is marked.
    if (lower.length !== short.length) return [short];
    for (let next = lower.indexOf(query); next >= 0; next = lower.indexOf(query, at)) {
      pieces.push(short.slice(at, next), el("mark", null, short.slice(next, next + query.length)));
      at = next + query.length;
    }
    pieces.push(short.slice(at));
    return pieces;
  }
}
