// Plots on canvas: score over price of one symbol, and the reliability diagram.

import { clock, price, score as scoreText } from "./format.js";

const LEFT = 16;
const RIGHT = 84;

function colours() {
  const style = getComputedStyle(document.documentElement);
  const pick = (name) => style.getPropertyValue(name).trim();
  return {
    line: pick("--line"), text: pick("--muted"), score: pick("--accent"),
    price: pick("--price"), alert: pick("--alert"),
  };
}

function prepare(canvas, height) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "11px system-ui, sans-serif";
  return { context, width };
}

function range(values, pad = 0.08) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low === high) return [low - Math.abs(low || 1) * 1e-3, high + Math.abs(high || 1) * 1e-3];
  const margin = (high - low) * pad;
  return [low - margin, high + margin];
}

export class HistoryChart {
  constructor(canvas, readout) {
    this.canvas = canvas;
    this.readout = readout;
    this.hover = null;
    canvas.addEventListener("pointermove", (event) => {
      this.hover = event.offsetX;
      this.redraw?.();
    });
    canvas.addEventListener("pointerleave", () => {
      this.hover = null;
      this.redraw?.();
    });
  }

  draw(symbol, points, target) {
    this.redraw = () => this.draw(symbol, points, target);
    const height = 320;
    const { context, width } = prepare(this.canvas, height);
    const palette = colours();
    const shown = points.filter((point) => Number.isFinite(point.scores[target.name]?.score));
    if (shown.length < 2) {
      context.fillStyle = palette.text;
      context.fillText(symbol ? "Waiting for points." : "Choose a symbol.", LEFT, 24);
      this.readout.textContent = "";
      return;
    }
    const times = shown.map((point) => point.ts_event_ns);
    const scores = shown.map((point) => point.scores[target.name].score);
    const mids = shown.map((point) => point.mid);
    const [from, to] = [Math.min(...times), Math.max(...times)];
    const x = (time) => LEFT + ((time - from) / (to - from || 1)) * (width - LEFT - RIGHT);
    const panes = [
      { top: 14, bottom: 180, values: scores, colour: palette.score, text: (v) => scoreText(v, target.kind) },
      { top: 200, bottom: 292, values: mids, colour: palette.price, text: price },
    ];
    const marked = target.threshold;
    for (const [index, pane] of panes.entries()) {
      const wanted = index === 0 && Number.isFinite(marked) && marked <= Math.max(...scores) * 3
        ? [...pane.values, marked] : pane.values;
      const [low, high] = index === 0 && target.kind === "classification"
        ? [0, range([...wanted, 0])[1]] : range(wanted);
      pane.y = (value) => pane.bottom - ((value - low) / (high - low)) * (pane.bottom - pane.top);
      this.grid(context, width, pane, low, high, palette);
      context.beginPath();
      shown.forEach((point, i) => context.lineTo(x(times[i]), pane.y(pane.values[i])));
      context.strokeStyle = pane.colour;
      context.lineWidth = 1.6;
      context.lineJoin = "round";
      context.stroke();
      if (index === 0 && wanted !== pane.values) this.threshold(context, width, pane.y(marked), palette);
    }
    this.times(context, width, height, from, to, palette);
    this.point(context, shown, times, x, panes, palette, symbol, target);
  }

  grid(context, width, pane, low, high, palette) {
    context.lineWidth = 1;
    context.textAlign = "left";
    for (let step = 0; step <= 2; step += 1) {
      const value = low + ((high - low) * step) / 2;
      const y = Math.round(pane.y(value)) + 0.5;
      context.strokeStyle = palette.line;
      context.beginPath();
      context.moveTo(LEFT, y);
      context.lineTo(width - RIGHT, y);
      context.stroke();
      context.fillStyle = palette.text;
      context.fillText(pane.text(value), width - RIGHT + 8, y + 4);
    }
  }

  threshold(context, width, y, palette) {
    context.save();
    context.setLineDash([5, 4]);
    context.strokeStyle = palette.alert;
    context.beginPath();
    context.moveTo(LEFT, y);
    context.lineTo(width - RIGHT, y);
    context.stroke();
    context.restore();
  }

  times(context, width, height, from, to, palette) {
    context.fillStyle = palette.text;
    context.textAlign = "left";
    context.fillText(`${clock(from).slice(11, 19)} UTC`, LEFT, height - 8);
    context.textAlign = "right";
    context.fillText(`${clock(to).slice(11, 19)} UTC`, width - RIGHT, height - 8);
  }

  point(context, shown, times, x, panes, palette, symbol, target) {
    let nearest = shown.length - 1;
    if (this.hover !== null) {
      nearest = times.reduce(
        (best, time, i) => (Math.abs(x(time) - this.hover) < Math.abs(x(times[best]) - this.hover) ? i : best), 0);
      context.strokeStyle = palette.text;
      context.beginPath();
      context.moveTo(x(times[nearest]), panes[0].top);
      context.lineTo(x(times[nearest]), panes[1].bottom);
      context.stroke();
    }
    for (const pane of panes) {
      context.beginPath();
      context.arc(x(times[nearest]), pane.y(pane.values[nearest]), 3, 0, Math.PI * 2);
      context.fillStyle = pane.colour;
      context.fill();
    }
    const own = shown[nearest].scores[target.name];
    this.readout.textContent = `${symbol} at ${clock(times[nearest])} UTC: score ${scoreText(own.score, target.kind)}, `
      + `mid ${price(shown[nearest].mid)}, ${own.model}@${own.version}`;
  }
}

export function drawReliability(canvas, bins) {
  const height = 200;
  const { context, width } = prepare(canvas, height);
  const palette = colours();
  const [left, bottom, size, wide] = [34, height - 18, height - 30, width - 44];
  const highest = Math.max(0.05, ...bins.flatMap((bin) => [bin.mean_score, bin.truth_rate]));
  const top = Math.min(1, highest * 1.15);
  const x = (value) => left + (value / top) * wide;
  const y = (value) => bottom - (value / top) * size;
  context.strokeStyle = palette.line;
  context.strokeRect(left, bottom - size, wide, size);
  context.setLineDash([4, 4]);
  context.beginPath();
  context.moveTo(x(0), y(0));
  context.lineTo(x(top), y(top));
  context.strokeStyle = palette.text;
  context.stroke();
  context.setLineDash([]);
  const most = Math.max(...bins.map((bin) => bin.count));
  context.beginPath();
  for (const bin of bins) context.lineTo(x(bin.mean_score), y(bin.truth_rate));
  context.strokeStyle = palette.score;
  context.lineWidth = 1.6;
  context.stroke();
  context.fillStyle = palette.score;
  for (const bin of bins) {
    context.beginPath();
    context.arc(x(bin.mean_score), y(bin.truth_rate), 2.5 + 4 * Math.sqrt(bin.count / most), 0, Math.PI * 2);
    context.fill();
  }
  context.fillStyle = palette.text;
  context.textAlign = "right";
  context.fillText(top.toFixed(2), left - 5, bottom - size + 9);
  context.fillText("0", left - 5, bottom);
  context.fillText(top.toFixed(2), left + wide, bottom + 14);
}
