import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Empty } from "../components/empty";
import { t } from "../i18n";
import { load, type Screen, type ScreenProps } from "../screens";

/** A screen whose code is fetched when it is come to first. */
export function LazyScreen({ screen, params }: { screen: Screen; params: ScreenProps["params"] }) {
  const [Loaded, setLoaded] = useState<ComponentType<ScreenProps> | null | undefined>();
  useEffect(() => {
    let here = true;
    load(screen).then(
      (component) => here && setLoaded(() => component),
      () => here && setLoaded(null),
    );
    return () => {
      here = false;
    };
  }, [screen]);
  if (Loaded === undefined) return null;
  if (Loaded === null) return <Empty title={t("shell.screen_unreachable")} />;
  return <Loaded params={params} />;
}
