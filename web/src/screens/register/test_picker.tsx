/** What is ordered: typed, taken, and shown with its price and when it is due. */
import { useMemo, useState } from "preact/hooks";
import { Combobox } from "../../components/combobox";
import { language, t } from "../../i18n";
import { clinicalTime, duration, money } from "../../i18n/format";
import { useLive } from "../../store/live";
import { fitting, type Item, items, type Line, sum } from "./choice";

interface Props {
  chosen: Item[];
  /** The patient is known, so this is what comes next. */
  isNext: boolean;
  onChange(chosen: Item[]): void;
}

export function TestPicker({ chosen, isNext, onChange }: Props) {
  const [typed, setTyped] = useState("");
  const tests = useLive((store) => store.of("tests").toArray());
  const panels = useLive((store) => store.of("panels").toArray());
  const all = useMemo(() => items(tests ?? [], panels ?? [], language.value), [tests, panels, language.value]);
  const byCode = useMemo(() => new Map(tests?.map((test) => [test.code, test])), [tests]);
  const found = fitting(all, typed, new Set(chosen.map(({ id }) => id)));
  const { lines, total, unpriced, minutes, codes } = sum(chosen, byCode);

  function take(id: string): void {
    const taken = found.find((one) => one.id === id);
    if (taken) onChange([...chosen, taken]);
    setTyped("");
  }
  function pressed(event: KeyboardEvent): void {
    if (event.key === "Backspace" && !typed && chosen.length) onChange(chosen.slice(0, -1));
  }
  const options = found.map((one) => ({ id: one.id, shown: <Offered item={one} /> }));
  return (
    <div class="picker">
      <Combobox
        label={t("register.tests")}
        hint={t("register.tests_hint")}
        name="tests"
        value={typed}
        options={options}
        onInput={setTyped}
        onTake={take}
        onKeyDown={pressed}
        autoFocus={isNext}
      >
        {typed.trim() && found.length === 0 && <p class="hint">{t("register.no_test")}</p>}
      </Combobox>
      {lines.length > 0 && (
        <div class="scrolls">
          <table class="chosen">
            <tbody>
              {lines.map((line) => (
                <Chosen
                  key={line.item.id}
                  line={line}
                  onRemove={() => onChange(chosen.filter(({ id }) => id !== line.item.id))}
                />
              ))}
            </tbody>
            <tfoot>
              <tr>
                <th scope="row" colSpan={2}>
                  {t("register.test_count", { count: codes.length })}{" "}
                  <span class="hint">{t("register.due", { time: clinicalTime(Date.now() + minutes * 60_000) })}</span>
                </th>
                <td class="numeric total">
                  <strong data-total={total}>{money(total / 100)}</strong>
                  {unpriced > 0 && <span class="hint"> {t("register.unpriced", { count: unpriced })}</span>}
                </td>
                <td />
              </tr>
            </tfoot>
          </table>
        </div>
      )}
    </div>
  );
}

function Offered({ item }: { item: Item }) {
  const price = (item.panel ?? item.test)?.list_price;
  return (
    <>
      <span>
        <strong class="code">{item.code}</strong> {item.name}{" "}
        {item.panel && <span class="hint">{t("register.panel_of", { count: item.panel.tests.length })}</span>}
      </span>
      <span class="code">{price && money(price)}</span>
    </>
  );
}

function Chosen({ line: { item, price, within, minutes }, onRemove }: { line: Line; onRemove(): void }) {
  return (
    <tr>
      <th scope="row">
        <span class="code">{item.code}</span> <span class="name">{item.name}</span>
      </th>
      <td class="hint">{duration(minutes * 60_000)}</td>
      <td class="numeric code">
        {within
          ? t("register.within", { panel: within })
          : price === null
            ? t("register.no_price")
            : money(price / 100)}
      </td>
      <td class="numeric">
        <button type="button" class="quiet" aria-label={t("register.remove", { code: item.code })} onClick={onRemove}>
          ✕
        </button>
      </td>
    </tr>
  );
}
