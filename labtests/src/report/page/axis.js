// The axis of time, and above the lanes the overview of the whole run.
"use strict";

const STEPS_OF_TICKS = [1, 2, 5];

/** Round times in view, far enough apart for labels of `room` pixels. */
function ticks(view, room) {
  if (view.scale !== EVEN_TIME) return unevenTicks(view, room);
  const span = view.to - view.from;
  const least = (span * room) / view.width;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = power * (STEPS_OF_TICKS.find((times) => times * power >= least) ?? 10);
  const list = [];
  for (let k = Math.ceil(view.from / step); k * step <= view.to; k++) list.push(k * step);
  return { list, step };
}

/** On the axis of events: the time at places that are equally far apart. */
function unevenTicks(view, room) {
  const count = Math.max(1, Math.floor(view.width / (room * 1.3)));
  const list = Array.from({ length: count }, (_, i) => view.time(view.left + ((i + 0.5) * view.width) / count));
  return { list, step: 0 };
}

function drawAxis(app) {
  const { ctx, view, theme, size } = app;
  ctx.fillStyle = theme.panel;
  ctx.fillRect(0, 0, size.width, TOP);
  ctx.font = app.fonts.small;
  ctx.textBaseline = "middle";
  const { list, step } = ticks(view, 84);
  const flag = flagOf(app);
  ctx.textAlign = "center";
  for (const [i, time] of list.entries()) {
    const x = Math.round(view.x(time)) + 0.5;
    if (x < view.left) continue;
    line(ctx, theme.line, x, OVERVIEW, x, OVERVIEW + 5);
    // Uneven ticks have the digits that tell them from the next one.
    const text = ms(time, step ? step * 50 : Math.abs(time - list[i === 0 ? 1 : i - 1]) * 20);
    const half = ctx.measureText(text).width / 2;
    if (x - half < view.left || x + half > view.left + view.width) continue;
    if (flag && x + half > flag.left - 4 && x - half < flag.left + flag.wide + 4) continue;
    ctx.fillStyle = theme.dim;
    ctx.fillText(text, x, OVERVIEW + 14);
  }
  ctx.textAlign = "left";
  ctx.fillStyle = theme.dim;
  ctx.fillText(app.story.outside > 0 ? "virtual ms" : "ms", 10, OVERVIEW + 14);
  line(ctx, theme.line, 0, TOP - 0.5, size.width, TOP - 0.5);
  if (flag) drawFlag(app, flag);
}

const FLAG = "✖ failure";

/** Where the failure's flag is on the axis; null if it is not in view. */
function flagOf({ ctx, view, story, fonts }) {
  if (story.failure < 0) return null;
  const x = view.x(story.times[story.failure]);
  const right = view.left + view.width + 10;
  if (x < view.left || x > right) return null;
  ctx.font = fonts.bold;
  const wide = ctx.measureText(FLAG).width + 10;
  ctx.font = fonts.small;
  return { left: Math.min(x, right - wide), wide };
}

function drawFlag({ ctx, theme, fonts }, { left, wide }) {
  ctx.fillStyle = theme.bad;
  ctx.fillRect(left, OVERVIEW + 3, wide, AXIS - 6);
  ctx.font = fonts.bold;
  ctx.fillStyle = theme.onTerm;
  ctx.textAlign = "left";
  ctx.fillText(FLAG, left + 5, OVERVIEW + AXIS / 2 + 0.5);
}

/** More hits of a search than this would fill the overview. */
const MOST_HITS = 3000;

/** The lines of the ticks behind the lanes. */
function drawGrid(app, list) {
  const { ctx, view, theme, layout } = app;
  ctx.globalAlpha = 0.5;
  for (const time of list) {
    const x = Math.round(view.x(time)) + 0.5;
    if (x >= view.left) line(ctx, theme.line, x, TOP, x, layout.height);
  }
  ctx.globalAlpha = 1;
}

/** The whole run: how much happens when, who led, where the failure is, and what is in view. */
function drawOverview(app) {
  const { ctx, view, theme, story } = app;
  const [top, height] = [3, OVERVIEW - 6];
  const whole = (time) => view.left + ((time - story.start) / (story.end - story.start)) * view.width;
  ctx.font = app.fonts.small;
  ctx.fillStyle = theme.dim;
  ctx.textBaseline = "middle";
  ctx.fillText("all", 10, top + height / 2);
  ctx.fillStyle = theme.bg;
  ctx.fillRect(view.left, top, view.width, height);
  const counts = app.overview();
  const most = Math.max(1, ...counts);
  ctx.fillStyle = theme.faint;
  counts.forEach((count, i) => {
    if (count === 0) return;
    const tall = Math.max(1.5, (Math.log1p(count) / Math.log1p(most)) * (height - 5));
    ctx.fillRect(view.left + (i * view.width) / counts.length, top + height - tall, view.width / counts.length, tall);
  });
  ctx.fillStyle = theme.hit;
  const { hits } = app.filter;
  if (hits.length <= MOST_HITS)
    for (const n of hits) ctx.fillRect(whole(story.times[n]) - 0.5, top + height - 6, 1.5, 6);
  for (const segments of app.states.segments) {
    for (const { role, term, from, to } of segments) {
      if (role !== "leader") continue;
      ctx.fillStyle = theme.term(term);
      ctx.fillRect(whole(from), top, Math.max(1, whole(to) - whole(from)), 3);
    }
  }
  const [a, b] = [view.from, view.to].map((time) => Math.min(view.left + view.width, Math.max(view.left, whole(time))));
  ctx.globalAlpha = 0.16;
  ctx.fillStyle = theme.accent;
  ctx.fillRect(a, top, Math.max(2, b - a), height);
  ctx.globalAlpha = 1;
  ctx.strokeStyle = theme.accent;
  ctx.lineWidth = 1;
  ctx.strokeRect(Math.round(a) + 0.5, top + 0.5, Math.max(2, Math.round(b - a) - 1), height - 1);
  if (story.failure >= 0) {
    const x = whole(story.events[story.failure].at);
    ctx.fillStyle = theme.bad;
    ctx.fillRect(x - 1, top, 2, height);
  }
}

function line(ctx, colour, x0, y0, x1, y1, width = 1) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = width;
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}
