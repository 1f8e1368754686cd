// Where the lanes and the rows of a history lie, from the top.
"use strict";

const GUTTER = 76;
const AXIS = 24;
const OVERVIEW = 26;
const TOP = AXIS + OVERVIEW;
const LANE = { least: 40, most: 112 };
const ROW = 20;

/** A lane per server and one for what is outside; below them, if there is a history, rows of its clients. */
class Layout {
  constructor(story, history, height) {
    this.lanes = [];
    this.rows = history?.rows ?? [];
    // A history alone has the whole height.
    this.rowHeight =
      story.outside > 0
        ? ROW
        : Math.min(30, Math.max(ROW, Math.floor((height - TOP - 40) / Math.max(1, this.rows.length))));
    const count = story.outside + (story.hasOutside ? 1 : 0);
    const forRows = this.rows.length > 0 ? Math.min(this.rows.length * ROW + 30, height * 0.45) : 0;
    const room = (height - TOP - forRows - 6) / Math.max(1, count);
    const each = Math.max(LANE.least, Math.min(LANE.most, Math.floor(room)));
    let y = TOP + 2;
    for (let lane = 0; lane < count; lane++) {
      const isOutside = lane === story.outside;
      const tall = isOutside ? Math.min(each - 10, LANE.least) : each;
      this.lanes.push({ lane, top: y, height: tall, middle: y + tall / 2, isOutside });
      y += tall;
    }
    this.rowsTop = y + (count > 0 ? 8 : 2);
    this.titleHeight = this.rows.length > 0 ? 20 : 0;
    y = this.rowsTop + this.titleHeight;
    for (const row of this.rows) {
      row.top = y;
      y += this.rowHeight;
    }
    this.height = y + 6;
  }

  /** The lane at a height, or undefined. */
  laneAt(y) {
    return this.lanes.find(({ top, height }) => y >= top && y < top + height);
  }
}
