// The canvas: its size, and the order in which everything is drawn on it.
"use strict";

class Surface {
  constructor(app) {
    this.app = app;
    this.stage = byId("stage");
    this.canvas = byId("canvas");
    app.ctx = this.canvas.getContext("2d", { alpha: false });
    const family = getComputedStyle(document.body).fontFamily;
    app.fonts = { small: `11px ${family}`, bold: `600 11.5px ${family}` };
    new ResizeObserver(() => this.resize()).observe(this.stage);
    this.stage.addEventListener("scroll", app.redraw, { passive: true });
    this.resize();
  }

  resize() {
    const { app, stage, canvas } = this;
    const [width, height] = [stage.clientWidth, stage.clientHeight];
    app.layout = new Layout(app.story, app.operations, height);
    app.size = { width, height };
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    this.ratio = ratio;
    byId("spacer").style.height = `${Math.max(0, app.layout.height - height)}px`;
    app.view.setRoom(GUTTER, width - GUTTER - 10);
    app.list?.draw();
    // The canvas is empty after a change of its size, and must not flicker.
    this.draw();
  }

  /** Lanes scroll under the axis: their heights are those of the layout, moved up by what is scrolled. */
  draw() {
    const { app } = this;
    const { ctx, theme, size, view, layout } = app;
    const scrolled = this.stage.scrollTop;
    app.targets = [];
    ctx.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    ctx.fillStyle = theme.panel;
    ctx.fillRect(0, 0, size.width, size.height);
    ctx.save();
    ctx.translate(0, -scrolled);
    const list = ticks(view, 84).list;
    this.drawLaneGround();
    ctx.save();
    ctx.beginPath();
    ctx.rect(view.left - 1, 0, view.width + 2, layout.height + size.height);
    ctx.clip();
    drawGrid(app, list);
    this.drawNetwork();
    drawLanes(app);
    drawMessages(app);
    drawMarks(app);
    drawHistory(app);
    this.drawMoments();
    ctx.restore();
    drawGutter(app);
    drawClients(app);
    ctx.restore();
    drawAxis(app);
    drawOverview(app);
    if (app.range) this.drawRange();
    for (const target of app.targets) shiftUp(target, scrolled);
    app.drawn = (app.drawn ?? 0) + 1;
    this.canvas.dataset.layout = String(layout.height);
  }

  /** Lines between the lanes. */
  drawLaneGround() {
    const { ctx, theme, layout, size } = this.app;
    for (const lane of layout.lanes) {
      ctx.globalAlpha = 0.6;
      line(
        ctx,
        theme.line,
        GUTTER,
        Math.round(lane.top + lane.height) + 0.5,
        size.width,
        Math.round(lane.top + lane.height) + 0.5,
      );
      ctx.globalAlpha = 1;
    }
  }

  /** Changes of the network as a whole, such as partitions: a faint line across all lanes. */
  drawNetwork() {
    const { ctx, view, theme, story, layout, filter } = this.app;
    const bottom = layout.rowsTop;
    ctx.setLineDash([3, 4]);
    ctx.globalAlpha = 0.55;
    for (const n of story.network) {
      const x = Math.round(view.x(story.times[n])) + 0.5;
      if (filter.shown[n] && x >= view.left && x <= view.left + view.width) line(ctx, theme.bad, x, TOP, x, bottom, 1);
    }
    ctx.setLineDash([]);
    ctx.globalAlpha = 1;
  }

  /** The selected event and the failure, across all lanes. */
  drawMoments() {
    const app = this.app;
    const { ctx, view, theme, story, layout } = app;
    if (story.failure >= 0) {
      const x = Math.round(view.x(story.times[story.failure])) + 0.5;
      if (x >= view.left) {
        line(ctx, theme.bad, x, TOP, x, layout.height, 1.6);
      }
    }
    if (app.selected < 0) return;
    const event = story.events[app.selected];
    const x = Math.round(view.x(event.at)) + 0.5;
    if (x < view.left) return;
    ctx.setLineDash([2, 3]);
    line(ctx, theme.accent, x, TOP, x, layout.height, 1);
    ctx.setLineDash([]);
    const y = heightOf(app, event);
    if (y === undefined) return;
    ctx.strokeStyle = theme.accent;
    ctx.lineWidth = 2.4;
    ctx.beginPath();
    ctx.arc(x, y, 7.5, 0, 7);
    ctx.stroke();
  }

  /** The range that is being dragged. */
  drawRange() {
    const { ctx, theme, size, range } = this.app;
    const [a, b] = range.toSorted((a, b) => a - b);
    ctx.globalAlpha = 0.15;
    ctx.fillStyle = theme.accent;
    ctx.fillRect(a, OVERVIEW, b - a, size.height);
    ctx.globalAlpha = 1;
  }
}

/** Moves what can be clicked to where it is on the canvas. */
function shiftUp(target, scrolled) {
  if (target.box) target.box[1] -= scrolled;
  else if (target.leg) target.ends = target.ends.map((value, i) => (i % 2 === 1 ? value - scrolled : value));
  else target.y -= scrolled;
}
