/**
 * Numbers and times. Digits are Latin in every language; a clinical value and a clinical time look the same in all of
 * them, since a laboratory's people read them to each other.
 */
const ZONE = "Asia/Kolkata";
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const parts = new Intl.DateTimeFormat("en-GB-u-nu-latn", {
  timeZone: ZONE,
  year: "numeric",
  month: "numeric",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

function split(instant: string | number): Record<string, string> {
  return Object.fromEntries(parts.formatToParts(new Date(instant)).map(({ type, value }) => [type, value]));
}

/** `24-Nov-2026 14:05`, the laboratory's time. */
export function clinicalTime(instant: string | number): string {
  const { day, month, year, hour, minute } = split(instant);
  return `${day}-${MONTHS[Number(month) - 1]}-${year} ${hour}:${minute}`;
}

/** `14:05`, the laboratory's time. */
export function clock(instant: string | number): string {
  const { hour, minute } = split(instant);
  return `${hour}:${minute}`;
}

/** `24-Nov-2026`, of a calendar day `2026-11-24`. */
export function clinicalDay(day: string): string {
  const [year, month, date] = day.split("-");
  return `${date}-${MONTHS[Number(month) - 1]}-${year}`;
}

/** A count or an amount, grouped as in India (12,34,567). Never for a clinical value: that is shown as it was sent. */
export function number(value: number, options: Intl.NumberFormatOptions = {}): string {
  return new Intl.NumberFormat("en-IN-u-nu-latn", options).format(value); // browsers group Marathi and Kannada by three
}

/** Rupees: `₹1,234.50`. */
export function money(value: string | number): string {
  return number(Number(value), { style: "currency", currency: "INR" });
}

/** `3 min`, `2 h`, `4 d`: how long, coarsely. */
export function duration(milliseconds: number): string {
  const minutes = Math.round(Math.abs(milliseconds) / 60_000);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.round(minutes / 60)} h`;
  return `${Math.round(minutes / 1440)} d`;
}

/** The laboratory's calendar day of an instant, `2026-11-24`: today's without one. */
export function businessDay(instant: string | number = Date.now()): string {
  const { day, month, year } = split(instant);
  return `${year}-${String(month).padStart(2, "0")}-${day}`;
}
