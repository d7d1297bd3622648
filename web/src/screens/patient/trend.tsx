/** One test over time, with the reference interval of each value behind it. */
import { clinicalTime } from "../../i18n/format";
import type { Result } from "../../store/documents";
import { isNumber, oldestFirst } from "./cumulative";

interface Props {
  results: Result[];
  label: string;
}

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [640, 240, 56, 24, 24, 34];

export function Trend({ results, label }: Props) {
  const points = oldestFirst(results).filter(isNumber);
  const first = points[0];
  const last = points.at(-1);
  if (!first || !last) return null;
  const values = points.flatMap((one) =>
    [one.value, one.reference_low, one.reference_high].filter(isThere).map(Number),
  );
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = (most - least || Math.abs(most) || 1) * 0.12;
  const [low, high] = [least - room, most + room];
  const [from, to] = [Date.parse(first.occurred_at), Date.parse(last.occurred_at)];
  const x = (at: string) =>
    from === to ? (LEFT + WIDTH - RIGHT) / 2 : LEFT + ((Date.parse(at) - from) / (to - from)) * (WIDTH - LEFT - RIGHT);
  const y = (value: string | number) => TOP + ((high - Number(value)) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const [bandLow, bandHigh] = [last.reference_low, last.reference_high];
  return (
    <svg class="trend" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
      {isThere(bandLow) && isThere(bandHigh) && (
        <rect class="interval" x={LEFT} width={WIDTH - LEFT} y={y(bandHigh)} height={y(bandLow) - y(bandHigh)} />
      )}
      {[bandLow, bandHigh].filter(isThere).map((limit) => (
        <g key={limit} class="limit">
          <line x1={LEFT} x2={WIDTH} y1={y(limit)} y2={y(limit)} />
          <text x={LEFT - 6} y={y(limit) + 4} text-anchor="end">
            {limit}
          </text>
        </g>
      ))}
      <polyline points={points.map((one) => `${x(one.occurred_at)},${y(one.value ?? 0)}`).join(" ")} />
      {points.map((one) => (
        <g key={one.id} class={one.flag && one.flag !== "N" ? "value out" : "value"}>
          <title>{`${clinicalTime(one.occurred_at)}: ${one.value_text} ${one.unit}`}</title>
          <circle cx={x(one.occurred_at)} cy={y(one.value ?? 0)} r="4" />
          {(points.length <= 8 || one === last) && (
            <text x={x(one.occurred_at)} y={y(one.value ?? 0) - 9} text-anchor="middle">
              {one.value_text}
            </text>
          )}
        </g>
      ))}
      <text x={LEFT} y={HEIGHT - 8}>
        {clinicalTime(first.occurred_at).slice(0, 11)}
      </text>
      {from !== to && (
        <text x={WIDTH - 4} y={HEIGHT - 8} text-anchor="end">
          {clinicalTime(last.occurred_at).slice(0, 11)}
        </text>
      )}
    </svg>
  );
}

function isThere(limit: string | null): limit is string {
  return limit !== null;
}
