// The operations of a store's clients: a bar per operation, a row per client, on the same axis as the lanes.
"use strict";

/** So many operations can be read at once. */
const FEW = 60;

/** A history with its operations in rows. */
class Operations {
  constructor(history, story) {
    this.history = history;
    this.story = story;
    this.list = history.operations.map((operation, i) => ({ ...operation, i, end: operation.return ?? story.end }));
    this.ordered = this.list.filter((operation) => Number.isInteger(operation.order)).sort((a, b) => a.order - b.order);
    // A moment for each operation of the order: not before its call, and not before the operation that precedes it.
    let at = -Infinity;
    for (const operation of this.ordered) operation.point = at = Math.max(at, operation.call);
    this.rows = this.inRows();
  }

  /** A row per client. An operation that never returned has no end; what its client did later gets a row of its own. */
  inRows() {
    const clients = new Map();
    for (const operation of this.list.toSorted((a, b) => a.call - b.call)) {
      const rows = clients.get(operation.client) ?? [];
      clients.set(operation.client, rows);
      let row = rows.find(({ operations }) => operations.at(-1).end <= operation.call);
      if (!row) {
        row = { client: operation.client, operations: [], isFirst: rows.length === 0 };
        rows.push(row);
      }
      row.operations.push(operation);
    }
    const order = [...clients.keys()].sort((a, b) => (a < b ? -1 : 1));
    return order.flatMap((client) => clients.get(client));
  }

  /** The operation that fits nowhere. */
  get misfit() {
    return this.list.find((operation) => operation.misfit);
  }

  /** The part that is worth looking at first: around the operation that fits nowhere. Null: the whole. */
  get firstView() {
    const { misfit, list } = this;
    if (!misfit || list.length <= FEW) return null;
    const calls = list.map(({ call }) => call).sort((a, b) => a - b);
    const at = lowerBound(calls, misfit.call);
    const from = calls[Math.max(0, at - FEW * 0.75)];
    return [from, Math.max(misfit.end, calls[Math.min(calls.length - 1, at + FEW / 4)])];
  }
}

/** What a reader needs of an operation, in a line. */
function sayOperation(operation) {
  const answer = operation.return === null || operation.return === undefined ? "never returned" : operation.answer;
  return `${operation.operation} → ${known(answer)}`;
}

function drawHistory(app) {
  const { ctx, theme, layout, operations, view } = app;
  if (!operations) return;
  ctx.font = app.fonts.small;
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  ctx.fillStyle = theme.dim;
  const { key, verdict } = operations.history;
  const title =
    `operations on key ${known(key)}: ${verdict}; ` +
    `${operations.ordered.length} of ${operations.list.length} in the longest order found, numbered`;
  ctx.fillText(title, GUTTER + 8, layout.rowsTop + 9);
  for (const row of layout.rows) {
    // The rows of the operations that are in view: operations of a row don't overlap, so they can be searched.
    const { list } = (row.index ??= { list: row.operations.map((operation) => operation.end) });
    let painted = -Infinity;
    for (let i = lowerBound(list, view.from); i < row.operations.length && row.operations[i].call <= view.to; i++) {
      const operation = row.operations[i];
      const x1 = view.x(operation.end);
      const isTiny = x1 - painted < 1.5 && !operation.misfit && operation !== app.operation;
      if (!isTiny) painted = drawOperation(app, row, operation);
    }
  }
}

/** Draws a bar, and returns where it ends. */
function drawOperation(app, row, operation) {
  const { ctx, theme, view } = app;
  const x0 = Math.max(view.left - 2, view.x(operation.call));
  const x1 = Math.min(view.left + view.width + 2, view.x(operation.end));
  const width = Math.max(2, x1 - x0);
  const [top, height] = [row.top + 2, app.layout.rowHeight - 4];
  const inOrder = Number.isInteger(operation.order);
  const colour = operation.misfit ? theme.bad : inOrder ? theme.good : theme.faint;
  ctx.globalAlpha = 0.25;
  ctx.fillStyle = colour;
  ctx.fillRect(x0, top, width, height);
  ctx.globalAlpha = 1;
  if (operation.misfit) hatched(ctx, x0, top, width, height, colour, 6);
  ctx.strokeStyle = colour;
  ctx.lineWidth = operation === app.operation ? 2.5 : 1;
  // The end of an operation that never returned is open.
  const never = operation.return === null || operation.return === undefined;
  if (never) ctx.setLineDash([4, 3]);
  if (width > 3) ctx.strokeRect(x0 + 0.5, top + 0.5, width - 1, height - 1);
  ctx.setLineDash([]);
  if (inOrder && width > 6) {
    const point = view.x(operation.point);
    // Below the text: at the bar's lower edge.
    if (point >= view.left) line(ctx, colour, point, top + height - 4, point, top + height + 2, 3);
  }
  operationText(app, operation, x0, width, top + height / 2 + 0.5);
  app.targets.push({ operation, box: [x0, top, width, height] });
  return x1;
}

function operationText(app, operation, x0, width, y) {
  const { ctx, theme } = app;
  const number = Number.isInteger(operation.order) ? `${operation.order + 1}` : operation.misfit ? "✖" : "";
  ctx.font = app.fonts.bold;
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  let x = x0 + 6;
  if (number !== "") {
    const wide = ctx.measureText(number).width;
    if (wide + 9 > width) return;
    ctx.fillStyle = operation.misfit ? theme.bad : theme.ink;
    if (operation.misfit) {
      ctx.fillStyle = theme.panel;
      ctx.fillRect(x - 2, y - 7, wide + 4, 13);
      ctx.fillStyle = theme.bad;
    }
    ctx.fillText(number, x, y);
    x += wide + 6;
  }
  ctx.font = app.fonts.small;
  const text = shortened(ctx, sayOperation(operation), x0 + width - x - 4);
  if (text === "") return;
  if (operation.misfit) {
    ctx.fillStyle = theme.panel;
    ctx.fillRect(x - 2, y - 7, ctx.measureText(text).width + 4, 13);
  }
  ctx.fillStyle = theme.ink;
  ctx.fillText(text, x, y);
}

/** As much of a text as fits, with dots; nothing if hardly anything fits. */
function shortened(ctx, text, room) {
  const each = ctx.measureText("0").width;
  if (text.length * each <= room) return text;
  const count = Math.floor(room / each) - 1;
  return count < 4 ? "" : `${text.slice(0, count)}…`;
}

/** The clients' names. */
function drawClients(app) {
  const { ctx, theme, layout } = app;
  ctx.font = app.fonts.small;
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  ctx.fillStyle = theme.dim;
  for (const row of layout.rows)
    if (row.isFirst) ctx.fillText(`C${known(row.client)}`, 10, row.top + layout.rowHeight / 2);
}
