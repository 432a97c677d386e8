// A chart over time on uPlot: what all of them share.

import { axisValue, timeOfDay } from "./format.js";
import { palette } from "./palette.js";

const PINCH_MS = 100;
const LEAST_S = 10;
const FONT = "11px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
export const RIGHT_WIDTH = 66;

/** Options of an axis of values on the right; its labels tell each value times `factor()`. */
export function valueAxis(factor = () => 1) {
  return {
    scale: "y",
    side: 1,
    size: RIGHT_WIDTH,
    gap: 4,
    font: FONT,
    space: 34,
    stroke: () => palette.muted,
    grid: { stroke: () => palette.line, width: 1 },
    ticks: { show: false },
    values: (_plot, splits, _axis, _space, step) => splits.map((value) => axisValue(value * factor(), step * factor())),
  };
}

export function timeAxis() {
  return {
    font: FONT,
    size: 26,
    gap: 4,
    space: 72,
    stroke: () => palette.muted,
    grid: { stroke: () => palette.line, width: 1 },
    ticks: { show: false },
    values: (plot, splits) => {
      const span = plot.scales.x.max - plot.scales.x.min;
      return splits.map((second) => timeOfDay(second, span < 600));
    },
  };
}

/** A range with some room above and below, never empty. */
export function roomy(low, high, share = 0.06) {
  if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  const room = high > low ? (high - low) * share : Math.abs(high) * 1e-4 || 1e-6;
  return [low - room, high + room];
}

/**
 * One chart in a group that shares its time axis, its cursor and its zoom.
 *
 * `onZoom(from, to)` is called where a part was chosen, `onReset()` on a double click, and
 * `onCursor(index)` where the cursor moves (null where it leaves).
 */
export class TimeChart {
  constructor(host, { height, series, axes, scales = {}, bands, draw, before, onZoom, onReset, onCursor, group }) {
    this.host = host;
    this.height = height;
    const plotOptions = {
      width: this.width(),
      height: this.size(),
      padding: [10, 0, 0, 24],
      legend: { show: false },
      ms: 1e-3,
      cursor: {
        sync: { key: group },
        drag: { x: true, y: false, setScale: false },
        points: { size: 7 },
        bind: {
          dblclick: () => () => {
            onReset?.();
            return null;
          },
        },
      },
      scales: { x: { time: true }, ...scales },
      axes: [timeAxis(), ...axes],
      series: [{}, ...series],
      bands,
      hooks: {
        drawClear: before ? [before] : [],
        draw: draw ? [draw] : [],
        setCursor: [(plot) => onCursor?.(plot.cursor.left >= 0 ? plot.cursor.idx : null)],
        setSelect: [(plot) => {
          if (plot.select.width < 6) return;
          const from = plot.posToVal(plot.select.left, "x");
          const to = plot.posToVal(plot.select.left + plot.select.width, "x");
          plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
          onZoom?.(from, to);
        }],
      },
    };
    this.plot = new uPlot(plotOptions, [[], ...series.map(() => [])], host);
    new ResizeObserver(() => this.resize()).observe(host);
    this.onZoom = onZoom;
    this.touch(host);
  }

  width() {
    return Math.max(160, Math.floor(this.host.clientWidth));
  }

  size() {
    return innerWidth < 600 ? Math.round(this.height * 0.8) : this.height;
  }

  resize() {
    if (this.plot.width !== this.width() || this.plot.height !== this.size()) {
      this.plot.setSize({ width: this.width(), height: this.size() });
    }
  }

  /** A finger moves the cursor, sideways alone, so that the page still scrolls; two fingers zoom. */
  touch(host) {
    let pinch = null;
    const move = (event) => {
      const area = this.plot.over.getBoundingClientRect();
      const [left, right] = [...event.touches].map((finger) => finger.clientX - area.left).sort((a, b) => a - b);
      if (right === undefined) {
        if (event.touches.length) this.plot.setCursor({ left, top: event.touches[0].clientY - area.top });
        return;
      }
      if (right - left < 10) return;
      const held = pinch ??= { from: this.plot.posToVal(left, "x"), to: this.plot.posToVal(right, "x"), said: 0 };
      // What lay under the fingers at first stays under them.
      const perPixel = (held.to - held.from) / (right - left);
      if (event.timeStamp - held.said < PINCH_MS || area.width * perPixel < LEAST_S) return;
      held.said = event.timeStamp;
      const from = held.from - left * perPixel;
      this.onZoom?.(from, from + area.width * perPixel);
    };
    const end = (event) => { if (event.touches.length < 2) pinch = null; };
    for (const name of ["touchstart", "touchmove"]) host.addEventListener(name, move, { passive: true });
    for (const name of ["touchend", "touchcancel"]) host.addEventListener(name, end, { passive: true });
  }

  show(data, from, to) {
    this.plot.batch(() => {
      this.plot.setData(data, false);
      this.plot.setScale("x", { min: from, max: to });
    });
  }

  redraw() {
    this.plot.redraw(true);
  }
}

/** Fill the time between two seconds, in the canvas' own pixels. */
export function shade(plot, from, to, colour) {
  const { ctx, bbox } = plot;
  const left = Math.max(bbox.left, plot.valToPos(from, "x", true));
  const right = Math.min(bbox.left + bbox.width, plot.valToPos(to, "x", true));
  if (right < bbox.left || left > bbox.left + bbox.width) return;
  ctx.save();
  ctx.fillStyle = colour;
  ctx.fillRect(left, bbox.top, Math.max(right - left, 2), bbox.height);
  ctx.restore();
}

export function horizontal(plot, value, colour, scale = "y") {
  const { ctx, bbox } = plot;
  const y = plot.valToPos(value, scale, true);
  if (y < bbox.top || y > bbox.top + bbox.height) return;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio * 1.2;
  ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
}

/** A line at a moment; its label is in one of the rows from the top. */
export function vertical(plot, second, colour, label, row = 0) {
  const { ctx, bbox } = plot;
  const x = plot.valToPos(second, "x", true);
  if (x < bbox.left || x > bbox.left + bbox.width) return;
  const unit = devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.fillStyle = colour;
  ctx.lineWidth = unit;
  ctx.setLineDash([2 * unit, 3 * unit]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  if (label) {
    ctx.font = `${10 * unit}px system-ui, sans-serif`;
    const wide = ctx.measureText(label).width;
    const fits = x + wide + 8 * unit < bbox.left + bbox.width;
    const left = fits ? x + 4 * unit : x - wide - 4 * unit;
    const base = bbox.top + (10 + row * 14) * unit;
    // Lines and marks would run through the words.
    ctx.globalAlpha = 0.85;
    ctx.fillStyle = palette.card;
    ctx.fillRect(left - 2 * unit, base - 9 * unit, wide + 4 * unit, 12 * unit);
    ctx.globalAlpha = 1;
    ctx.fillStyle = colour;
    ctx.fillText(label, left, base);
  }
  ctx.restore();
}

/** A sign of its own shape for each kind, so that colour is not needed to tell them apart. */
export function sign(plot, x, y, kind, colour) {
  const { ctx } = plot;
  const size = 5 * devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  if (kind === "hit" || kind === "false_alarm") {
    ctx.moveTo(x, y - size);
    ctx.lineTo(x + size, y + size * 0.8);
    ctx.lineTo(x - size, y + size * 0.8);
  } else if (kind === "miss") {
    ctx.moveTo(x, y + size);
    ctx.lineTo(x + size, y);
    ctx.lineTo(x, y - size);
    ctx.lineTo(x - size, y);
  } else {
    ctx.arc(x, y, size * 0.8, 0, Math.PI * 2);
  }
  ctx.closePath();
  ctx.fillStyle = kind === "hit" || kind === "pending" ? colour : palette.card;
  ctx.fill();
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1.8 * devicePixelRatio;
  ctx.stroke();
  ctx.restore();
}
