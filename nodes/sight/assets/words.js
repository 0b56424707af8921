// Quantities as people read them; what is not known is a dash.

const DASH = "–";
const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

function scaled(value, units) {
  for (const [scale, unit] of units) if (Math.abs(value) >= scale) return `${three(value / scale)} ${unit}`;
  const [scale, unit] = units[units.length - 1];
  return `${three(value / scale)} ${unit}`;
}

const three = (value) => (value === 0 ? "0" : Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(Math.abs(value) >= 1 ? 3 : 2));

export const duration = (s) => (!known(s) ? DASH : s === 0 ? "0 ms" : scaled(s, [[1, "s"], [1e-3, "ms"], [1e-6, "µs"]]));

export const bandwidth = (bps) =>
  !known(bps) ? DASH : scaled(bps, [[1e9, "Gbit/s"], [1e6, "Mbit/s"], [1e3, "kbit/s"], [1, "bit/s"]]);

export const size = (bytes) => (!known(bytes) ? DASH : scaled(bytes, [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]]));

export const share = (value) => (!known(value) ? DASH : `${(value * 100).toFixed(Math.abs(value) < 0.0995 ? 1 : 0)} %`);

export const signed = (value) => (!known(value) ? DASH : `${value > 0 ? "+" : ""}${share(value)}`);

export const rate = (value) => (!known(value) ? DASH : value >= 100 ? value.toFixed(0) : value.toFixed(1));

export const count = (value) => value.toLocaleString("en");

export function age(s) {
  if (!known(s)) return DASH;
  if (s < 90) return `${Math.round(s)} s ago`;
  return s < 5400 ? `${Math.round(s / 60)} min ago` : `${(s / 3600).toFixed(1)} h ago`;
}

export function lasting(s) {
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  return s < 172800 ? `${(s / 3600).toFixed(1)} h` : `${(s / 86400).toFixed(1)} days`;
}

export const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
