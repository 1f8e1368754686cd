// What was known of every server at every moment: the changes of the events, folded. Copies are kept every thousand events, so
// that any moment is found by folding at most that many.
"use strict";

const CHECKPOINT = 1000;

/**
 * A server's log, as far as it is known. `entries[i]` is the entry at index `base + 1 + i`: a pair of term and command, or
 * undefined if nobody saw it. A snapshot replaced the entries up to `base`.
 */
class Log {
  constructor(base = 0, entries = []) {
    this.base = base;
    this.entries = entries;
  }

  get last() {
    return this.base + this.entries.length;
  }

  /** The entry at an index, or undefined. */
  at(index) {
    return this.entries[index - this.base - 1];
  }

  change({ from, keep, add }) {
    if (from !== undefined && from !== this.base) {
      this.entries =
        from > this.base ? this.entries.slice(from - this.base) : new Array(this.base - from).concat(this.entries);
      this.base = from;
    }
    if (keep !== undefined) this.entries.length = Math.max(0, keep - this.base);
    for (const entry of add ?? []) this.entries.push(entry);
  }
}

const FACTS = ["role", "term", "vote", "commit", "applied", "alive", "connected"];

function copyOf(servers) {
  return servers.map((server) => ({
    ...server,
    log: server.log && new Log(server.log.base, server.log.entries.slice()),
  }));
}

function fold(servers, changes) {
  for (const change of changes) {
    const server = servers[change.server];
    for (const fact of FACTS) if (change[fact] !== undefined) server[fact] = change[fact];
    if (server.vote === "unknown") server.vote = undefined;
    if (change.log) {
      server.log ??= new Log();
      server.log.change(change.log);
    }
  }
}

/** The states of all servers of a story. */
class States {
  constructor(story) {
    this.story = story;
    this.checkpoints = [];
    /** Per server: from when on it had which role and term, whether it ran and was connected. */
    this.segments = [];
    /** Whether any event tells a fact; facts that no event ever tells are not worth a column. */
    this.told = new Set();
    const servers = Array.from({ length: story.head.servers }, () => ({}));
    this.segments = servers.map(() => [{ from: story.start, to: story.end }]);
    story.events.forEach((event, n) => {
      if (n % CHECKPOINT === 0) this.checkpoints.push(copyOf(servers));
      if (!event.state) return;
      fold(servers, event.state);
      for (const change of event.state) {
        for (const fact of Object.keys(change)) this.told.add(fact);
        this.extend(change.server, servers[change.server], event.at);
      }
    });
  }

  /** Begins a segment if what the lane shows has changed. */
  extend(number, server, at) {
    const segments = this.segments[number];
    const last = segments.at(-1);
    const { role, term, alive, connected } = server;
    if (last.role === role && last.term === term && last.alive === alive && last.connected === connected) return;
    last.to = at;
    segments.push({ from: at, to: this.story.end, role, term, alive, connected });
  }

  /** The servers just after event `n`; before the first event if `n` is -1. */
  after(n) {
    if (this.checkpoints.length === 0 || n < 0) return Array.from({ length: this.story.head.servers }, () => ({}));
    const block = Math.floor(n / CHECKPOINT);
    const servers = copyOf(this.checkpoints[block]);
    for (let i = block * CHECKPOINT; i <= n; i++) fold(servers, this.story.events[i].state ?? []);
    return servers;
  }
}
