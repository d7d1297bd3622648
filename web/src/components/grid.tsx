/**
 * A worklist that is worked by the keyboard: arrows move, typing or Enter edits, Enter keeps and goes down, Tab keeps
 * and goes on, Escape leaves the cell as it was. What is typed is in a field that lies over the cell, so no
 * keystroke draws the grid anew or lays it out.
 */
import { Component, type ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

export interface Column<R> {
  key: string;
  title: ComponentChildren;
  /** What is shown; a flag is a word. */
  cell(row: R): ComponentChildren;
  /** The text that editing begins with; null: this row's cell is not edited. */
  edit?(row: R): string | null;
  /** Figures stand to the right. */
  numeric?: boolean;
}

export interface GridProps<R> {
  label: string;
  columns: Column<R>[];
  rows: R[];
  /** What stays the same of a row when it changes. */
  rowKey(row: R): string;
  /** A cell was edited. Not called when the text stayed as it was. */
  onEdit?(row: R, column: string, text: string): void;
  /** Enter, or a double click, on a cell that is not edited. */
  onOpen?(row: R): void;
  rowClass?(row: R): string;
  /** What is in the field now, with every keystroke; null: the field is left. */
  onType?(row: R, text: string | null): void;
  /** A key on a cell that does not take it; true: it was of use. */
  onKey?(row: R, key: string): boolean;
}

interface Place {
  row: number;
  column: number;
}

/** The active cell stays with its row when rows come or go above it. */
interface Active extends Place {
  key: string | null;
}

const PAGE = 10;

export function Grid<R>({ label, columns, rows, rowKey, onEdit, onOpen, rowClass, onType, onKey }: GridProps<R>) {
  const table = useRef<HTMLTableElement>(null);
  const [active, setActive] = useState<Active>({ row: 0, column: 0, key: null });
  const [begun, setBegun] = useState<string | null>(null);
  const moved = useRef(false);
  const open = useRef(false);
  const found = active.key === null ? -1 : rows.findIndex((row) => rowKey(row) === active.key);
  const at = { row: found < 0 ? clamp(active.row, rows.length) : found, column: clamp(active.column, columns.length) };
  const editing = found < 0 ? null : begun;

  useLayoutEffect(() => {
    const held = table.current?.contains(document.activeElement) || document.activeElement === document.body;
    if (!held || !moved.current) return;
    const cell = cellAt(table.current, at);
    const field = cell?.querySelector("input");
    (field ?? cell)?.focus();
    if (field && editing) field.setSelectionRange(editing.length, editing.length);
  });

  function stand(to: Place): void {
    const row = clamp(to.row, rows.length);
    const one = rows[row];
    moved.current = true;
    setActive({ row, column: clamp(to.column, columns.length), key: one === undefined ? null : rowKey(one) });
  }

  function go(to: Place): void {
    typed(null);
    open.current = false;
    setBegun(null);
    stand(to);
  }

  function typed(text: string | null): void {
    const row = rows[at.row];
    if (row !== undefined && open.current) onType?.(row, text);
  }

  function textAt({ row, column }: Place): string | null {
    const one = rows[row];
    return one === undefined ? null : (columns[column]?.edit?.(one) ?? null);
  }

  function keep(text: string): void {
    if (!open.current) return; // kept or left already: a field that goes loses its focus, too
    open.current = false;
    const [row, column] = [rows[at.row], columns[at.column]];
    if (row !== undefined && column && text.trim() !== textAt(at)) onEdit?.(row, column.key, text.trim());
  }

  /** The next cell that is edited, row by row. */
  function nextEdited(step: 1 | -1): Place {
    const width = columns.length;
    for (let number = at.row * width + at.column + step; number >= 0 && number < rows.length * width; number += step) {
      const to = { row: Math.floor(number / width), column: number % width };
      if (textAt(to) !== null) return to;
    }
    return at;
  }

  function pressed(event: KeyboardEvent): void {
    const field = event.target instanceof HTMLInputElement ? event.target : null;
    if (field) pressedInField(event, field.value);
    else pressedOnCell(event);
  }

  function pressedInField(event: KeyboardEvent, text: string): void {
    const to =
      event.key === "Enter" || event.key === "ArrowDown"
        ? { row: at.row + 1, column: at.column }
        : event.key === "ArrowUp"
          ? { row: at.row - 1, column: at.column }
          : event.key === "Tab"
            ? nextEdited(event.shiftKey ? -1 : 1)
            : event.key === "Escape"
              ? at
              : null;
    if (!to) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key !== "Escape") keep(text);
    go(to);
  }

  function pressedOnCell(event: KeyboardEvent): void {
    const { key, ctrlKey, altKey, metaKey } = event;
    const to = arrow(key, ctrlKey, at, { row: rows.length - 1, column: columns.length - 1 });
    const text = textAt(at);
    const row = rows[at.row];
    if (to) go(to);
    else if ((key === "Enter" || key === "F2") && text !== null) begin(at, text);
    else if (key === "Enter" && row !== undefined && onOpen) onOpen(row);
    else if (text !== null && key.length === 1 && !ctrlKey && !altKey && !metaKey) begin(at, key);
    else if (text !== null && (key === "Delete" || key === "Backspace")) begin(at, "");
    else if (ctrlKey || altKey || metaKey || row === undefined || !onKey?.(row, key)) return;
    event.preventDefault();
  }

  function begin(to: Place, text: string): void {
    open.current = true;
    setBegun(text);
    stand(to);
    const row = rows[to.row];
    if (row !== undefined) onType?.(row, text);
  }

  function pointed(event: MouseEvent, twice: boolean): void {
    const cell = (event.target as Element).closest<HTMLTableCellElement>("tbody td");
    if (!cell || event.target instanceof HTMLInputElement) return;
    const to = { row: (cell.parentElement as HTMLTableRowElement).sectionRowIndex, column: cell.cellIndex };
    const same = to.row === at.row && to.column === at.column;
    const [text, row] = [textAt(to), rows[to.row]];
    if (text !== null && (twice || same)) begin(to, text);
    else if (!same) go(to);
    if (text === null && twice && row !== undefined) onOpen?.(row);
  }

  return (
    <div class="scrolls grid">
      <table
        ref={table}
        role="grid"
        aria-label={label}
        aria-rowcount={rows.length + 1}
        onKeyDown={pressed}
        onClick={(event) => pointed(event, false)}
        onDblClick={(event) => pointed(event, true)}
      >
        <thead>
          <tr>
            {columns.map(({ key, title, numeric }) => (
              <th key={key} scope="col" class={numeric ? "numeric" : undefined}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, number) => (
            <Row
              key={rowKey(row)}
              row={row}
              columns={columns}
              active={number === at.row ? at.column : -1}
              editing={number === at.row ? editing : null}
              name={rowClass?.(row) ?? ""}
              onBlur={keep}
              onType={typed}
              onLeave={() => setBegun(null)}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps<R> {
  row: R;
  columns: Column<R>[];
  /** The column of the active cell, or -1. */
  active: number;
  editing: string | null;
  name: string;
  onBlur(text: string): void;
  onType(text: string | null): void;
  onLeave(): void;
}

/** Drawn anew only when something of it changed. */
class Row<R> extends Component<RowProps<R>> {
  override shouldComponentUpdate(next: RowProps<R>): boolean {
    const { row, columns, active, editing, name } = this.props;
    return (
      next.row !== row ||
      next.columns !== columns ||
      next.active !== active ||
      next.editing !== editing ||
      next.name !== name
    );
  }

  render({ row, columns, active, editing, name, onBlur, onType, onLeave }: RowProps<R>) {
    return (
      <tr class={name || undefined}>
        {columns.map(({ key, title, cell, edit, numeric }, number) => {
          const here = number === active;
          const editable = edit?.(row) !== null && edit !== undefined;
          return (
            <td
              key={key}
              role="gridcell"
              tabIndex={here ? 0 : -1}
              aria-readonly={editable ? undefined : "true"}
              class={`${numeric ? "numeric" : ""}${editable ? " editable" : ""}`.trim() || undefined}
            >
              {cell(row)}
              {here && editing !== null && editable && (
                <input
                  aria-label={typeof title === "string" ? title : key}
                  defaultValue={editing}
                  autocomplete="off"
                  spellcheck={false}
                  onInput={(event) => onType(event.currentTarget.value)}
                  onBlur={(event) => {
                    onType(null);
                    onBlur(event.currentTarget.value);
                    onLeave();
                  }}
                />
              )}
            </td>
          );
        })}
      </tr>
    );
  }
}

function cellAt(table: HTMLTableElement | null, { row, column }: Place): HTMLTableCellElement | undefined {
  return table?.tBodies[0]?.rows[row]?.cells[column];
}

function arrow(key: string, far: boolean, { row, column }: Place, last: Place): Place | null {
  switch (key) {
    case "ArrowUp":
      return { row: far ? 0 : row - 1, column };
    case "ArrowDown":
      return { row: far ? last.row : row + 1, column };
    case "ArrowLeft":
      return { row, column: far ? 0 : column - 1 };
    case "ArrowRight":
      return { row, column: far ? last.column : column + 1 };
    case "Home":
      return { row: far ? 0 : row, column: 0 };
    case "End":
      return { row: far ? last.row : row, column: last.column };
    case "PageUp":
      return { row: row - PAGE, column };
    case "PageDown":
      return { row: row + PAGE, column };
    default:
      return null;
  }
}

function clamp(number: number, length: number): number {
  return Math.max(0, Math.min(number, length - 1));
}
