// The mouse on the lanes: wheel, drag, click, and what is under it.
"use strict";

/** So near a click must be to a mark or an arrow, in pixels. */
const NEAR = 8;

class Pointer {
  constructor(app) {
    this.app = app;
    this.stage = byId("stage");
    this.tip = byId("tip");
    this.drag = null;
    this.stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.stage.addEventListener("pointerdown", (event) => this.down(event));
    this.stage.addEventListener("pointermove", (event) => this.move(event));
    this.stage.addEventListener("pointerup", (event) => this.up(event));
    this.stage.addEventListener("pointercancel", () => this.stop());
    this.stage.addEventListener("pointerleave", () => this.hide());
    this.stage.addEventListener("dblclick", (event) => {
      app.view.zoom(3, this.at(event).x);
      app.moved();
    });
  }

  /** Where the mouse is on the canvas. */
  at(event) {
    const box = byId("canvas").getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  wheel(event) {
    if (event.altKey) return;
    event.preventDefault();
    const { view } = this.app;
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
    const [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
    if (event.shiftKey || Math.abs(dx) > Math.abs(dy)) view.pan(dx === 0 ? dy : dx);
    else view.zoom(1.0018 ** -dy, this.at(event).x);
    this.hide();
    this.app.moved();
  }

  down(event) {
    if (event.button !== 0) return;
    const at = this.at(event);
    const box = byId("canvas").getBoundingClientRect();
    if (at.x > box.width) return; // the scroll bar
    const what = at.y < OVERVIEW ? "overview" : at.y < TOP || event.shiftKey ? "range" : "pan";
    this.drag = { what, start: at, last: at, moved: false };
    this.stage.setPointerCapture(event.pointerId);
    if (what === "overview") this.jump(at.x);
  }

  move(event) {
    const at = this.at(event);
    const { drag, app } = this;
    if (!drag) return this.hover(at, event);
    drag.moved ||= Math.hypot(at.x - drag.start.x, at.y - drag.start.y) > 4;
    if (!drag.moved) return;
    if (drag.what === "overview") this.jump(at.x);
    else if (drag.what === "range") app.range = [drag.start.x, at.x];
    else {
      app.view.pan(drag.last.x - at.x);
      this.stage.scrollTop += drag.last.y - at.y;
    }
    drag.last = at;
    this.hide();
    app.moved();
  }

  up(event) {
    const { drag, app } = this;
    this.stop();
    if (!drag) return;
    const at = this.at(event);
    if (drag.what === "range" && drag.moved) {
      const [a, b] = [drag.start.x, at.x].sort((a, b) => a - b);
      if (b - a > 4) app.view.show(app.view.time(Math.max(a, app.view.left)), app.view.time(b));
      app.moved();
    } else if (!drag.moved && drag.what !== "overview") {
      this.click(at);
    }
  }

  stop() {
    this.drag = null;
    if (this.app.range) {
      this.app.range = null;
      this.app.redraw();
    }
  }

  /** Shows the part of the run at a place of the overview. */
  jump(x) {
    const { view, story } = this.app;
    const time = story.start + ((x - view.left) / view.width) * (story.end - story.start);
    view.pan(view.x(time) - (view.left + view.width / 2));
    this.app.moved();
  }

  click(at) {
    const { app } = this;
    const found = this.nearest(at);
    if (found?.operation) app.selectOperation(found.operation);
    else if (found) app.select(found.n, { from: "canvas" });
  }

  /** What is under a point: a mark, an operation, or the nearer end of an arrow. */
  nearest({ x, y }) {
    const { app } = this;
    let best = null;
    const offer = (distance, what) => {
      if (distance <= NEAR && (best === null || distance < best.distance)) best = { distance, ...what };
    };
    for (const target of app.targets) {
      if (target.box) {
        const [left, top, width, height] = target.box;
        if (x >= left - 1 && x <= left + width + 1 && y >= top && y <= top + height)
          offer(0, { operation: target.operation });
      } else if (target.leg) {
        // Marks lie on top of arrows, so arrows count as a little farther.
        const { distance, share } = toSegment(x, y, target.ends);
        const { begin, end } = target.leg;
        offer(distance + 2, { n: end >= 0 && share > 0.5 ? end : begin });
      } else {
        offer(Math.hypot(x - target.x, y - target.y), { n: target.n });
      }
    }
    return best ?? this.nearestInLane({ x, y });
  }

  /** Where bars stand for arrows: the nearest event of the lane. */
  nearestInLane({ x, y }) {
    const { app } = this;
    const lane = app.layout.laneAt(y);
    if (!lane || !app.dense) return null;
    const { story, filter, view } = app;
    const isHere = (n) => laneOf(story.events[n], story.outside) === lane.lane;
    const at = lowerBound(story.times, view.time(x));
    const [before, after] = [filter.step(at, -1, isHere), filter.step(at - 1, 1, isHere)];
    const far = (n) => (n < 0 ? Infinity : Math.abs(view.x(story.times[n]) - x));
    const n = far(before) < far(after) ? before : after;
    return far(n) <= NEAR ? { n } : null;
  }

  hover(at, event) {
    const { app } = this;
    const found = at.y < TOP || at.x < GUTTER ? null : this.nearest(at);
    this.stage.style.cursor = found ? "pointer" : at.y < TOP ? "col-resize" : "";
    if (!found) return this.hide();
    const { story } = app;
    const text = found.operation
      ? `C${known(found.operation.client)}: ${sayOperation(found.operation)}`
      : story.text(story.events[found.n]);
    const head = found.operation
      ? `${ms(found.operation.call)} ms`
      : `${ms(story.events[found.n].at)} ms · ${story.place(story.events[found.n])}`;
    this.tip.replaceChildren(
      el("small", null, head),
      el("div", null, text.length > 200 ? `${text.slice(0, 200)}…` : text),
    );
    this.tip.hidden = false;
    const { offsetWidth, offsetHeight } = this.tip;
    this.tip.style.left = `${Math.min(event.clientX + 14, innerWidth - offsetWidth - 8)}px`;
    this.tip.style.top = `${event.clientY + 18 + offsetHeight > innerHeight ? event.clientY - offsetHeight - 10 : event.clientY + 18}px`;
  }

  hide() {
    this.tip.hidden = true;
  }
}

/** How far a point is from a segment, and at which share of the segment it is nearest. */
function toSegment(x, y, [x0, y0, x1, y1]) {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const length = dx * dx + dy * dy;
  const share = length === 0 ? 0 : Math.min(1, Math.max(0, ((x - x0) * dx + (y - y0) * dy) / length));
  return { distance: Math.hypot(x - x0 - share * dx, y - y0 - share * dy), share };
}
