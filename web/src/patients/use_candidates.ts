import { useEffect, useMemo, useState } from "preact/hooks";
import { useLive, useStore } from "../store/live";
import { type Candidate, candidates, type Typed } from "./matching";
import { search } from "./remote";

const PAUSE = 250;

/**
 * Who may be meant by what is typed, from the local store; the server is asked as well when typing pauses. `alone`: it
 * was not reached, so that there may be others.
 */
export function useCandidates(typed: Typed): { found: Candidate[]; alone: boolean } {
  const store = useStore();
  const patients = useLive((one) => one.of("patients").toArray());
  const [alone, setAlone] = useState(false);
  const { name, phone, uhid } = typed;
  const found = useMemo(() => candidates({ name, phone, uhid }, patients ?? []), [name, phone, uhid, patients]);
  useEffect(() => {
    if (!name && !phone && !uhid) return setAlone(false);
    let here = true;
    const timer = setTimeout(async () => {
      const reached = await search(store, { name, phone, uhid });
      if (here) setAlone(!reached);
    }, PAUSE);
    return () => {
      here = false;
      clearTimeout(timer);
    };
  }, [store, name, phone, uhid]);
  return { found, alone };
}
