/** Quality control: enter controls, see how they went, and what may be released. */
import { useState } from "preact/hooks";
import { Empty } from "../../components/empty";
import { SelectField } from "../../components/fields";
import { Page } from "../../components/page";
import { t } from "../../i18n";
import { businessDay, clinicalDay } from "../../i18n/format";
import type { ControlTarget } from "../../store/documents";
import { useLive } from "../../store/live";
import { may } from "../../store/permissions";
import { LevelChart } from "./chart";
import { Entry } from "./entry";
import "./qc.css";
import { Today } from "./today";

export default function Qc() {
  const found = useLive(async (store) => ({
    targets: await store.of("control_targets").toArray(),
    controls: await store.of("controls").toArray(),
    analysers: await store.of("analysers").toArray(),
    units: new Map((await store.of("tests").toArray()).map((test) => [test.code, test.unit])),
  }));
  const [analyser, setAnalyser] = useState("");
  const [lot, setLot] = useState("");
  const [test, setTest] = useState("");
  if (!found) return null;
  const { targets, controls, analysers, units } = found;
  if (!targets.length) {
    return (
      <Page title={t("nav.qc")}>
        <Empty title={t("qc.no_targets")}>
          <p>{t("qc.no_targets_hint")}</p>
        </Empty>
      </Page>
    );
  }
  const names = new Map(analysers.map((one) => [one.id, one.name]));
  const atAnalyser = pick(targets, analyser, (one) => one.analyser_id);
  const ofTest = pick(atAnalyser.those, test, (one) => one.test_code);
  const ofLot = pick(ofTest.those, lot, (one) => one.lot_id);
  const chosen = ofLot.those.sort((one, other) => one.level - other.level);
  const expires = chosen[0]?.expires_on;
  const unit = units.get(ofTest.value) ?? "";
  const expired = Boolean(expires && expires < businessDay());
  const show = (target: ControlTarget) => {
    setAnalyser(target.analyser_id);
    setTest(target.test_code);
    setLot(target.lot_id);
    document.querySelector<HTMLElement>("main .qc-chosen h2")?.focus();
  };
  return (
    <Page
      title={t("nav.qc")}
      actions={
        <button type="button" onClick={() => print()}>
          {t("qc.print")}
        </button>
      }
    >
      <section>
        <div class="form qc-choose">
          <SelectField
            label={t("qc.analyser")}
            value={atAnalyser.value}
            options={unique(targets, (one) => [one.analyser_id, names.get(one.analyser_id) ?? one.analyser_id])}
            onChange={(event) => setAnalyser(event.currentTarget.value)}
          />
          <SelectField
            label={t("qc.test")}
            value={ofTest.value}
            options={unique(atAnalyser.those, (one) => [one.test_code, one.test_code])}
            onChange={(event) => setTest(event.currentTarget.value)}
          />
          <SelectField
            label={t("qc.lot")}
            value={ofLot.value}
            options={unique(ofTest.those, (one) => [one.lot_id, `${one.material} ${one.lot_number}`])}
            onChange={(event) => setLot(event.currentTarget.value)}
          />
        </div>
      </section>
      <section class="qc-chosen">
        <h2 tabIndex={-1}>
          {ofTest.value} · {names.get(atAnalyser.value)} · {chosen[0]?.material} {chosen[0]?.lot_number}
        </h2>
        {expires && (
          <p class="hint">
            {t("qc.expires", { day: clinicalDay(expires) })}
            {expired && <strong> · {t("qc.expired")}</strong>}
          </p>
        )}
        {may("control:record") && unit && !expired && <Entry targets={chosen} unit={unit} />}
        {chosen.map((target) => (
          <LevelChart
            key={target.id}
            target={target}
            unit={unit}
            controls={controls
              .filter((one) => one.lot_id === target.lot_id && one.analyser_id === target.analyser_id)
              .filter((one) => one.test_code === target.test_code && one.level === target.level)
              .sort((one, other) => Date.parse(one.occurred_at) - Date.parse(other.occurred_at))}
          />
        ))}
      </section>
      <section>
        <h2>{t("qc.today")}</h2>
        <Today targets={targets} controls={controls} analysers={analysers} onChoose={show} />
      </section>
    </Page>
  );
}

/** The targets of the wanted value, or of the first one there is. */
function pick(targets: ControlTarget[], wanted: string, of: (target: ControlTarget) => string) {
  const sorted = [...targets].sort((one, other) => of(one).localeCompare(of(other)));
  const value = targets.some((one) => of(one) === wanted) ? wanted : sorted[0] ? of(sorted[0]) : "";
  return { value, those: targets.filter((one) => of(one) === value) };
}

function unique(targets: ControlTarget[], of: (target: ControlTarget) => [string, string]): [string, string][] {
  return [...new Map(targets.map(of))].sort(([, one], [, other]) => one.localeCompare(other));
}
