// The page's state, and what changes it: the selection, the view, the filter.
"use strict";

class App {
  constructor(story) {
    this.story = story;
    this.states = new States(story);
    this.calls = new Calls(story);
    this.filter = new Filter(story);
    this.view = new View(story);
    this.selected = -1;
    this.related = new Set();
    this.operation = null;
    this.range = null;
    this.targets = [];
    this.redraw = oncePerFrame(() => this.draw());
    this.keepHash = debounced(() => this.writeHash(), 150);
    const worst = story.histories.findIndex(({ operations }) => operations.some(({ misfit }) => misfit));
    this.historyNumber = Math.max(0, worst);
    this.operations = story.histories.length > 0 ? new Operations(story.histories[this.historyNumber], story) : null;
    this.theme = new Theme(() => this.themed());
    this.list = new List(this);
    this.panel = new Panel(this);
    this.controls = new Controls(this);
    this.pointer = new Pointer(this);
    this.surface = new Surface(this);
    listenToKeys(this);
    this.themed();
  }

  /** Draws the canvas now. */
  draw() {
    this.surface.draw();
  }

  themed() {
    if (!this.surface) return;
    byId("theme").textContent = { auto: "◐ auto", light: "○ light", dark: "● dark" }[this.theme.choice];
    this.redraw();
  }

  /** The view has moved. */
  moved() {
    if (this.selected < 0) this.list.follow(this.view.from);
    this.redraw();
    this.keepHash();
  }

  zoom(factor) {
    const at = this.selected >= 0 ? this.view.x(this.story.times[this.selected]) : NaN;
    const inView = at >= this.view.left && at <= this.view.left + this.view.width;
    this.view.zoom(factor, inView ? at : undefined);
    this.moved();
  }

  pan(pixels) {
    this.view.pan(pixels);
    this.moved();
  }

  fit() {
    this.view.fit();
    this.moved();
  }

  toggleScale(isEven = this.view.scale === EVEN_TIME) {
    this.view.setScale(isEven ? this.evenEvents() : EVEN_TIME);
    byId("scale").setAttribute("aria-pressed", String(isEven));
    this.moved();
  }

  evenEvents() {
    const { story, filter } = this;
    return new EvenEvents(
      story.start,
      story.end,
      filter.list.map((n) => story.times[n]),
    );
  }

  /** The filter has changed. */
  filtered() {
    this.filter.apply();
    this.counts = null;
    if (this.view.scale !== EVEN_TIME) this.view.setScale(this.evenEvents());
    this.list.update();
    this.list.reveal(true);
    this.controls.showHits();
    this.moved();
  }

  /** Selects an event (-1: none). */
  select(n, { from = "" } = {}) {
    if (n < -1 || n >= this.story.events.length) return;
    this.selected = n;
    this.operation = null;
    this.stateCache = null;
    const event = this.story.events[n];
    this.related = new Set(this.calls.of(event).map((one) => one.n));
    if (event) {
      if (from !== "canvas") this.view.reveal(event.at);
      byId("said").textContent = `${this.story.place(event)}: ${this.story.text(event)}`;
    }
    this.list.reveal(from === "canvas");
    this.panel.draw();
    this.controls.showHits();
    this.moved();
  }

  selectOperation(operation) {
    this.operation = operation;
    const { view } = this;
    if (operation.end < view.from || operation.call > view.to) view.reveal(operation.call);
    const top = this.layout.rows.find(({ operations }) => operations.includes(operation))?.top ?? 0;
    const stage = byId("stage");
    if (top < stage.scrollTop + TOP || top + ROW > stage.scrollTop + stage.clientHeight)
      stage.scrollTop = top - stage.clientHeight / 2;
    byId("said").textContent = `C${known(operation.client)}: ${sayOperation(operation)}`;
    this.panel.draw();
    this.moved();
  }

  /** Selects the next shown event (the previous one, if `by` is -1), among those that are wanted. */
  step(by, wanted) {
    if (this.story.events.length === 0 && this.operations) return this.stepOperation(by);
    const from =
      this.selected >= 0
        ? this.selected
        : by > 0
          ? lowerBound(this.story.times, this.view.from) - 1
          : this.story.events.length;
    const next = this.filter.step(from, by, wanted);
    if (next >= 0) this.select(next);
  }

  /** Without events, the same keys step through the operations, by the times of their calls. */
  stepOperation(by) {
    const list = this.operations.list.toSorted((a, b) => a.call - b.call);
    const at = list.indexOf(this.operation);
    const next = at < 0 ? list[0] : list[at + by];
    if (next) this.selectOperation(next);
  }

  stepMany(by) {
    const { list } = this.filter;
    if (list.length === 0) return;
    const at = lowerBound(list, Math.max(0, this.selected));
    this.select(list[Math.min(list.length - 1, Math.max(0, at + by))]);
  }

  /** Accepts events in the lane of the selected one. */
  sameLane() {
    const { story, selected } = this;
    if (selected < 0) return () => true;
    const lane = laneOf(story.events[selected], story.outside);
    return (n) => laneOf(story.events[n], story.outside) === lane;
  }

  stepCall() {
    const events = this.calls.of(this.story.events[this.selected]);
    if (events.length === 0) return;
    const at = events.findIndex(({ n }) => n === this.selected);
    this.select(events[(at + 1) % events.length].n);
  }

  stepHit(by) {
    const from = this.selected >= 0 ? this.selected : by > 0 ? -1 : this.story.events.length;
    const { hits } = this.filter;
    const next = this.filter.step(from, by, undefined, hits);
    if (next >= 0) this.select(next);
    else if (hits.length > 0) this.select(by > 0 ? hits[0] : hits.at(-1));
  }

  /** Shows the failure, with what led to it. */
  toFailure() {
    const { story, filter } = this;
    const n = story.failure;
    if (n < 0) return;
    const at = lowerBound(filter.list, n);
    const before = filter.list[Math.max(0, at - 60)] ?? n;
    this.view.showEnd(Math.min(story.times[before], story.times[n] - 1), story.times[n]);
    this.select(n);
  }

  chooseHistory(number) {
    const history = this.story.histories[number];
    if (!history) return;
    this.historyNumber = number;
    this.operations = new Operations(history, this.story);
    this.operation = null;
    this.counts = null;
    byId("key").value = String(number);
    this.surface.resize();
    this.panel.draw();
    this.moved();
  }

  escape() {
    if (document.activeElement?.closest("#tools")) {
      document.activeElement.blur();
      byId("stage").focus();
    } else {
      this.select(-1);
    }
  }

  /** The servers at the selected moment; if nothing is selected, at the end of what is in view. */
  statesAtSelection() {
    const n = this.selected >= 0 ? this.selected : lowerBound(this.story.times, this.view.to) - 1;
    if (this.stateCache?.n !== n) this.stateCache = { n, servers: this.states.after(n) };
    return this.stateCache.servers;
  }

  /** How many shown events there are in each part of the run. */
  overview() {
    if (this.counts) return this.counts;
    const { story, filter } = this;
    this.counts = new Uint32Array(300);
    const span = story.end - story.start;
    // A history alone has no events; then its operations are counted.
    if (story.events.length === 0) {
      for (const { call } of this.operations?.list ?? [])
        this.counts[Math.min(299, Math.floor(((call - story.start) / span) * 300))]++;
    }
    for (const n of filter.list)
      this.counts[Math.min(299, Math.floor(((story.times[n] - story.start) / span) * 300))]++;
    return this.counts;
  }

  /** What a reader should see first, if no link says it: the failure, or the operation that fits nowhere. */
  showFirst() {
    const { story, operations, view } = this;
    if (story.failure >= 0) {
      // What led to it is a burst of a few ms, or many heartbeats apart. In both cases events need room more than time does.
      this.toggleScale(true);
      return this.toFailure();
    }
    if (!operations) return;
    const range = operations.firstView;
    if (range && story.events.length === 0) view.show(...range);
    if (operations.misfit) this.selectOperation(operations.misfit);
  }

  writeHash() {
    const { view } = this;
    const even = view.scale !== EVEN_TIME;
    const [from, to] = [view.from, view.to].map((time) => Number(time.toFixed(6)));
    const hash = this.filter.toHash({
      at: this.selected >= 0 ? this.selected : null,
      view: `${from}-${to}`,
      even,
      key: this.historyNumber > 0 ? this.historyNumber : null,
    });
    if (location.hash.slice(1) !== hash) history.replaceState(null, "", `#${hash}`);
  }

  /** Takes over what a link says. Returns whether it says what is in view. */
  readHash() {
    const words = this.filter.fromHash(location.hash);
    this.counts = null;
    this.controls.show();
    this.list.update();
    const key = Number(words.get("key") ?? NaN);
    if (Number.isInteger(key)) this.chooseHistory(key);
    this.toggleScale(words.get("even") === "1");
    const at = words.has("at") ? Number(words.get("at")) : NaN;
    const [, from, to] = /^(-?[\d.]+)-([\d.]+)$/.exec(words.get("view") ?? "") ?? [];
    const hasView = Number(to) > Number(from);
    if (hasView) this.view.show(Number(from), Number(to));
    if (Number.isInteger(at) && at >= 0 && at < this.story.events.length)
      this.select(at, { from: hasView ? "canvas" : "" });
    if (this.selected < 0) this.list.follow(this.view.from);
    this.controls.showHits();
    this.redraw();
    return hasView || this.selected >= 0;
  }
}

/** Lets `work` run once nothing has asked for it for `wait` ms. */
function debounced(work, wait) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, wait);
  };
}
