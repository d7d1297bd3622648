const PATHS = {
  overview: "M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-3H4zM14 7h6V4h-6z",
  register: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 20c1-4 4-5 8-5s7 1 8 5",
  collect: "M9 3h6M10 3v5l-3 3v8a2 2 0 0 0 2 2h6a2 2 0 0 0 2-2v-8l-3-3V3M7 14h10",
  receive: "M4 6v12M8 6v12M11 6v12M14 6v12M17 6v12M20 6v12",
  results: "M4 5h16v14H4zM4 10h16M4 14.5h16M10 5v14",
  authorise: "M5 12.5l4.5 4.5L19 7.5",
  calls: "M6 4h4l1.5 4.5L9 10.5a11 11 0 0 0 4.5 4.5l2-2.5L20 14v4a2 2 0 0 1-2 2A14 14 0 0 1 4 6a2 2 0 0 1 2-2z",
  parked: "M5 4h14v16H5zM9 16V8h3.5a2.5 2.5 0 0 1 0 5H9",
  qc: "M3 12h3l2-5 4 11 3-9 2 3h4",
  switch: "M12 3v9M7 6.5a8 8 0 1 0 10 0",
  outbox: "M4 14l3-9h10l3 9v5H4zM4 14h5l1 2h4l1-2h5",
  settings:
    "M12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM12 3v3M12 18v3M3 12h3M18 12h3M5.6 5.6l2.2 2.2M16.2 16.2l2.2 2.2M5.6 18.4l2.2-2.2M16.2 7.8l2.2-2.2",
};
export type IconName = keyof typeof PATHS;

/** A picture beside a word, never instead of one. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
