/** The pathologist's screen: what is held, why, and a word on it; and what was released without one today. */
import { useState } from "preact/hooks";
import { ChoiceField } from "../../components/fields";
import { Page } from "../../components/page";
import { t } from "../../i18n";
import { HeldResults } from "./held";
import { Released } from "./released";

export default function Authorise() {
  const [tab, setTab] = useState("held");
  return (
    <Page title={t("nav.authorise")}>
      <ChoiceField
        legend={t("bench.stage")}
        name="tab"
        value={tab}
        options={[
          ["held", t("authorise.held")],
          ["released", t("authorise.released")],
        ]}
        onChange={setTab}
      />
      {tab === "held" ? <HeldResults /> : <Released />}
    </Page>
  );
}
