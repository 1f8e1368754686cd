// The lanes: a server's role and term as a band, and what happens on it as marks.
"use strict";

/** How tall the band of a role is. So roles are told apart without colours: thin, hatched, thick. */
const BAND = { follower: 7, candidate: 13, leader: 17 };

/** How far above or below the middle of a lane a kind of event has its marks. */
const MARK_ROWS = { tester: -16, client: -16, fault: 0, role: 0, log: -16, commit: 16, apply: 16, save: 16 };

/** The height at which an event is drawn. */
function heightOf(app, event) {
  const lane = app.layout.lanes[laneOf(event, app.story.outside)];
  if (!lane) return undefined;
  if (lane.isOutside) return lane.middle;
  // That a message is lost is known late, when nothing moves; so this mark is beside the band.
  if (event.to !== undefined) return lane.middle + (event.what === "lost" ? MARK_ROWS.log : 0);
  return lane.middle + (MARK_ROWS[event.kind] ?? 0);
}

function drawLanes(app) {
  for (const lane of app.layout.lanes) {
    if (lane.isOutside) drawOutside(app, lane);
    else app.states.segments[lane.lane].forEach((segment) => drawSegment(app, lane, segment));
  }
}

function drawOutside({ ctx, view, theme }, lane) {
  line(ctx, theme.faint, view.left, lane.middle, view.left + view.width, lane.middle);
}

function drawSegment(app, lane, segment) {
  const { ctx, view, theme } = app;
  const x0 = Math.max(view.left, view.x(segment.from));
  const x1 = Math.min(view.left + view.width, view.x(segment.to));
  if (x1 <= view.left || x0 >= view.left + view.width || x1 - x0 < 0.3) return;
  const { role, term, alive, connected } = segment;
  const width = Math.max(1, x1 - x0);
  if (alive === false) {
    hatched(ctx, x0, lane.middle - 9, width, 18, theme.dead, 7);
    label(app, "down", x0, width, lane.middle, theme.dim, theme.bg);
    return;
  }
  if (connected === false) {
    // A dashed line above and below the band: nothing gets in or out.
    ctx.setLineDash([5, 4]);
    for (const y of [lane.middle - 12.5, lane.middle + 12.5]) line(ctx, theme.warn, x0, y, x1, y, 1.5);
    ctx.setLineDash([]);
  }
  const colour = theme.term(term);
  const height = BAND[role] ?? 3;
  const top = lane.middle - height / 2;
  if (role === "candidate") {
    ctx.fillStyle = theme.panel;
    ctx.fillRect(x0, top, width, height);
    hatched(ctx, x0, top, width, height, colour, 4);
    ctx.strokeStyle = colour;
    ctx.lineWidth = 1.2;
    if (width > 2) ctx.strokeRect(x0 + 0.6, top + 0.6, width - 1.2, height - 1.2);
  } else {
    ctx.globalAlpha = role === "leader" ? 1 : 0.5;
    ctx.fillStyle = colour;
    ctx.fillRect(x0, top, width, height);
    ctx.globalAlpha = 1;
  }
  const text = `${roleLetter(role)} ${known(term)}`;
  if (role === "leader") label(app, text, x0, width, lane.middle, theme.onTerm, null);
  else label(app, text, x0, width, lane.middle, theme.ink, theme.panel);
  const cut = connected === false ? "cut off" : "";
  if (cut && width > 110) label(app, cut, x0 + 44, width - 44, lane.middle, theme.warn, theme.panel);
}

/** A text at the beginning of a stretch, if it has room there. */
function label(app, text, x, width, y, colour, behind) {
  const { ctx } = app;
  ctx.font = app.fonts.bold;
  const wide = ctx.measureText(text).width;
  if (wide + 14 > width) return;
  if (behind) {
    ctx.fillStyle = behind;
    ctx.fillRect(x + 7, y - 7, wide + 6, 14);
  }
  ctx.fillStyle = colour;
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  ctx.fillText(text, x + 10, y + 0.5);
}

/** Slanted lines in a rectangle. */
function hatched(ctx, x, y, width, height, colour, gap) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y, width, height);
  ctx.clip();
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1.4;
  ctx.beginPath();
  const first = Math.floor((x - height) / gap) * gap;
  for (let at = first; at < x + width; at += gap) {
    ctx.moveTo(at, y + height);
    ctx.lineTo(at + height, y);
  }
  ctx.stroke();
  ctx.restore();
}

/** The names of the lanes, in front of everything that is drawn. */
function drawGutter(app) {
  const { ctx, theme, layout, story, size } = app;
  ctx.fillStyle = theme.panel;
  ctx.fillRect(0, TOP, GUTTER, size.height + layout.height);
  line(ctx, theme.line, GUTTER - 0.5, TOP, GUTTER - 0.5, size.height + layout.height);
  const guilty = new Set(story.head.failure?.servers ?? []);
  const now = app.statesAtSelection();
  for (const lane of layout.lanes) {
    ctx.textBaseline = "middle";
    ctx.textAlign = "left";
    ctx.font = app.fonts.bold;
    ctx.globalAlpha = app.filter.hasServer(lane.lane) ? 1 : 0.35;
    ctx.fillStyle = theme.ink;
    if (lane.isOutside) {
      ctx.font = app.fonts.small;
      ctx.fillText("tester", 10, lane.middle - (story.hasClients ? 6 : 0));
      if (story.hasClients) ctx.fillText("clients", 10, lane.middle + 7);
    } else {
      ctx.fillText(`S${lane.lane}`, 10, lane.middle - 6);
      if (guilty.has(lane.lane)) {
        ctx.fillStyle = theme.bad;
        ctx.fillText("✖", 30, lane.middle - 6);
      }
      ctx.font = app.fonts.small;
      ctx.fillStyle = theme.dim;
      ctx.fillText(inShort(now[lane.lane]), 10, lane.middle + 8);
    }
    ctx.globalAlpha = 1;
  }
}

/** A server at the selected moment, in a few letters: L 3, down. */
function inShort(server) {
  if (!server) return "";
  if (server.alive === false) return "down";
  return `${roleLetter(server.role)} ${known(server.term)}${server.connected === false ? " cut" : ""}`;
}

/** The marks of all events that are not messages. Where they lie close together, one of a kind stands for all. */
function drawMarks(app) {
  const { view, story, filter } = app;
  const first = lowerBound(story.times, view.from);
  const taken = new Map();
  for (let n = first; n < story.events.length && story.times[n] <= view.to; n++) {
    const event = story.events[n];
    if (!filter.shown[n] || (event.to !== undefined && (event.what !== "lost" || app.dense))) continue;
    const y = heightOf(app, event);
    if (y === undefined) continue;
    const x = view.x(event.at);
    const key = `${event.kind} ${laneOf(event, story.outside)}`;
    const apart = x - (taken.get(key) ?? -Infinity);
    if (apart < 4 && n !== app.selected) continue;
    taken.set(key, x);
    if (app.dense && IN_ROWS.has(event.kind)) drawDash(app, event, x, y);
    else drawMark(app, event, x, y);
    app.targets.push({ x, y, n });
  }
}

/** The kinds that come in such numbers that, from afar, dashes are calmer than their signs. */
const IN_ROWS = new Set(["save", "apply", "commit", "client", "tester", "log"]);

function drawDash({ ctx, theme }, event, x, y) {
  ctx.fillStyle = theme.kinds[event.kind];
  ctx.globalAlpha = 0.6;
  ctx.fillRect(x - 2, y + DASH_ROWS[event.kind], 4, 2);
  ctx.globalAlpha = 1;
}

const DASH_ROWS = { save: 3, apply: -3, commit: 0, client: -1, tester: 2, log: 0 };

function drawMark(app, event, x, y) {
  const { ctx, theme } = app;
  const colour = theme.kinds[event.kind];
  ctx.fillStyle = colour;
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1.5;
  ctx.beginPath();
  const draw = MARKS[event.what] ?? MARKS[event.kind] ?? MARKS.log;
  draw(ctx, x, y, app);
}

/** A shape for each kind of mark, so that none depends on its colour. */
const MARKS = {
  save(ctx, x, y) {
    ctx.strokeRect(x - 2.5, y - 2.5, 5, 5);
  },
  apply(ctx, x, y) {
    ctx.arc(x, y, 3, 0, 7);
    ctx.fill();
  },
  commit(ctx, x, y) {
    polygon(ctx, [
      [x, y - 4.5],
      [x + 4.5, y],
      [x, y + 4.5],
      [x - 4.5, y],
    ]);
  },
  role(ctx, x, y) {
    ctx.moveTo(x, y - 11);
    ctx.lineTo(x, y + 11);
    ctx.stroke();
  },
  tester(ctx, x, y) {
    polygon(ctx, [
      [x - 4, y - 3],
      [x + 4, y - 3],
      [x, y + 4],
    ]);
  },
  client(ctx, x, y) {
    ctx.arc(x, y, 2.5, 0, 7);
    ctx.stroke();
  },
  log(ctx, x, y) {
    ctx.fillRect(x - 1, y - 4, 2, 8);
  },
  fault(ctx, x, y) {
    ctx.moveTo(x, y - 14);
    ctx.lineTo(x, y + 14);
    ctx.stroke();
    polygon(ctx, [
      [x, y - 18],
      [x + 4, y - 14],
      [x, y - 10],
      [x - 4, y - 14],
    ]);
  },
  crash(ctx, x, y) {
    ctx.lineWidth = 2.2;
    cross(ctx, x, y, 7);
  },
  start(ctx, x, y) {
    ctx.lineWidth = 2;
    ctx.moveTo(x, y - 11);
    ctx.lineTo(x, y + 11);
    ctx.stroke();
    polygon(ctx, [
      [x, y - 5],
      [x + 7, y],
      [x, y + 5],
    ]);
  },
  lost(ctx, x, y, { theme }) {
    ctx.strokeStyle = theme.bad;
    cross(ctx, x, y, 3);
  },
};

function polygon(ctx, points) {
  ctx.beginPath();
  points.forEach(([x, y], i) => (i === 0 ? ctx.moveTo(x, y) : ctx.lineTo(x, y)));
  ctx.closePath();
  ctx.fill();
}

function cross(ctx, x, y, size) {
  ctx.beginPath();
  ctx.moveTo(x - size, y - size);
  ctx.lineTo(x + size, y + size);
  ctx.moveTo(x + size, y - size);
  ctx.lineTo(x - size, y + size);
  ctx.stroke();
}
