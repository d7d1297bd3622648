/** Labels for containers: Code 128 as SVG, printed one a label of 50 x 25 mm. Its code is fetched when it is needed. */

import encoder from "jsbarcode/bin/barcodes/CODE128/CODE128_AUTO.js";
import { render } from "preact";

export interface Label {
  /** What the scanner reads: an accession number. */
  code: string;
  /** Under the bars; short. */
  lines: string[];
}

const { default: CODE128 } = encoder; // CommonJS

/** The modules of the barcode, as one path of bars 1 wide and 1 high. */
export function bars(code: string): { path: string; width: number } {
  const encoded: string = new CODE128(code, { ean128: false }).encode().data;
  const found = Array.from(
    encoded.matchAll(/1+/g),
    ({ 0: bar, index }) => `M${index} 0h${bar.length}v1h-${bar.length}z`,
  );
  return { path: found.join(""), width: encoded.length };
}

export function Barcode({ code }: { code: string }) {
  const { path, width } = bars(code);
  const quiet = 10;
  return (
    <svg
      class="barcode"
      viewBox={`${-quiet} 0 ${width + 2 * quiet} 1`}
      preserveAspectRatio="none"
      role="img"
      aria-label={code}
      shape-rendering="crispEdges"
    >
      <path d={path} />
    </svg>
  );
}

/** Open the browser's print dialog with these labels and nothing else. */
export function printLabels(labels: Label[]): void {
  const sheet = document.createElement("div");
  sheet.className = "printed";
  document.body.append(sheet);
  document.body.classList.add("printing-labels");
  render(
    labels.map((label) => (
      <div key={label.code} class="label">
        <Barcode code={label.code} />
        <strong class="code">{label.code}</strong>
        {label.lines.map((line) => (
          <span key={line}>{line}</span>
        ))}
      </div>
    )),
    sheet,
  );
  const clean = () => {
    document.body.classList.remove("printing-labels");
    sheet.remove();
  };
  addEventListener("afterprint", clean, { once: true });
  print();
}
