/** Screens read the local store with `useLive`: they follow what is written there, also by another tab. */
import { liveQuery } from "dexie";
import { useEffect, useState } from "preact/hooks";
import type { Store } from "./database";
import { session } from "./session";

/** The store of who is signed in. Only for screens, which are shown to nobody else. */
export function useStore(): Store {
  const current = session.value;
  if (!current) throw new Error("nobody is signed in");
  return current.store;
}

/**
 * What the query finds, again whenever it would find something else; undefined until it is there first.
 * `inputs`: the values that the query depends on.
 */
export function useLive<T>(query: (store: Store) => Promise<T>, inputs: readonly unknown[] = []): T | undefined {
  const store = useStore();
  const [found, setFound] = useState<T>();
  useEffect(() => {
    const subscription = liveQuery(() => query(store)).subscribe({ next: setFound });
    return () => subscription.unsubscribe();
  }, [store, ...inputs]);
  return found;
}
