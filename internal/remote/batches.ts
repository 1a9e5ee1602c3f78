/**
 * Requests that go together: those of one turn of the event loop, and, where they
 * go in turn, those that come while others are under way.
 */

import { soon } from "../base/timers.ts";

interface Waiting<Q, A> {
  readonly question: Q;
  readonly resolve: (answer: A) => void;
  readonly reject: (error: unknown) => void;
}

/** Batches of questions to several others. */
export class Batches<Q, A> {
  readonly #ask: (whom: string, questions: Q[]) => Promise<A[]>;
  readonly #fitting: (questions: readonly Q[]) => number;
  readonly #inTurn: boolean;
  readonly #waiting = new Map<string, Waiting<Q, A>[]>();

  /**
   * @param ask Asks, and gives as many answers.
   * @param fitting How many of these questions, at least one, go together.
   * @param inTurn Whether a batch waits for the answers to the one before.
   */
  constructor(
    ask: (whom: string, questions: Q[]) => Promise<A[]>,
    fitting: (questions: readonly Q[]) => number,
    inTurn: boolean,
  ) {
    this.#ask = ask;
    this.#fitting = fitting;
    this.#inTurn = inTurn;
  }

  add(whom: string, question: Q): Promise<A> {
    return new Promise((resolve, reject) => {
      const one = { question, resolve, reject };
      const waiting = this.#waiting.get(whom);
      if (waiting) {
        waiting.push(one);
      } else {
        this.#waiting.set(whom, [one]);
        soon(() => this.#run(whom));
      }
    });
  }

  async #run(whom: string): Promise<void> {
    const waiting = this.#waiting.get(whom)!;
    while (waiting.length > 0) {
      const questions = waiting.map(({ question }) => question);
      const done = this.#askAll(
        whom,
        waiting.splice(0, this.#fitting(questions)),
      );
      if (this.#inTurn) await done;
    }
    this.#waiting.delete(whom);
  }

  async #askAll(whom: string, batch: readonly Waiting<Q, A>[]): Promise<void> {
    try {
      const answers = await this.#ask(
        whom,
        batch.map(({ question }) => question),
      );
      batch.forEach(({ resolve }, i) => resolve(answers[i]));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}
