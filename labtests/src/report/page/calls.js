// Messages: the events of a call together, and the legs (request or reply) that are drawn as arrows.
"use strict";

const BLOCK = 64;

/**
 * The calls of a story.
 * A leg: `begin` and `end` are events (`end` is -1 if it never arrived), `t0` and `t1` their times, `l0` and `l1` their lanes,
 * `fate` is arrived, lost, held or open, `dashed` whether a rule held it back.
 */
class Calls {
  constructor(story) {
    this.story = story;
    /** The events of each call, by its number. */
    this.events = new Map();
    story.events.forEach((event) => {
      if (event.call === undefined || event.to === undefined) return;
      const events = this.events.get(event.call);
      if (events) events.push(event);
      else this.events.set(event.call, [event]);
    });
    this.usual = this.usualLatency();
    this.legs = [];
    for (const events of this.events.values()) this.addLegs(events);
    this.legs.sort((a, b) => a.t0 - b.t0);
    this.starts = Float64Array.from(this.legs, (leg) => leg.t0);
    // Where the legs of a block end at the latest: so a leg that began long ago is found without a look at all legs.
    this.ends = [];
    this.legs.forEach((leg, i) => {
      const block = Math.floor(i / BLOCK);
      this.ends[block] = Math.max(this.ends[block] ?? -Infinity, leg.t1);
    });
  }

  /** How long a request usually takes: the median. A lost one is drawn with this slope. */
  usualLatency() {
    const taken = [];
    for (const events of this.events.values()) {
      const arrived = events.find((event) => event.what === "arrived");
      if (events[0].what === "called" && arrived) taken.push(arrived.at - events[0].at);
      if (taken.length > 2000) break;
    }
    taken.sort((a, b) => a - b);
    return taken[taken.length >> 1] || 1;
  }

  addLegs(events) {
    const of = (what) => events.filter((event) => event.what === what);
    const [called, returned, lost] = ["called", "returned", "lost"].map((what) => of(what)[0]);
    const [arrivals, answers, holds] = ["arrived", "answered", "held"].map(of);
    const heldBetween = (from, to) => holds.some(({ at }) => at >= from && at <= to);
    if (called) {
      for (const arrival of arrivals) {
        this.add("request", called, arrival, "arrived", heldBetween(called.at, arrival.at) && arrival === arrivals[0]);
      }
      if (arrivals.length === 0) {
        this.add("request", called, null, lost ? "lost" : holds.length > 0 ? "held" : "open", holds.length > 0);
      }
    }
    // The answer that came back is the last one before the return.
    const back = returned && answers.findLast(({ at }) => at <= returned.at);
    for (const answer of answers) {
      if (answer === back) {
        this.add("reply", answer, returned, "arrived", heldBetween(answer.at, returned.at));
      } else if (!returned) {
        const held = heldBetween(answer.at, Infinity);
        this.add("reply", answer, null, lost ? "lost" : held ? "held" : "open", held);
      } else {
        this.add("reply", answer, null, "open", false);
      }
    }
  }

  add(what, begin, end, fate, dashed) {
    const outside = this.story.outside;
    const [near, far] = [begin.from ?? outside, begin.to];
    const [l0, l1] = what === "request" ? [near, far] : [far, near];
    const t1 = end ? end.at : begin.at + this.usual / 2;
    this.legs.push({
      what,
      kind: begin.kind,
      call: begin.call,
      begin: begin.n,
      end: end ? end.n : -1,
      t0: begin.at,
      t1,
      l0,
      l1,
      fate,
      dashed,
    });
  }

  /** Calls `visit` with each leg that overlaps the time from `from` to `to`. */
  between(from, to, visit) {
    const last = lowerBound(this.starts, to);
    for (let block = 0; block * BLOCK < last; block++) {
      if (this.ends[block] < from) continue;
      const end = Math.min(last, (block + 1) * BLOCK);
      for (let i = block * BLOCK; i < end; i++) if (this.legs[i].t1 >= from) visit(this.legs[i]);
    }
  }

  /** The events of the call that `event` belongs to. */
  of(event) {
    return event?.call === undefined ? [] : (this.events.get(event.call) ?? []);
  }
}
