// What the charts of the market draw beyond lines: fades, the newest value, a line's bright end.

import { palette, soft } from "./palette.js";
import { RIGHT_WIDTH } from "./plot.js";

const isDrawn = ({ bbox }) => Number.isFinite(bbox.top) && bbox.height > 0;

/** A fill that fades out towards the bottom. */
export function fade(plot, colour, percent) {
  if (!isDrawn(plot)) return "transparent";
  const { ctx, bbox } = plot;
  const made = ctx.createLinearGradient(0, bbox.top, 0, bbox.top + bbox.height);
  made.addColorStop(0, soft(colour, percent));
  made.addColorStop(1, soft(colour, 0));
  return made;
}

/** One colour below a value and another from it on; `percent` is the opacity. */
export function parted(plot, value, below, above, percent = 100) {
  if (value === null || !isDrawn(plot)) return soft(below, percent);
  const { ctx, bbox } = plot;
  const at = Math.min(1, Math.max(0, (plot.valToPos(value, "y", true) - bbox.top) / bbox.height));
  if (!Number.isFinite(at)) return soft(below, percent);
  const made = ctx.createLinearGradient(0, bbox.top, 0, bbox.top + bbox.height);
  made.addColorStop(0, soft(above, percent));
  made.addColorStop(at, soft(above, percent));
  made.addColorStop(at, soft(below, percent));
  made.addColorStop(1, soft(below, percent));
  return made;
}

/** The newest value as a label on the axis, with a dot where the line ends. */
export function newest(plot, second, value, text, colour, scale = "y") {
  if (value === null || value === undefined || !isDrawn(plot)) return;
  const { ctx, bbox } = plot;
  const unit = devicePixelRatio;
  const x = plot.valToPos(second, "x", true);
  const y = plot.valToPos(value, scale, true);
  if (x < bbox.left || x > bbox.left + bbox.width + 1 || y < bbox.top || y > bbox.top + bbox.height) return;
  ctx.save();
  ctx.setLineDash([2 * unit, 3 * unit]);
  ctx.strokeStyle = soft(colour, 70);
  ctx.lineWidth = unit;
  ctx.beginPath();
  ctx.moveTo(x, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  for (const [radius, percent] of [[7, 20], [3.2, 100]]) {
    ctx.beginPath();
    ctx.arc(x, y, radius * unit, 0, Math.PI * 2);
    ctx.fillStyle = soft(colour, percent);
    ctx.fill();
  }
  const left = bbox.left + bbox.width + unit;
  ctx.beginPath();
  ctx.roundRect(left, y - 9 * unit, (RIGHT_WIDTH - 3) * unit, 18 * unit, 4 * unit);
  ctx.fillStyle = colour;
  ctx.fill();
  ctx.font = `600 ${11 * unit}px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif`;
  ctx.fillStyle = palette.card;
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  ctx.fillText(text, left + 4 * unit, y + unit, (RIGHT_WIDTH - 9) * unit);
  ctx.restore();
}
