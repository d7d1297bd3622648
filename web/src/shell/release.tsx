import { Link } from "wouter-preact";
import { t } from "../i18n";
import { off } from "../screens/switch/targets";
import { useLive } from "../store/live";
import { may } from "../store/permissions";

/** In the header of every screen, as long as automatic release is off for something. */
export function ReleaseOff() {
  const every = t("release.every");
  const names = useLive((store) => off(store, every), [every]);
  if (!names?.length) return null;
  const text = t("release.off_for", {
    names: names.length > 3 ? `${names.slice(0, 3).join(", ")} …` : names.join(", "),
  });
  return may("release:switch") ? (
    <Link href="/switch" class="release-off">
      {text}
    </Link>
  ) : (
    <span class="release-off">{text}</span>
  );
}
