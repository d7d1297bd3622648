/** This device's settings, and the way out. */
import { useEffect, useState } from "preact/hooks";
import { Dialog } from "../../components/dialog";
import { ChoiceField } from "../../components/fields";
import { Page } from "../../components/page";
import { type Key, LANGUAGES, type Language, language, setLanguage, t } from "../../i18n";
import { loadFonts } from "../../i18n/fonts";
import { setTheme, THEMES, type Theme, theme } from "../../shell/theme";
import { useLive } from "../../store/live";
import { device, session, signOut } from "../../store/session";

const THEME_TEXTS: Record<Theme, Key> = {
  device: "settings.theme_device",
  light: "settings.theme_light",
  dark: "settings.theme_dark",
};

export default function Settings() {
  const me = session.value?.me;
  const waiting = useLive((store) => store.outbox.where({ state: "waiting" }).count()) ?? 0;
  const [asking, setAsking] = useState(false);
  useEffect(() => void loadFonts(), []);
  return (
    <Page title={t("nav.settings")}>
      <section class="panel">
        <h2>{t("settings.language")}</h2>
        <ChoiceField
          legend={t("settings.language_hint")}
          name="language"
          value={language.value}
          options={Object.entries(LANGUAGES)}
          onChange={(chosen) => setLanguage(chosen as Language)}
        />
        {language.value !== "en" && <p class="hint">{t("settings.drafts")}</p>}
      </section>
      <section class="panel">
        <h2>{t("settings.theme")}</h2>
        <ChoiceField
          legend={t("settings.theme_hint")}
          name="theme"
          value={theme.value}
          options={THEMES.map((one) => [one, t(THEME_TEXTS[one])])}
          onChange={(chosen) => setTheme(chosen as Theme)}
        />
      </section>
      <section class="panel">
        <h2>{t("settings.account")}</h2>
        <dl class="facts">
          <div>
            <dt>{t("settings.person")}</dt>
            <dd>{me?.full_name}</dd>
          </div>
          <div>
            <dt>{t("sign_in.organization")}</dt>
            <dd>{me?.organization.name}</dd>
          </div>
          <div>
            <dt>{t("settings.device")}</dt>
            <dd class="code">{device().slice(-12)}</dd>
          </div>
        </dl>
        <button type="button" onClick={() => (waiting > 0 ? setAsking(true) : signOut())}>
          {t("settings.sign_out")}
        </button>
        <p class="hint">{t("settings.sign_out_hint")}</p>
      </section>
      <p class="hint">
        <a href="/app/licences.txt">{t("settings.licences")}</a>
      </p>
      {asking && (
        <Dialog title={t("settings.sign_out")} onClose={() => setAsking(false)}>
          <p>{t("settings.sign_out_waiting", { count: waiting })}</p>
          <button type="button" class="danger" onClick={signOut}>
            {t("settings.sign_out_anyway")}
          </button>
        </Dialog>
      )}
    </Page>
  );
}
