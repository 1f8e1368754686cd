// The logs of all servers side by side: a row per index, a column per server.
"use strict";

/** So many rows are shown at first, because a step from event to event must be quick. A button shows more. */
const FEW_ROWS = 50;
const MORE_ROWS = 500;

function logTable(app, servers, event) {
  if (servers.every(({ log }) => log === undefined)) return el("p.none", null, "No log is known at this moment.");
  const head = servers.map((_, server) => el("th", { scope: "col" }, `S${server}`));
  const table = el("table", null);
  table.append(
    el("thead", null, el("tr", null, el("th", { scope: "col" }, ""), ...head)),
    el("tbody", null, ...logRows(app, servers, event)),
  );
  const about = "Logs: a row per index, a column per server";
  return el(
    "div",
    null,
    el("h2", null, "Logs"),
    el("div.logs", { tabindex: "0", role: "region", "aria-label": about }, table),
    logLegend(),
  );
}

/** The rows around what the event is about; else around the last committed entry, because there logs differ. */
function logRows(app, servers, event) {
  const logs = servers.map(({ log }) => log).filter(Boolean);
  const start = Math.min(...logs.map((log) => log.base)) + 1;
  const end = Math.max(...logs.map((log) => log.last));
  const [about, until] = focusOf(app.story, event);
  const commits = servers.map(({ commit }) => commit).filter(Number.isInteger);
  const inLogs = (index) => Number.isInteger(index) && index >= start && index <= end;
  const middle = [until, about, Math.max(...commits)].find(inLogs) ?? end;
  const count = app.panel.logRows;
  const first = Math.max(start, Math.min(middle - count / 2, end - count + 1));
  const last = Math.min(end, first + count - 1);
  const rows = [];
  const inOne = (content) => el("tr", null, el("td.rest", { colspan: servers.length + 1 }, content));
  const more = (from, to) => inOne(moreButton(app, from, to));
  if (first > start) rows.push(more(start, first - 1));
  for (let index = first; index <= last; index++) {
    rows.push(logRow(servers, index, index >= about && index <= until, index === middle));
  }
  if (last < end) rows.push(more(last + 1, end));
  if (end < start) rows.push(inOne("all logs are empty"));
  return rows;
}

function moreButton(app, from, to) {
  const click = () => {
    app.panel.logRows += MORE_ROWS;
    app.panel.draw();
  };
  return el("button.link", { type: "button", click }, `show more of index ${from} to ${to}`);
}

/** The indices that an event is about: the first and the last. */
function focusOf(story, event) {
  const [first, last] = [event.first ?? event.last, event.last ?? event.first];
  if (first !== undefined) return [first, last];
  const indices = event.n === story.failure ? (story.head.failure.indices ?? []) : [];
  return indices.length > 0 ? [Math.min(...indices), Math.max(...indices)] : [];
}

function logRow(servers, index, isFocus, isMiddle) {
  const cells = servers.map((server) => logCell(server, index));
  const head = el("th", { scope: "row" }, String(index));
  return el(isFocus ? "tr.focus" : "tr", { "data-focus": isMiddle }, head, ...cells);
}

function logCell({ log, commit, applied }, index) {
  if (!log) return el("td.unknown", { title: "This log is unknown" }, "?");
  if (index <= log.base) {
    return el(
      "td.snap",
      { title: `In a snapshot up to index ${log.base}` },
      index === log.base ? `▒ ${log.base}` : "▒",
    );
  }
  if (index > log.last) return el("td", null);
  const isCommitted = Number.isInteger(commit) && index <= commit;
  const isApplied = Number.isInteger(applied) && index <= applied;
  const name = `td.entry${isCommitted ? ".committed" : ""}${index === commit ? ".last-committed" : ""}`;
  const signs = `${isCommitted ? ", committed" : ""}${isApplied ? ", applied" : ""}`;
  const entry = log.at(index);
  if (!entry) return el(name, { title: `Index ${index}: this entry was never seen${signs}` }, "?");
  const [term, command] = entry;
  const colour = Number.isInteger(term) ? `term-${term % TERM_COLOURS}` : "term-none";
  return el(
    name,
    { title: `Index ${index}, term ${known(term)}: ${command ?? "command unknown"}${signs}` },
    el(`span.term.${colour}`, null, known(term)),
    isApplied ? el("span.dot", { "aria-label": "applied" }, "●") : null,
    el("span.command", null, command ?? "?"),
  );
}

function logLegend() {
  return el(
    "p.facts",
    null,
    "Number: term, ",
    el("span.committed", null, el("span.term.term-none", null, "3")),
    " committed, ",
    el("span.term.term-none", null, "3"),
    " not (as far as the server told). ",
    el("span.legend", null, "●"),
    ": applied. ▒: in a snapshot. ?: never seen.",
  );
}
