/** Small charts as SVG. Each says in words what it shows. */

interface SparklineProps {
  /** Oldest first. */
  values: number[];
  low?: number | null;
  high?: number | null;
  label: string;
}

/** How one value went, with its reference interval behind it; the last value has a dot. */
export function Sparkline({ values, low, high, label }: SparklineProps) {
  const [width, height, edge] = [96, 24, 3];
  const all = [...values, ...[low, high].filter((one): one is number => typeof one === "number")];
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const x = (number: number) => edge + (number * (width - 2 * edge)) / Math.max(values.length - 1, 1);
  const y = (value: number) => height - edge - ((value - least) * (height - 2 * edge)) / (most - least || 1);
  const last = values.at(-1);
  if (last === undefined) return null;
  return (
    <svg class="sparkline" viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
      {typeof low === "number" && typeof high === "number" && (
        <rect class="interval" x="0" width={width} y={y(high)} height={Math.max(y(low) - y(high), 1)} />
      )}
      <polyline points={values.map((value, number) => `${x(number)},${y(value)}`).join(" ")} />
      <circle cx={x(values.length - 1)} cy={y(last)} r="2.2" />
    </svg>
  );
}

export interface ControlPoint {
  id: string;
  z: number;
  /** The control was rejected. */
  rejected: boolean;
  /** Rules that it violated, when it was measured: shown when it is pointed at. */
  title: string;
  /** Written beside it, and printed: the rules of a rejected one. */
  mark?: string | undefined;
}

interface LeveyJenningsProps {
  /** Oldest first. */
  points: ControlPoint[];
  label: string;
}

const LIMIT = 4;

/** Controls by their distance from the mean in standard deviations. A rejected one is a cross, not only another colour. */
export function LeveyJennings({ points, label }: LeveyJenningsProps) {
  const [width, height, left, edge] = [640, 220, 44, 10];
  const x = (number: number) => left + edge + (number * (width - left - 2 * edge)) / Math.max(points.length - 1, 1);
  const y = (z: number) => edge + ((LIMIT - clamp(z)) * (height - 2 * edge)) / (2 * LIMIT);
  return (
    <svg class="levey-jennings" viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
      {[3, 2, 1, 0, -1, -2, -3].map((z) => (
        <g key={z} class={`sd sd-${Math.abs(z)}`}>
          <line x1={left} x2={width} y1={y(z)} y2={y(z)} />
          <text x={left - 6} y={y(z) + 4} text-anchor="end">
            {z === 0 ? "x̄" : `${z > 0 ? "+" : "−"}${Math.abs(z)} s`}
          </text>
        </g>
      ))}
      <polyline points={points.map(({ z }, number) => `${x(number)},${y(z)}`).join(" ")} />
      {points.map(({ id, z, rejected, title, mark }, number) => (
        <g key={id} class={rejected ? "point rejected" : "point"}>
          <title>{title}</title>
          {rejected ? <path d={cross(x(number), y(z))} /> : <circle cx={x(number)} cy={y(z)} r="3.5" />}
          {mark && (
            <text x={x(number) - 8} y={y(z) + (z > 0 ? 16 : -8)} text-anchor="end">
              {mark}
            </text>
          )}
        </g>
      ))}
    </svg>
  );
}

function clamp(z: number): number {
  return Math.max(-LIMIT, Math.min(LIMIT, z));
}

function cross(x: number, y: number): string {
  return `M${x - 5} ${y - 5}l10 10m0 -10l-10 10`;
}
