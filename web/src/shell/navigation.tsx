import { Link, useLocation } from "wouter-preact";
import { Icon } from "../components/icon";
import { t } from "../i18n";
import { SCREENS } from "../screens";
import { may } from "../store/permissions";

/** The screens that this person may see. */
export function Navigation() {
  const [path] = useLocation();
  return (
    <nav aria-label={t("nav.label")}>
      <ul>
        {SCREENS.filter(({ permission }) => permission === null || may(permission)).map(({ name, path: href, nav }) =>
          nav ? (
            <li key={name}>
              <Link href={href} aria-current={path === href ? "page" : undefined}>
                <Icon name={nav.icon} />
                <span>{t(nav.text)}</span>
              </Link>
            </li>
          ) : null,
        )}
      </ul>
    </nav>
  );
}
