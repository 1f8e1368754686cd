// The logs of all servers side by side: a row per index, a column per server.
"use strict";

/** So many rows are in the document at most. */
const MOST_ROWS = 200;

function logTable(app, servers, event) {
  if (servers.every(({ log }) => log === undefined)) {
    return el("p.none", null, "No log is known at this moment.");
  }
  const logs = servers.map(({ log }) => log);
  const start = Math.min(...logs.filter(Boolean).map((log) => log.base)) + 1;
  const end = Math.max(...logs.filter(Boolean).map((log) => log.last));
  const [about, until] = focusOf(app.story, event);
  // Around what the event is about; else where committed entries end, because that is where logs differ.
  const commits = servers.map(({ commit }) => commit).filter(Number.isInteger);
  const inLogs = (index) => Number.isInteger(index) && index >= start && index <= end;
  const middle = [until, about, Math.max(...commits)].find(inLogs) ?? end;
  const first = Math.max(start, Math.min(middle - MOST_ROWS / 2, end - MOST_ROWS + 1));
  const last = Math.min(end, first + MOST_ROWS - 1);
  const rows = [];
  if (first > start) rows.push(restOf(servers, `indices ${start} to ${first - 1} are left out`));
  const isFocus = (index) => index >= about && index <= until;
  for (let index = first; index <= last; index++) rows.push(logRow(app, servers, index, isFocus(index), index === middle));
  if (last < end) rows.push(restOf(servers, `indices ${last + 1} to ${end} are left out`));
  if (end < start) rows.push(restOf(servers, "all logs are empty"));
  return el("div", null,
    el("h2", null, "Logs"),
    el("div.logs", { tabindex: "0", role: "region", "aria-label": "Logs: a row per index, a column per server" },
      el("table", null,
        el("thead", null, el("tr", null, el("th", { scope: "col" }, ""), ...servers.map((_, s) => el("th", { scope: "col" }, `S${s}`)))),
        el("tbody", null, ...rows))),
    el("p.facts", null, "Number: term, ", el("span.committed", null, el("span.term.term-none", null, "3")), " committed, ", el("span.term.term-none", null, "3"), " not (as far as the server told). ", el("span.legend.dot", null, "●"),
      ": applied. ", el("span.legend.snap", null, "▒"), ": in a snapshot. ?: never seen."));
}

/** The indices that an event is about: the first and the last. */
function focusOf(story, event) {
  const [first, last] = [event.first ?? event.last, event.last ?? event.first];
  if (first !== undefined) return [first, last];
  const indices = event.n === story.failure ? story.head.failure.indices ?? [] : [];
  return indices.length > 0 ? [Math.min(...indices), Math.max(...indices)] : [];
}

const restOf = (servers, text) => el("tr", null, el("td.rest", { colspan: servers.length + 1 }, text));

function logRow(app, servers, index, isFocus, isMiddle) {
  const { theme } = app;
  return el(isFocus ? "tr.focus" : "tr", { "data-focus": isMiddle }, el("th", { scope: "row" }, String(index)), ...servers.map((server) => {
    const { log } = server;
    if (!log) return el("td.unknown", { title: "This log is unknown" }, "?");
    if (index <= log.base) return el("td.snap", { title: `In a snapshot up to index ${log.base}` }, index === log.base ? `▒ ${log.base}` : "▒");
    if (index > log.last) return el("td", null);
    const entry = log.at(index);
    const committed = Number.isInteger(server.commit) && index <= server.commit;
    const applied = Number.isInteger(server.applied) && index <= server.applied;
    const signs = `${committed ? ", committed" : ""}${applied ? ", applied" : ""}`;
    const classes = `td.entry${committed ? ".committed" : ""}${index === server.commit ? ".last-committed" : ""}`;
    if (!entry) return el(classes, { title: `Index ${index}: this entry was never seen${signs}` }, "?");
    const [term, command] = entry;
    const colour = Number.isInteger(term) ? `term-${term % TERM_COLOURS}` : "term-none";
    return el(classes, { title: `Index ${index}, term ${known(term)}: ${command ?? "command unknown"}${signs}` },
      el(`span.term.${colour}`, null, known(term)), applied ? el("span.dot", { "aria-label": "applied" }, "●") : null,
      el("span.command", null, command ?? "?"));
  }));
}
