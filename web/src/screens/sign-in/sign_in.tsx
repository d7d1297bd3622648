/** Sign in: the one screen of nobody. */
import { useEffect, useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { Refused, slug } from "../../api";
import { SelectField, TextField } from "../../components/fields";
import { LANGUAGES, type Language, language, setLanguage, t } from "../../i18n";
import { session, signIn } from "../../store/session";

const LAST = "nidan:organization";

export function SignIn() {
  const [path, go] = useLocation();
  const [organization, setOrganization] = useState(localStorage.getItem(LAST) ?? "");
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);

  useEffect(() => {
    document.title = `${t("sign_in.title")} · Nidan`;
  });

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setWrong("");
    try {
      await signIn(organization.trim(), username.trim(), password);
      localStorage.setItem(LAST, organization.trim());
      if (path === "/sign-in" && session.value) go("/", { replace: true });
    } catch (failure) {
      setWrong(why(failure));
      setPassword("");
    } finally {
      setBusy(false);
    }
  }

  return (
    <main class="sign-in">
      <form onSubmit={submit} aria-busy={busy}>
        <div class="brand">
          <img src="/app/icon.svg" alt="" width="40" height="40" />
          <h1>Nidan</h1>
        </div>
        <p class="hint">{t("sign_in.lead")}</p>
        {wrong && (
          <p class="banner wrong" role="alert">
            {wrong}
          </p>
        )}
        <TextField
          label={t("sign_in.organization")}
          hint={t("sign_in.organization_hint")}
          name="organization"
          autocomplete="organization"
          autocapitalize="none"
          spellcheck={false}
          maxLength={40}
          required
          value={organization}
          onInput={(event) => setOrganization(event.currentTarget.value)}
        />
        <TextField
          label={t("sign_in.username")}
          name="username"
          autocomplete="username"
          autocapitalize="none"
          spellcheck={false}
          maxLength={80}
          required
          value={username}
          onInput={(event) => setUsername(event.currentTarget.value)}
        />
        <TextField
          label={t("sign_in.password")}
          name="password"
          type="password"
          autocomplete="current-password"
          maxLength={256}
          required
          value={password}
          onInput={(event) => setPassword(event.currentTarget.value)}
        />
        <button type="submit" class="primary" disabled={busy}>
          {busy ? t("sign_in.busy") : t("sign_in.submit")}
        </button>
        <SelectField
          label={t("settings.language")}
          name="language"
          options={Object.entries(LANGUAGES)}
          value={language.value}
          onChange={(event) => setLanguage(event.currentTarget.value as Language)}
        />
      </form>
    </main>
  );
}

function why(failure: unknown): string {
  if (!(failure instanceof Refused)) return t("sign_in.unreachable");
  if (failure.problem.status === 401) return t("sign_in.refused");
  if (failure.problem.status === 429) return t("sign_in.too_often");
  return `${failure.problem.title} (${slug(failure.problem)})`;
}
