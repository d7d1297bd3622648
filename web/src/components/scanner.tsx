/** A field for a barcode scanner, which types and presses Enter. The focus stays; what comes fast is taken in order. */
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import { TextField } from "./fields";

export interface Verdict {
  accepted: boolean;
  /** What was done, or why not and what to do: seen, read out, and heard as a tone. */
  text: string;
}

interface Props {
  label: string;
  /** Do what the code is for. */
  onScan(code: string): Promise<Verdict>;
  children?: ComponentChildren;
}

export function Scanner({ label, onScan, children }: Props) {
  const frame = useRef<HTMLFormElement>(null);
  const queue = useRef<Promise<unknown>>(Promise.resolve());
  const [verdict, setVerdict] = useState<(Verdict & { number: number }) | null>(null);
  const field = () => frame.current?.querySelector("input");

  useLayoutEffect(() => field()?.focus(), []);

  function scanned(event: Event): void {
    event.preventDefault();
    const input = field();
    const code = input?.value.trim();
    if (!input || !code) return;
    input.value = "";
    queue.current = queue.current.then(async () => {
      const said = await onScan(code).catch((failure): Verdict => ({ accepted: false, text: String(failure) }));
      tone(said.accepted);
      setVerdict((before) => ({ ...said, number: (before?.number ?? 0) + 1 }));
    });
  }

  /** A click on nothing in particular does not take the focus away; another field or button does. */
  function left(event: FocusEvent): void {
    if (event.relatedTarget === null) setTimeout(() => document.activeElement === document.body && field()?.focus());
  }

  return (
    <form ref={frame} class="scanner" onSubmit={scanned} onFocusOut={left}>
      <TextField
        label={label}
        hint={t("scanner.hint")}
        name="scan"
        autocomplete="off"
        autocapitalize="characters"
        spellcheck={false}
        inputMode="text"
      />
      {children}
      <div role="status" aria-live="assertive">
        {verdict && (
          <p key={verdict.number} class={`verdict ${verdict.accepted ? "accepted" : "refused"}`}>
            <span aria-hidden="true">{verdict.accepted ? "✓" : "✕"}</span> {verdict.text}
          </p>
        )}
      </div>
    </form>
  );
}

let sound: AudioContext | undefined;

/** One high tone for yes; two low ones for no: told apart without looking. */
function tone(accepted: boolean): void {
  try {
    sound ??= new AudioContext();
    if (accepted) beep(sound, 1320, 0, 0.09);
    else for (const start of [0, 0.22]) beep(sound, 220, start, 0.16);
  } catch {
    // a device without sound: the verdict is on the screen
  }
}

function beep(context: AudioContext, pitch: number, start: number, length: number): void {
  const [oscillator, volume] = [context.createOscillator(), context.createGain()];
  oscillator.frequency.value = pitch;
  volume.gain.value = 0.15;
  oscillator.connect(volume).connect(context.destination);
  oscillator.start(context.currentTime + start);
  oscillator.stop(context.currentTime + start + length);
}
