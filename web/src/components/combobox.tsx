/** A field with what fits what is typed under it: arrows choose, Enter takes, Escape clears; the mouse does too. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import "./combobox.css";

export interface Option {
  id: string;
  shown: ComponentChildren;
  /** It is taken only when it was chosen, not by Enter alone. */
  isDoubtful?: boolean;
}

interface Props {
  label: string;
  hint?: string;
  name: string;
  value: string;
  options: Option[];
  onInput(value: string): void;
  onTake(id: string): void;
  /** A key that the list does not use. */
  onKeyDown?(event: KeyboardEvent): void;
  autoFocus?: boolean;
  children?: ComponentChildren;
}

export function Combobox({
  label,
  hint,
  name,
  value,
  options,
  onInput,
  onTake,
  onKeyDown,
  autoFocus,
  children,
}: Props) {
  const id = useId();
  const field = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const [chosen, setChosen] = useState<string | null>(null);
  const usual = options.find(({ isDoubtful }) => !isDoubtful)?.id;
  const active = options.some((option) => option.id === chosen) ? chosen : (usual ?? null);

  useEffect(() => {
    if (autoFocus) setTimeout(() => field.current?.focus()); // a dialog around it opens first
  }, []);
  useEffect(() => {
    setChosen(usual ?? null); // what is chosen stays chosen while more is found
  }, [value, options.length === 0]);
  useEffect(() => {
    list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [active]);

  function pressed(event: KeyboardEvent): void {
    const at = options.findIndex((option) => option.id === active);
    if (event.key === "ArrowDown") setChosen(options[Math.min(at + 1, options.length - 1)]?.id ?? null);
    else if (event.key === "ArrowUp") setChosen(options[Math.max(at - 1, 0)]?.id ?? null);
    else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && active) onTake(active);
    else if (event.key === "Escape" && value) onInput("");
    else {
      onKeyDown?.(event);
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  return (
    <div class="field combobox">
      <label for={id}>{label}</label>
      <input
        ref={field}
        id={id}
        name={name}
        type="text"
        role="combobox"
        autocomplete="off"
        spellcheck={false}
        aria-expanded={options.length > 0}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={active ? `${id}-${active}` : undefined}
        aria-describedby={hint ? `${id}-hint` : undefined}
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
        onKeyDown={pressed}
      />
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      <ul ref={list} id={`${id}-list`} role="listbox" aria-label={label} class={options.length ? "options" : "none"}>
        {options.map((option) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the field's, which keeps the focus
          <li
            key={option.id}
            id={`${id}-${option.id}`}
            role="option"
            tabIndex={-1}
            aria-selected={option.id === active}
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => onTake(option.id)}
          >
            {option.shown}
          </li>
        ))}
      </ul>
      {children}
    </div>
  );
}
