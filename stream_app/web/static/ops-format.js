// Numbers as people read them: few digits, a unit, and a dash for what is not known.

export const UNKNOWN = "–";

const known = (shown) => (value) => (value === null || value === undefined || Number.isNaN(value) ? UNKNOWN : shown(value));

export const count = known((value) => Math.round(value).toLocaleString());

export const rate = known((value) => {
  if (value === 0) return "0";
  if (value < 10) return value.toFixed(1);
  return Math.round(value).toLocaleString();
});

export const share = known((value) => value.toFixed(3));

export const milliseconds = known((value) => {
  if (value === 0) return "0";
  if (value < 10) return `${value.toFixed(1)} ms`;
  return value < 1000 ? `${Math.round(value)} ms` : seconds(value / 1000);
});

export const seconds = known((value) => {
  if (value === 0) return "0";
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < 120) return `${Math.round(value)} s`;
  return duration(value);
});

export const bytes = known((value) => {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let place = 0;
  while (value >= 1000 && place < units.length - 1) {
    value /= 1000;
    place += 1;
  }
  return `${value < 10 && place ? value.toFixed(1) : Math.round(value)} ${units[place]}`;
});

export function duration(secondsLong) {
  const minutes = Math.floor(secondsLong / 60);
  if (minutes < 1) return `${Math.max(0, Math.round(secondsLong))} s`;
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
}

export function clock(timeMs) {
  return new Date(timeMs).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}
