// Light and dark, and the colours for the canvas, which are those of the style sheet.
"use strict";

const THEMES = ["auto", "light", "dark"];

/** How many colours terms have; then they repeat. */
const TERM_COLOURS = 6;

class Theme {
  constructor(changed) {
    this.changed = changed;
    this.choice = "auto";
    try {
      const kept = localStorage.getItem("raftlab-theme");
      if (THEMES.includes(kept)) this.choice = kept;
    } catch {
      // A page in a sandbox has no storage; then the choice lasts as long as the page.
    }
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.use(this.choice));
    this.use(this.choice);
  }

  next() {
    const choice = THEMES[(THEMES.indexOf(this.choice) + 1) % THEMES.length];
    try {
      localStorage.setItem("raftlab-theme", choice);
    } catch {
      // As above.
    }
    this.use(choice);
  }

  use(choice) {
    this.choice = choice;
    this.dark = choice === "dark" || (choice === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.dataset.theme = this.dark ? "dark" : "light";
    this.read();
    this.changed();
  }

  read() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const names = [
      "bg",
      "panel",
      "ink",
      "dim",
      "faint",
      "line",
      "accent",
      "bad",
      "warn",
      "on-term",
      "dead",
      "good",
      "hit",
    ];
    for (const name of names) this[name.replace("-t", "T")] = colour(name);
    this.terms = Array.from({ length: TERM_COLOURS }, (_, i) => colour(`term-${i}`));
    this.kinds = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, colour(`kind-${kind}`)]));
  }

  /** The colour of a term. */
  term(term) {
    return Number.isInteger(term) ? this.terms[term % TERM_COLOURS] : this.faint;
  }
}
