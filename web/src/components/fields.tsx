/** Form fields: each with its label, its hint and its error, told to a screen reader as well. */
import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";

interface Labelled {
  label: string;
  hint?: string;
  /** What is wrong with the value and what to do, or nothing. */
  error?: string | undefined;
}

type InputProps = Labelled & Omit<JSX.IntrinsicElements["input"], "label">;

export function TextField({ label, hint, error, ...input }: InputProps) {
  const id = useId();
  return (
    <Field id={id} label={label} hint={hint} error={error} required={Boolean(input.required)}>
      <input type="text" {...input} {...described(id, hint, error)} />
    </Field>
  );
}

type SelectProps = Labelled & Omit<JSX.IntrinsicElements["select"], "label"> & { options: [string, string][] };

/** `options`: value and what is shown. */
export function SelectField({ label, hint, error, options, ...select }: SelectProps) {
  const id = useId();
  return (
    <Field id={id} label={label} hint={hint} error={error} required={Boolean(select.required)}>
      <select {...select} {...described(id, hint, error)}>
        {options.map(([value, shown]) => (
          <option key={value} value={value} selected={value === select.value}>
            {shown}
          </option>
        ))}
      </select>
    </Field>
  );
}

interface ChoiceProps {
  legend: string;
  name: string;
  value: string;
  options: [string, string][];
  onChange(value: string): void;
}

/** One of a few, all in sight. */
export function ChoiceField({ legend, name, value, options, onChange }: ChoiceProps) {
  return (
    <fieldset class="choice">
      <legend>{legend}</legend>
      {options.map(([one, shown]) => (
        <label key={one}>
          <input type="radio" name={name} value={one} checked={one === value} onChange={() => onChange(one)} />
          <span>{shown}</span>
        </label>
      ))}
    </fieldset>
  );
}

interface FieldProps extends Labelled {
  id: string;
  required: boolean;
  children: ComponentChildren;
}

function Field({ id, label, hint, error, required, children }: FieldProps) {
  return (
    <div class="field">
      <label for={id}>
        {label}
        {required && <span aria-hidden="true"> *</span>}
      </label>
      {children}
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {error && (
        <p class="error" id={`${id}-error`}>
          {error}
        </p>
      )}
    </div>
  );
}

function described(id: string, hint?: string, error?: string) {
  const by = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  return { id, "aria-describedby": by || undefined, "aria-invalid": error ? ("true" as const) : undefined };
}
