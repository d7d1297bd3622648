/** What is around every screen: header, navigation, banners, toasts. */
import { Link, Route, Switch } from "wouter-preact";
import { Empty } from "../components/empty";
import { Page } from "../components/page";
import { Toasts } from "../components/toasts";
import { t } from "../i18n";
import { SCREENS } from "../screens";
import { may } from "../store/permissions";
import { session } from "../store/session";
import { Banner } from "./banner";
import { Finder, showFinder } from "./finder";
import { Help, showHelp } from "./help";
import { LazyScreen } from "./lazy_screen";
import { Navigation } from "./navigation";
import { ReleaseOff } from "./release";
import { Status } from "./status";

export function Shell() {
  const me = session.value?.me;
  return (
    <>
      <a class="skip" href="#main">
        {t("shell.skip")}
      </a>
      <header class="bar">
        <Link href="/" class="brand">
          <img src="/app/icon.svg" alt="" width="24" height="24" />
          <span>{me?.organization.name}</span>
          {me?.organization.is_example && <span class="mark">{t("shell.example")}</span>}
        </Link>
        <ReleaseOff />
        <Status />
        {may("patient:read") && (
          <button type="button" class="find" onClick={showFinder}>
            {t("shell.find")} <kbd>Ctrl K</kbd>
          </button>
        )}
        <button type="button" class="quiet" onClick={showHelp} aria-label={t("help.title")}>
          ?
        </button>
        <Link href="/settings" class="who">
          {me?.full_name}
        </Link>
      </header>
      <Navigation />
      <main id="main" tabIndex={-1}>
        <Banner />
        <Switch>
          {SCREENS.map((screen) => (
            <Route key={screen.name} path={screen.path}>
              {(params: Record<string, string | undefined>) =>
                screen.permission === null || may(screen.permission) ? (
                  <LazyScreen key={screen.name} screen={screen} params={params} />
                ) : (
                  <Page title={screen.nav ? t(screen.nav.text) : t("shell.find")}>
                    <Empty title={t("shell.not_permitted", { permission: screen.permission })} />
                  </Page>
                )
              }
            </Route>
          ))}
          <Route>
            <Empty title={t("shell.no_such_screen")}>
              <Link href="/">{t("nav.overview")}</Link>
            </Empty>
          </Route>
        </Switch>
      </main>
      <Toasts />
      <Finder />
      <Help />
    </>
  );
}
