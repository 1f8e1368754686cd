// Messages as arrows between lanes. Where there are too many to be told apart, bars say how many there are.
"use strict";

/** So many arrows per pixel are still arrows. */
const ARROWS_PER_PIXEL = 0.7;

/** How wide a bar is that stands for many messages, in pixels. */
const BAR = 4;

/** Arrows go from edge to edge of the bands, this far from the middle of the lane. */
const EDGE = 9;

/** An arrow that has so many pixels on average has room for the letter of its kind. */
const FOR_LETTER = 25;

function drawMessages(app) {
  const { view, calls, filter } = app;
  const legs = [];
  calls.between(view.from, view.to, (leg) => {
    if (filter.shown[leg.begin] || (leg.end >= 0 && filter.shown[leg.end])) legs.push(leg);
  });
  app.dense = legs.length > Math.max(60, view.width * ARROWS_PER_PIXEL);
  app.arrows = legs.length;
  const selected = app.selected >= 0 ? app.story.events[app.selected].call : undefined;
  if (app.dense) drawDensity(app, legs);
  else legs.forEach((leg) => leg.call !== selected && drawLeg(app, leg, false));
  if (selected !== undefined) legs.forEach((leg) => leg.call === selected && drawLeg(app, leg, true));
  if (legs.length <= view.width / FOR_LETTER) drawLetters(app);
}

/** The letters of the kinds on the requests, where they don't cover each other. */
function drawLetters(app) {
  const { ctx, theme } = app;
  const taken = [];
  ctx.font = app.fonts.small;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  for (const { leg, ends } of app.targets) {
    if (!leg || leg.what !== "request") continue;
    const [x0, y0, x1, y1] = ends;
    const places = [0.3, 0.22, 0.45, 0.6].map((share) => [x0 + (x1 - x0) * share, y0 + (y1 - y0) * share]);
    const isFree = ([x, y]) =>
      app.layout.lanes.every(({ middle, isOutside }) => isOutside || Math.abs(middle - y) > 16) &&
      !taken.some(([a, b]) => Math.abs(a - x) < 13 && Math.abs(b - y) < 13);
    const place = places.find(isFree);
    if (!place) continue;
    taken.push(place);
    const [x, y] = place;
    ctx.fillStyle = theme.panel;
    ctx.fillRect(x - 5, y - 6, 10, 12);
    ctx.fillStyle = theme.kinds[leg.kind];
    ctx.fillText(KINDS[leg.kind].letter, x, y + 0.5);
  }
}

/** The two ends of a leg in pixels. A leg that never arrived ends half-way. */
function endsOf(app, leg) {
  const { view, layout } = app;
  const [a, b] = [layout.lanes[leg.l0], layout.lanes[leg.l1]];
  if (!a || !b) return null;
  const down = b.middle >= a.middle ? 1 : -1;
  const edge = (lane) => (lane.isOutside ? 0 : EDGE);
  const [x0, y0] = [view.x(leg.t0), a.middle + down * edge(a)];
  if (leg.end >= 0) return [x0, y0, view.x(leg.t1), b.middle - down * edge(b)];
  const x1 = Math.min(Math.max(view.x(leg.t1), x0 + 4), x0 + 60);
  return [x0, y0, x1, y0 + (b.middle - y0) * 0.45];
}

function drawLeg(app, leg, isSelected) {
  const { ctx, theme } = app;
  const ends = endsOf(app, leg);
  if (!ends) return;
  const [x0, y0, x1, y1] = ends;
  const colour = theme.kinds[leg.kind];
  ctx.globalAlpha = isSelected ? 1 : leg.what === "request" ? 0.85 : 0.65;
  if (leg.dashed) ctx.setLineDash([6, 4]);
  line(ctx, colour, x0, y0, x1, y1, isSelected ? 2.6 : leg.what === "request" ? 1.3 : 1);
  ctx.setLineDash([]);
  drawFate(app, leg, ends, colour, isSelected);
  ctx.globalAlpha = 1;
  app.targets.push({ leg, ends });
  // The events themselves are in the middle of their lanes.
  app.targets.push({ x: x0, y: app.layout.lanes[leg.l0].middle, n: leg.begin });
  if (leg.end >= 0) app.targets.push({ x: x1, y: app.layout.lanes[leg.l1].middle, n: leg.end });
}

function drawFate({ ctx, theme }, leg, [x0, y0, x1, y1], colour, isSelected) {
  if (leg.fate === "lost") {
    ctx.strokeStyle = theme.bad;
    ctx.lineWidth = isSelected ? 2.6 : 1.8;
    cross(ctx, x1, y1, 4);
  } else if (leg.fate === "held") {
    ctx.fillStyle = colour;
    ctx.fillRect(x1 - 4, y1 - 5, 2.5, 10);
    ctx.fillRect(x1 + 1.5, y1 - 5, 2.5, 10);
  } else if (leg.end >= 0) {
    arrowHead(ctx, x0, y0, x1, y1, isSelected ? 9 : 6, leg.what === "request" ? colour : null);
  }
}

/** A request's head is filled, a reply's is open. */
function arrowHead(ctx, x0, y0, x1, y1, size, fill) {
  const angle = Math.atan2(y1 - y0, x1 - x0);
  const point = (turn) => [x1 - size * Math.cos(angle + turn), y1 - size * Math.sin(angle + turn)];
  const [a, b] = [point(0.45), point(-0.45)];
  if (fill) {
    ctx.fillStyle = fill;
    polygon(ctx, [[x1, y1], a, b]);
    return;
  }
  ctx.beginPath();
  ctx.moveTo(...a);
  ctx.lineTo(x1, y1);
  ctx.lineTo(...b);
  ctx.stroke();
}

/** Bars above each lane: how many messages leave it or reach it. Lost ones are the red part. */
function drawDensity(app, legs) {
  const { ctx, view, theme, layout } = app;
  const bins = Math.ceil(view.width / BAR) + 1;
  const counts = layout.lanes.map(() => new Uint32Array(bins));
  const lost = layout.lanes.map(() => new Uint32Array(bins));
  const add = (lane, time, isLost) => {
    const bin = Math.floor((view.x(time) - view.left) / BAR);
    if (bin < 0 || bin >= bins || !counts[lane]) return;
    counts[lane][bin]++;
    if (isLost) lost[lane][bin]++;
  };
  for (const leg of legs) {
    add(leg.l0, leg.t0, leg.fate === "lost");
    if (leg.end >= 0) add(leg.l1, leg.t1, false);
  }
  const most = counts.reduce((most, list) => list.reduce((a, b) => Math.max(a, b), most), 1);
  layout.lanes.forEach((lane, i) => {
    const room = lane.height / 2 - 12;
    for (let bin = 0; bin < bins; bin++) {
      if (counts[i][bin] === 0) continue;
      const tall = Math.max(2, (Math.log1p(counts[i][bin]) / Math.log1p(most)) * room);
      const x = view.left + bin * BAR;
      const y = lane.middle - 10 - tall;
      ctx.fillStyle = theme.faint;
      ctx.fillRect(x, y, BAR - 1, tall);
      if (lost[i][bin] === 0) continue;
      ctx.fillStyle = theme.bad;
      ctx.fillRect(x, y, BAR - 1, Math.max(1.5, (lost[i][bin] / counts[i][bin]) * tall));
    }
  });
}
