// Reads the embedded data. What is damaged is said in words: a blank page helps nobody.
"use strict";

const SCHEMA = "raftlab-story/1";

/** The data can't be shown, for a reason that the reader should see. */
class Damaged extends Error {}

/**
 * The run: its head, its events and its histories.
 * @param {string} json as in docs/STORY.md
 */
function readStory(json) {
  let data;
  try {
    data = JSON.parse(json);
  } catch (error) {
    throw new Damaged(`The data in this page is damaged: it is not JSON (${error.message}).`);
  }
  const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject(data) || !isObject(data.head)) throw new Damaged("The data in this page is damaged: it has no head.");
  const { head } = data;
  if (head.schema !== SCHEMA) {
    throw new Damaged(
      `This page shows data of the schema ${SCHEMA}, but its data says ${JSON.stringify(head.schema)}. ` +
        "Another version of raftlab wrote it.",
    );
  }
  const list = (name) => {
    const value = data[name] ?? [];
    if (!Array.isArray(value)) throw new Damaged(`The data in this page is damaged: ${name} is not a list.`);
    return value;
  };
  const [strings, events, histories] = ["strings", "events", "histories"].map(list);
  if (!Number.isInteger(head.servers) || head.servers < 0) {
    throw new Damaged("The data in this page is damaged: the head does not say how many servers there are.");
  }
  events.forEach((event, n) => readEvent(event, n, events, head.servers));
  histories.forEach(readHistory);
  return new Story(head, strings, events, histories);
}

function readEvent(event, n, events, servers) {
  const wrong = (what) => new Damaged(`The data in this page is damaged: event ${n} ${what}.`);
  if (typeof event !== "object" || event === null) throw wrong("is not an object");
  if (!Number.isFinite(event.at)) throw wrong("has no time");
  if (n > 0 && event.at < events[n - 1].at) throw wrong("is earlier than the event before it");
  for (const end of ["server", "from", "to"]) {
    const server = event[end];
    if (server === undefined || server === null) continue;
    if (!Number.isInteger(server) || server < 0 || server >= servers)
      throw wrong(`names server ${server} of ${servers}`);
  }
  const state = event.state ?? [];
  if (!Array.isArray(state)) throw wrong("has a state that is not a list");
  for (const change of state) {
    if (!(change?.server >= 0 && change.server < servers))
      throw wrong("changes the state of a server that does not exist");
  }
  // A kind of a later version is shown among the log lines.
  if (!Object.hasOwn(KINDS, event.kind)) event.kind = "log";
  event.n = n;
}

function readHistory(history, n) {
  const wrong = (what) => new Damaged(`The data in this page is damaged: history ${n} ${what}.`);
  if (!Array.isArray(history?.operations)) throw wrong("has no operations");
  const bad = history.operations.findIndex((operation) => !Number.isFinite(operation?.call));
  if (bad >= 0) throw wrong(`has an operation (${bad}) without the time of its call`);
}

/** A run that was read. */
class Story {
  constructor(head, strings, events, histories) {
    Object.assign(this, { head, strings, events, histories });
    /** The times of all events, for binary searches. */
    this.times = Float64Array.from(events, (event) => event.at);
    const ends = histories.flatMap(({ operations }) => operations.map((o) => o.return ?? o.call));
    const starts = histories.flatMap(({ operations }) => operations.map((o) => o.call));
    const least = (list, first) => list.reduce((a, b) => Math.min(a, b), first);
    const most = (list, first) => list.reduce((a, b) => Math.max(a, b), first);
    this.start = least(starts, events.length > 0 ? 0 : Infinity);
    if (!Number.isFinite(this.start)) this.start = 0;
    this.end = most(ends, Math.max(head.end_ms ?? 0, events.at(-1)?.at ?? 0));
    if (!(this.end > this.start)) this.end = this.start + 1;
    /** The last lane: the tester, and the clients, which are on no server. */
    this.outside = head.servers;
    this.hasOutside = events.some((event) => laneOf(event, this.outside) === this.outside);
    /** The events that change the network as a whole, such as partitions. */
    this.network = events.filter(({ kind, server }) => kind === "fault" && server === undefined).map(({ n }) => n);
    this.hasClients = events.some((event) => event.client !== undefined);
  }

  /** A string of the page's table; strings in place of numbers are accepted, too. */
  string(value) {
    return typeof value === "number" ? (this.strings[value] ?? "") : (value ?? "");
  }

  text(event) {
    return this.string(event.text) || event.what || event.kind;
  }

  /** Where an event lies, in words: S1, S1 → S2, C3 → S0, tester. */
  place(event) {
    const name = (server) => `S${server}`;
    if (event.to !== undefined) {
      const from = event.from !== undefined ? name(event.from) : (event.client ?? "?");
      return `${from}→${name(event.to)}`;
    }
    return event.server !== undefined && event.server !== null ? name(event.server) : (event.client ?? "tester");
  }

  /** The number of the event at which the failure was found; -1 if the run passed. */
  get failure() {
    const failure = this.head.failure;
    if (!failure) return -1;
    if (Number.isInteger(failure.event) && failure.event >= 0 && failure.event < this.events.length)
      return failure.event;
    return Math.min(this.events.length, lowerBound(this.times, (failure.at_ms ?? this.end) + 1e-9)) - 1;
  }
}

/** The lane of an event: its server, or the one outside. */
function laneOf(event, outside) {
  return event.server ?? outside;
}
