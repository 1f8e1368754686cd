// Which events are shown, and which contain the searched text. The filter is kept in the URL's hash, so a link keeps it.
"use strict";

/** The filters. Unset ones are null. */
class Filter {
  constructor(story) {
    this.story = story;
    this.clear();
    /** Whether each event is shown, and whether it contains the searched text. */
    this.shown = new Uint8Array(story.events.length);
    this.hit = new Uint8Array(story.events.length);
    /** The numbers of the events that are shown, and of the shown ones that contain the text. */
    this.list = [];
    this.hits = [];
    this.lower = null;
    this.apply();
  }

  clear() {
    Object.assign(this, {
      query: "",
      only: false,
      servers: null,
      kinds: null,
      term: null,
      index: null,
      from: null,
      to: null,
      idle: false,
    });
  }

  /** Whether a server's events are shown; the one outside stands for tester and clients. */
  hasServer(server) {
    return this.servers === null || this.servers.has(server);
  }

  hasKind(kind) {
    return this.kinds === null || this.kinds.has(kind);
  }

  /** Shows or hides one server or kind. A set with everything in it is no filter. */
  toggle(what, value, all) {
    const set = new Set(this[what] ?? all);
    if (!set.delete(value)) set.add(value);
    this[what] = set.size === all.length ? null : set;
  }

  /** Works out which events are shown. */
  apply() {
    const { story, shown, hit } = this;
    const found = this.query === "" ? null : this.matches(this.query.toLowerCase());
    this.list = [];
    this.hits = [];
    for (let n = 0; n < story.events.length; n++) {
      const event = story.events[n];
      hit[n] = found !== null && found(event) ? 1 : 0;
      shown[n] = this.passes(event) && (!this.only || found === null || hit[n]) ? 1 : 0;
      if (!shown[n]) continue;
      this.list.push(n);
      if (hit[n]) this.hits.push(n);
    }
  }

  passes(event) {
    if (event.idle && !this.idle) return false;
    if (this.kinds !== null && !this.kinds.has(event.kind)) return false;
    if (this.servers !== null && !this.concerns(event)) return false;
    if (this.term !== null && event.term !== this.term) return false;
    if (this.index !== null) {
      if (event.first === undefined && event.last === undefined) return false;
      const [first, last] = [event.first ?? event.last, event.last ?? event.first];
      if (this.index < first || this.index > last) return false;
    }
    return (this.from === null || event.at >= this.from) && (this.to === null || event.at <= this.to);
  }

  concerns(event) {
    const { servers } = this;
    if (servers.has(laneOf(event, this.story.outside))) return true;
    return servers.has(event.from) || servers.has(event.to);
  }

  /** A function that says whether an event contains the text. Each string of the table is searched once. */
  matches(text) {
    const { story } = this;
    this.lower ??= story.strings.map((string) => String(string).toLowerCase());
    const strings = this.lower.map((string) => string.includes(text));
    const has = (value) => (typeof value === "number" ? strings[value] : value?.toLowerCase().includes(text));
    return (event) =>
      has(event.text) ||
      has(event.detail) ||
      has(event.why) ||
      has(event.method) ||
      event.what?.includes(text) ||
      story.place(event).toLowerCase().includes(text);
  }

  /** The shown event `by` places after `n` (before it, if `by` is negative), among those that `wanted` accepts. */
  step(n, by, wanted = () => true, list = this.list) {
    const at = lowerBound(list, n);
    const isThere = list[at] === n;
    let i = by > 0 ? at + (isThere ? 1 : 0) : at - 1;
    for (; i >= 0 && i < list.length; i += by) if (wanted(list[i])) return list[i];
    return -1;
  }

  /** As the hash of a link. */
  toHash(extra) {
    const words = new URLSearchParams();
    const put = (key, value) =>
      value !== null && value !== "" && value !== false && words.set(key, value === true ? "1" : value);
    put("q", this.query);
    put("only", this.only);
    put(
      "servers",
      this.servers &&
        [...this.servers]
          .sort((a, b) => a - b)
          .map((s) => (s === this.story.outside ? "t" : s))
          .join(","),
    );
    put("kinds", this.kinds && [...this.kinds].join(","));
    for (const key of ["term", "index", "from", "to", "idle"]) put(key, this[key]);
    for (const [key, value] of Object.entries(extra)) put(key, value);
    return words.toString().replaceAll("%2C", ",");
  }

  /** Reads a hash. What makes no sense is left out. Returns all words, for the other parts of the page. */
  fromHash(hash) {
    const words = new URLSearchParams(hash.replace(/^#/, ""));
    const number = (key, isGood) => {
      const value = words.get(key) === null || words.get(key) === "" ? NaN : Number(words.get(key));
      return isGood(value) ? value : null;
    };
    const set = (key, read) =>
      words.has(key)
        ? new Set(
            words
              .get(key)
              .split(",")
              .map(read)
              .filter((value) => value !== null),
          )
        : null;
    const { outside } = this.story;
    this.query = words.get("q") ?? "";
    this.only = words.get("only") === "1";
    this.idle = words.get("idle") === "1";
    this.servers = set("servers", (word) =>
      word === "t" ? outside : /^\d+$/.test(word) && Number(word) < outside ? Number(word) : null,
    );
    this.kinds = set("kinds", (word) => (Object.hasOwn(KINDS, word) ? word : null));
    for (const key of ["term", "index"]) this[key] = number(key, (value) => Number.isInteger(value) && value >= 0);
    for (const key of ["from", "to"]) this[key] = number(key, Number.isFinite);
    this.apply();
    return words;
  }
}
