/** What people do here: take alerts on, keep messages back, send dead letters again. */

import { ask } from "./api.js";
import { dialog } from "./dialogs.js";
import { many } from "./format.js";
import { toast } from "./toast.js";

/**
 * @typedef {Object} Subject
 * @property {string} [alert] number of the alert
 * @property {string} [rule]
 * @property {string} [service]
 * @property {string} [status]
 * @property {string} [id] number of a silence or dead letter
 */

const LENGTHS = [["+30m", "30 min"], ["+2h", "2 h"], ["+8h", "8 h"], ["+1d", "1 day"], ["+7d", "1 week"]];

/**
 * @param {Subject} about
 * @param {() => void} refresh
 */
export function acknowledge(about, refresh) {
  if (!about.alert) return toast("There is no alert here to acknowledge.");
  if (about.status !== "active") return toast(`This alert is ${about.status}: only an active one can be acknowledged.`);
  dialog(
    {
      title: `Acknowledge \u201c${about.rule}\u201d of ${about.service}`,
      text: "It is not repeated any more. This cannot be taken back.",
      fields: [{ name: "comment", label: "Comment", value: "Looking into it" }],
      button: "Acknowledge",
    },
    async ({ comment }) => {
      await ask(`alerts/${about.alert}/acknowledge`, { method: "POST", body: comment ? { comment } : {} });
      toast("Acknowledged.");
      refresh();
    });
}

/**
 * @param {Subject} about
 * @param {() => void} refresh
 */
export function resolve(about, refresh) {
  dialog(
    {
      title: `Resolve \u201c${about.rule}\u201d of ${about.service}`,
      text: "If its rule is still violated, another alert begins. This cannot be taken back.",
      fields: [{ name: "comment", label: "Comment", value: "" }],
      button: "Resolve",
      danger: true,
    },
    async ({ comment }) => {
      await ask(`alerts/${about.alert}/resolve`, { method: "POST", body: comment ? { comment } : {} });
      toast("Resolved.");
      refresh();
    });
}

/**
 * @param {Subject} about
 * @param {() => void} refresh
 */
export function silence(about, refresh) {
  if (!about.service) return toast("There is nothing here to silence.");
  const what = about.rule ? `\u201c${about.rule}\u201d of ${about.service}` : about.service;
  dialog(
    {
      title: `Silence ${what}`,
      text: "Nobody is told of it for so long; the alert itself goes on.",
      fields: [
        { name: "until", label: "For", value: "+2h", choices: /** @type {[string, string][]} */ (LENGTHS) },
        { name: "comment", label: "Comment", value: "Known, being worked on", required: true },
      ],
      button: "Silence",
    },
    async ({ until, comment }) => {
      const matcher = about.rule ? { service: about.service, rule_name: about.rule } : { service: about.service };
      const made = await ask("silences", { method: "POST", body: { matcher, until, comment } });
      toast("Silenced.", { label: "Undo", act: () => endSilence({ id: String(made.id) }, refresh) });
      refresh();
    });
}

/**
 * @param {Subject} about
 * @param {() => void} refresh
 */
export async function endSilence(about, refresh) {
  await tried(async () => {
    await ask(`silences/${about.id}`, { method: "DELETE", body: {} });
    toast("The silence is over.");
    refresh();
  });
}

/**
 * @param {Subject} about a letter's number in `id`
 * @param {() => void} refresh
 */
export async function replay(about, refresh) {
  await tried(async () => {
    const { queued } = await ask("dead-letters/replay", { method: "POST", body: { ids: [Number(about.id)] } });
    toast(`${many(queued, "letter")} will be sent again by a worker.`);
    refresh();
  });
}

/** @param {() => Promise<void>} act */
async function tried(act) {
  try {
    await act();
  } catch (error) {
    toast(error instanceof Error ? error.message : String(error));
  }
}
