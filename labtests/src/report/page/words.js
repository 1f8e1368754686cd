// Words, numbers and small pieces of HTML that all parts of the page use.
"use strict";

/** The kinds of events, in the order of the filter. The letter stands for the kind where there is no room for its name. */
const KINDS = {
  vote: { letter: "V", name: "votes" },
  append: { letter: "A", name: "appends" },
  snapshot: { letter: "S", name: "snapshots" },
  message: { letter: "M", name: "messages" },
  client: { letter: "C", name: "clients" },
  save: { letter: "w", name: "saves" },
  apply: { letter: "a", name: "applies" },
  role: { letter: "R", name: "roles" },
  commit: { letter: "c", name: "commits" },
  fault: { letter: "F", name: "faults" },
  tester: { letter: "T", name: "tester" },
  log: { letter: "l", name: "log lines" },
};

/** What a message does, as a sign. */
const STEPS = { called: "→", arrived: "⇥", answered: "←", returned: "⇤", lost: "✕", held: "‖" };

const ROLE_LETTERS = { follower: "F", candidate: "C", leader: "L" };

/** A role as one letter; "?" if it is unknown. */
const roleLetter = (role) => ROLE_LETTERS[role] ?? "?";

/** A fact that may never have been seen. */
const known = (value) => (value === undefined || value === null ? "?" : String(value));

/** A virtual time in ms, with as many digits as can be told apart in `span` ms. */
function ms(time, span = 0) {
  const digits = !(span > 0) ? 3 : Math.max(0, Math.min(6, Math.ceil(2 - Math.log10(span))));
  return grouped(time.toFixed(digits));
}

/** Puts a narrow space, at which no line breaks, between the thousands. */
function grouped(digits) {
  const [whole, rest] = String(digits).split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, "\u202f");
  return rest === undefined ? spaced : `${spaced}.${rest}`;
}

/** A count with its noun. */
const counted = (n, noun) => `${grouped(n)} ${noun}${n === 1 ? "" : "s"}`;

/**
 * Makes an element. Texts become text nodes, never markup: the commands of a run may contain anything.
 * @param {string} name such as "p" or "td.number"
 * @param {Object|null} attributes a function is a listener
 * @param {...(Node|string|null|undefined)} children
 */
function el(name, attributes, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length > 0) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(key, value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const byId = (id) => document.getElementById(id);

/** The first position in the sorted `list` whose value is at least `value`. */
function lowerBound(list, value) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Lets `work` run once per frame, however often it is asked for. */
function oncePerFrame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}
