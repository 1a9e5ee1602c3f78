/**
 * To look out, for a moment, for what may come soon: a thread that sleeps is woken
 * in 20 to 50 µs, which is longer than many a call.
 *
 * Where things come later than that, looking out is a waste of the processor. So
 * who did it in vain does it less often, once in 64 times at last, or once in seven
 * if things came soon after all; and where something came meanwhile, each time again.
 */

/**
 * Looks out until something has come; `false` if that takes too long.
 *
 * @param wasSoon Whether what came last, to who slept, came so soon that it would have
 * been seen.
 */
export type Lookout = (hasCome: () => boolean, wasSoon?: boolean) => boolean;

/**
 * Makes a lookout.
 *
 * Self-contained: workers get it as its source.
 *
 * @param patience How long it looks out, in milliseconds.
 * @param now The clock, in milliseconds.
 */
export function makeLookout(
  patience: number,
  now: () => number = performance.now.bind(performance),
): Lookout {
  /** How many times it does not look out, at the most, after it did so in vain. */
  const RARE = 63;
  /** How often it looks between two looks at the clock, which takes longer. */
  const LOOKS = 50;
  // A clock may stand still that a program has put there: so many take longer, by far.
  const most = 1 + patience * 1e5;
  let pauses = 0;
  let left = 0;

  return (hasCome, wasSoon = false) => {
    if (left > 0) {
      left = wasSoon ? left >> 1 : left - 1;
      return false;
    }
    const until = now() + patience;
    let rounds = 0;
    do {
      for (let i = 0; i < LOOKS; i++) {
        if (hasCome()) {
          pauses = 0;
          return true;
        }
      }
    } while (++rounds < most && now() < until);
    pauses = pauses < RARE ? 2 * pauses + 1 : RARE;
    left = pauses;
    return false;
  };
}
