// Which part of the time is in view, and where a moment lies in it.
"use strict";

/** The axis of time: a millisecond has the same room everywhere. */
const EVEN_TIME = { name: "time", place: (time) => time, time: (place) => place };

/**
 * The axis of events: each moment at which something is shown has about the same room. So the bursts of a Raft can be read, which
 * last 3 ms and come every 100 ms.
 */
class EvenEvents {
  constructor(start, end, times) {
    this.name = "events";
    const moments = [start];
    const places = [0];
    const add = (time) => {
      const gap = time - moments.at(-1);
      if (!(gap > 0)) return;
      places.push(places.at(-1) + 1 + Math.log10(1 + gap));
      moments.push(time);
    };
    times.forEach(add);
    add(end);
    this.moments = Float64Array.from(moments);
    this.places = Float64Array.from(places);
  }

  place(time) {
    return EvenEvents.between(this.moments, this.places, time);
  }

  time(place) {
    return EvenEvents.between(this.places, this.moments, place);
  }

  /** Interpolates; outside of the run a unit is a unit. */
  static between(keys, values, key) {
    const last = keys.length - 1;
    if (key <= keys[0]) return values[0] + (key - keys[0]);
    if (key >= keys[last]) return values[last] + (key - keys[last]);
    const i = lowerBound(keys, key);
    return values[i - 1] + ((key - keys[i - 1]) / (keys[i] - keys[i - 1])) * (values[i] - values[i - 1]);
  }
}

/** The part of the axis in view, and its pixels. */
class View {
  constructor(story) {
    this.story = story;
    this.scale = EVEN_TIME;
    this.left = 0;
    this.width = 100;
    this.fit();
  }

  /** The pixels that the lanes have: from `left`, `width` wide. */
  setRoom(left, width) {
    this.left = left;
    this.width = Math.max(10, width);
  }

  get from() {
    return this.scale.time(this.begin);
  }

  get to() {
    return this.scale.time(this.end);
  }

  x(time) {
    return this.left + ((this.scale.place(time) - this.begin) / (this.end - this.begin)) * this.width;
  }

  time(x) {
    return this.scale.time(this.begin + ((x - this.left) / this.width) * (this.end - this.begin));
  }

  /** Shows a range of time. */
  show(from, to) {
    this.set(this.scale.place(from), this.scale.place(to));
  }

  /** The whole run, with a little room at both ends. */
  fit() {
    const [begin, end] = [this.story.start, this.story.end].map((time) => this.scale.place(time));
    const room = (end - begin) * 0.01;
    this.set(begin - room, end + room);
  }

  /** Sets what is in view: never less than a few ns, and never far outside of the run. */
  set(begin, end) {
    const [first, last] = [this.story.start, this.story.end].map((time) => this.scale.place(time));
    const all = last - first;
    const size = Math.min(Math.max(end - begin, 1e-5), all * 1.02);
    const middle = (begin + end) / 2;
    const room = Math.max(size * 0.25, all * 0.01);
    const least = first - room;
    const most = last + room - size;
    this.begin = Math.max(least, Math.min(middle - size / 2, Math.max(least, most)));
    this.end = this.begin + size;
  }

  /** Makes everything `factor` times as large, and leaves what is at `x` where it is. */
  zoom(factor, x = this.left + this.width / 2) {
    const share = Math.min(1, Math.max(0, (x - this.left) / this.width));
    const fixed = this.begin + share * (this.end - this.begin);
    const size = (this.end - this.begin) / factor;
    this.set(fixed - share * size, fixed + (1 - share) * size);
  }

  /** Moves by pixels. */
  pan(pixels) {
    const by = (pixels / this.width) * (this.end - this.begin);
    this.set(this.begin + by, this.end + by);
  }

  /** Changes the axis; the same time stays in view. */
  setScale(scale) {
    const { from, to } = this;
    this.scale = scale;
    this.show(from, to);
  }

  /** Moves so that a moment is in view, with some room on both sides. Zooms only if asked to. */
  reveal(time) {
    const x = this.x(time);
    const room = Math.min(80, this.width / 6);
    if (x >= this.left + room && x <= this.left + this.width - room) return;
    this.pan(x - (this.left + this.width / 2));
  }

  /** Shows the failure at about three quarters of the width, with what led to it: `before` is an earlier moment. */
  showEnd(before, at) {
    const [a, b] = [this.scale.place(before), this.scale.place(at)];
    const size = Math.max(b - a, 1e-3) * 1.25;
    this.set(b - size * 0.8, b + size * 0.2);
  }
}
